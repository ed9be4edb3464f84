"""Numbers as a reader meets them. A number that does not exist is told in words, never as ``nan``."""

from __future__ import annotations

import math
from typing import Any

NOT_DEFINED = "not defined"
"""What stands where a number does not exist, such as an interval over one data seed."""

UNKNOWN = "unknown"
"""What stands where a number exists but nobody told it, such as a price."""

_THIN_SPACE = "\u202f"
_SMALLEST_P = 0.001
_COARSE_P = 0.1
_SMALLEST_CENTS = 0.01


def is_defined(value: Any) -> bool:
    """Tell whether a value is a finite number: not None, NaN, infinite or pandas' NA."""
    try:
        return math.isfinite(value)
    except (TypeError, ValueError):
        return False


def percent(share: float | None) -> str:
    """Write a share of 0 to 1 in percent with one decimal and without the sign, such as ``71.3``."""
    return _fixed(100 * share, 1) if share is not None and is_defined(share) else NOT_DEFINED


def points(difference: float | None) -> str:
    """Write a difference of shares in points (100 times the difference), always with its sign, such as ``+1.2``."""
    if difference is None or not is_defined(difference):
        return NOT_DEFINED
    text = _fixed(100 * difference, 1)
    return text if text.startswith("-") or float(text) == 0 else f"+{text}"


def decimal(value: float | None, digits: int = 3) -> str:
    """Write a number with a fixed count of decimals."""
    return _fixed(value, digits) if value is not None and is_defined(value) else NOT_DEFINED


def interval(low: float | None, high: float | None, signed: bool = False) -> str:
    """Write the bounds of an interval of shares in percent, such as ``68.0 to 74.6``.

    Args:
        low: Lower bound, a share or a difference of shares.
        high: Upper bound.
        signed: Whether the bounds are differences and show their sign.

    Returns:
        Both bounds, or `NOT_DEFINED` if either does not exist.
    """
    if not (is_defined(low) and is_defined(high)):
        return NOT_DEFINED
    word = points if signed else percent
    return f"{word(low)} to {word(high)}"


def p_value(p: float | None) -> str:
    """Write a p value with its letter, such as ``p = 0.25``, ``p = 0.031`` or ``p < 0.001``."""
    if p is None or not is_defined(p):
        return NOT_DEFINED
    if p < _SMALLEST_P:
        return f"p < {_SMALLEST_P}"
    return f"p = {p:.2f}" if p >= _COARSE_P else f"p = {p:.3f}"


def count(number: float | None) -> str:
    """Write a whole number with thin spaces between thousands, such as ``12 345``."""
    return f"{round(number):,}".replace(",", _THIN_SPACE) if number is not None and is_defined(number) else NOT_DEFINED


def dollars(usd: float | None) -> str:
    """Write US dollars, with as many decimals as a small amount needs.

    Returns:
        Two decimals from one cent on, two significant digits below, ``0.00`` for zero, `UNKNOWN` for null.
    """
    if usd is None or not is_defined(usd):
        return UNKNOWN
    if usd == 0 or abs(usd) >= _SMALLEST_CENTS:
        return f"{usd:,.2f}".replace(",", _THIN_SPACE)
    digits = 1 - math.floor(math.log10(abs(usd)))
    return f"{usd:.{digits}f}"


def shortened(text: str, length: int) -> str:
    """Cut a text to a length in characters, with an ellipsis in its middle so that both ends stay readable."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
