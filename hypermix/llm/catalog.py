"""Which models an endpoint lists, and until when they live: one short request that costs nothing."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import httpx2

from hypermix.errors import LlmError

_MOST_BYTES = 16_000_000
_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Catalog:
    """The models of an endpoint.

    Attributes:
        models: The day on which each is shut down, None where it tells none; empty if the endpoint has no such list.
    """

    models: Mapping[str, date | None] = field(default_factory=dict)

    def find(self, name: str) -> str | None:
        """Return what the list calls a model; some put a folder before the name, or a tag behind it."""
        for known in self.models:
            if known in (name, f"{name}:latest") or known.endswith(f"/{name}"):
                return known
        return None

    def nearest(self, name: str) -> str | None:
        """Return the listed name that is most like another one."""
        return next(iter(difflib.get_close_matches(name, list(self.models), n=1)), None)


def read_catalog(base_url: str, api_key: str, seconds: float) -> Catalog:
    """Ask an endpoint for its list of models. It is asked once, and what it says is never quoted.

    Args:
        base_url: The URL up to and with ``/v1``.
        api_key: The key; empty if none is needed.
        seconds: How long it may take.

    Returns:
        The list; an empty one from an endpoint that answers and has none, or one that cannot be read.

    Raises:
        LlmError: If the endpoint cannot be reached, or refuses the key.
    """
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    # A proxy of the environment must not see what is asked of a server on this machine.
    outside = urlsplit(base_url).hostname not in _HERE
    try:
        with (
            httpx2.Client(timeout=seconds, trust_env=outside, follow_redirects=False) as client,
            client.stream("GET", f"{base_url}/models", headers=headers) as response,
        ):
            if response.status_code == 401:
                raise LlmError(
                    f"{base_url} refused the key (status 401); check the llm's key in the config and where it points to"
                )
            return Catalog(_read(_content(response, seconds)) if response.status_code == 200 else {})
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        # Not chained, and by its kind alone: a message of the library may hold what a server said.
        raise LlmError(
            f"{base_url} cannot be reached ({type(error).__name__}); see that its server runs, and check the llm's "
            "base_url, the network and the proxy"
        ) from None


def _content(response: httpx2.Response, seconds: float) -> bytes:
    """Return the body; nothing of one that is too long or takes too long."""
    until, content = time.monotonic() + seconds, bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > _MOST_BYTES or time.monotonic() > until:
            return b""
    return bytes(content)


def _read(content: bytes) -> dict[str, date | None]:
    try:
        listed = json.loads(content)["data"]
        return {one["id"]: _read_day(one.get("shutdown_date")) for one in listed if isinstance(one["id"], str)}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return {}


def _read_day(told: object) -> date | None:
    """Read a day as text or as seconds since 1970; None of anything else."""
    try:
        if isinstance(told, str):
            return date.fromisoformat(told[:10])
        if isinstance(told, int | float):
            return datetime.fromtimestamp(told, UTC).date()
    except (ValueError, OverflowError, OSError):
        pass
    return None
