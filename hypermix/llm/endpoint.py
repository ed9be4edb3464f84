"""An endpoint behind a URL: its address, its limits and what it charges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Endpoint:
    """Where requests go, and how fast.

    Attributes:
        name: The model's name, for messages.
        base_url: URL up to and with ``/v1``.
        api_key: The key; it is sent and never stored or shown. Empty if none is needed.
        concurrency: Most requests under way at once.
        deadline: Seconds that one request may take.
        tries: How often a request is sent until it is answered; waits that the endpoint asks for do not count.
        longest_wait: Longest pause in seconds that an endpoint may ask for.
        requests_per_min: Most requests a minute; None for no limit.
        tokens_per_min: Most tokens a minute; None for no limit.
        shared: Folder of the limits that jobs share; None for a server of this job alone.
        ledger: File of what was spent; None for a server that costs nothing.
        caps: The caps of the config: ``usd``, ``requests``, ``tokens``.
        rate: ``input`` and ``output`` dollars a million tokens; None if unknown.
    """

    name: str
    base_url: str
    api_key: str = field(repr=False)
    concurrency: int
    deadline: float = 600.0
    tries: int = 6
    longest_wait: float = 600.0
    requests_per_min: float | None = None
    tokens_per_min: float | None = None
    shared: str | None = None
    ledger: str | None = None
    caps: Mapping[str, Any] | None = None
    rate: Mapping[str, float] | None = None

    @property
    def limited(self) -> bool:
        """Whether there is a limit a minute."""
        return self.requests_per_min is not None or self.tokens_per_min is not None
