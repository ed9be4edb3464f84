"""How methods look in figures with lines: by color, by mark and by dash, so that no one of them is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MARKERS = ("o", "^", "D", "v", "P", "X", "p", "<", "h", ">", "d", "*")
_ROLES = ("line1", "line2", "line3", "line4", "line5", "line6")
_STYLES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))


@dataclass(frozen=True)
class Look:
    """How one method is drawn.

    Attributes:
        role: Its color, a key of `hypermix.report.svg.ROLES`.
        marker: The shape of its marks, a marker of matplotlib.
        style: How its line is dashed, a line style of matplotlib.
        filled: Whether its marks are filled.
    """

    role: str
    marker: str
    style: str | tuple[float, tuple[float, ...]] = "-"
    filled: bool = True


def looks(methods: Sequence[str], baselines: Sequence[str]) -> dict[str, Look]:
    """Give each method its look, by its place: baselines are gray squares, the others have colors.

    Args:
        methods: All methods in their order.
        baselines: Those of them that others are compared with.
    """
    plain = [name for name in methods if name in baselines]
    others = [name for name in methods if name not in baselines]
    gray = {name: Look("muted", "s", _STYLES[place % 3], place % 2 == 0) for place, name in enumerate(plain)}
    colored = {
        name: Look(
            _ROLES[place % len(_ROLES)],
            _MARKERS[place % len(_MARKERS)],
            _STYLES[place // len(_ROLES) % len(_STYLES)],
            place // len(_MARKERS) % 2 == 0,
        )
        for place, name in enumerate(others)
    }
    return {name: {**gray, **colored}[name] for name in methods}
