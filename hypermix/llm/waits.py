"""What the headers of an answer say about waiting. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_LONGEST = 64
"""Characters of a header that can be a time."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(d|h|ms|m|s|us|µs|ns)")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_LIMITS = ("requests", "tokens", "project-requests", "project-tokens")


def wait_of(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks to wait before the next request.

    Args:
        headers: The headers of its answer.
        now: The time of day in seconds since 1970, for a server that tells a time and not its own.

    Returns:
        ``retry-after-ms`` or ``retry-after``, which is a number of seconds or a date; 0 for a time that is past; None
        if it says nothing that can be read.
    """
    told = _lower(headers)
    milliseconds = _number(told.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    after = told.get("retry-after")
    seconds = _number(after)
    if seconds is None:
        until = _date(after)
        if until is None:
            return None
        of_server = _date(told.get("date"))
        seconds = until - (now if of_server is None else of_server)
    return max(0.0, seconds)


def exhausted_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a limit that is used up is whole again; None if none is, or it does not say when.

    Args:
        headers: The headers of an answer, such as ``x-ratelimit-remaining-requests: 0`` and
            ``x-ratelimit-reset-requests: 6m0s``.
    """
    told = _lower(headers)
    waits = []
    for limit in _LIMITS:
        remaining = _number(told.get(f"x-ratelimit-remaining-{limit}"))
        wait = _duration(told.get(f"x-ratelimit-reset-{limit}"))
        if remaining is not None and remaining <= 0 and wait is not None:
            waits.append(wait)
    return max(waits, default=None)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in headers.items() if len(value) <= _LONGEST}


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None


def _date(text: str | None) -> float | None:
    """Read a date in any of the three forms of HTTP."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _duration(text: str | None) -> float | None:
    """Read a time such as ``1h2m3.5s`` or ``20ms``, or a plain number of seconds."""
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    parts = list(_PART.finditer(text or ""))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _SECONDS[part[2]] for part in parts)
