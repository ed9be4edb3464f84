"""Text, lines and marks of figures, in pixels and in the colors of `hypermix.report.svg.ROLES`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hypermix.report.svg import ROLES

LineStyle = str | tuple[float, tuple[float, ...]]
"""How a line is dashed: a line style of matplotlib."""

PIXELS_PER_INCH = 72
"""Of all figures, so that a point of a font is a pixel."""

NARROW_PX = 560
"""Below this width a figure has the layout for phones."""

FONT_PX = 12.0
"""Size of names."""

SMALL_PX = 11.0
"""Size of numbers and axes."""

CHARACTER_PX = 7.6
"""Width of a character of `FONT_PX` in a wide font: fonts differ, and a name that is wider than its room is cut."""


def canvas(width_px: float, height_px: float) -> tuple[Figure, Axes]:
    """Return a new figure of this size and its axes, whose unit is a pixel; y grows downwards."""
    figure = Figure(figsize=(width_px / PIXELS_PER_INCH, height_px / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width_px)
    axes.set_ylim(height_px, 0)
    return figure, axes


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` round numbers between both ends of an axis."""
    found = MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(tick) for tick in found if low - slack <= tick <= high + slack]


def tick_name(tick: float, signed: bool = False) -> str:
    """Write a number of an axis, with its sign if it is a difference."""
    value = round(tick, 6) + 0.0
    return f"{value:+g}" if signed and value else f"{value:g}"


def write(
    axes: Axes, x: float, y: float, text: str, role: str, at: str = "left", size: float = FONT_PX, bold: bool = False
) -> None:
    """Write a text whose baseline is at y; `at` is ``left``, ``center`` or ``right``."""
    weight = "bold" if bold else "normal"
    # parse_math would read dollar signs of a name as formulas.
    axes.text(x, y, text, color=ROLES[role], ha=at, va="baseline", fontsize=size, fontweight=weight, parse_math=False)


def stroke(
    axes: Axes, x: Sequence[float], y: Sequence[float], role: str, width_px: float = 1.0, style: LineStyle = "-"
) -> None:
    """Join points by a line; its style is one of matplotlib's."""
    axes.plot(
        list(x), list(y), color=ROLES[role], linewidth=width_px, linestyle=style, clip_on=False, solid_capstyle="butt"
    )


def mark(
    axes: Axes,
    x: float | Sequence[float],
    y: float | Sequence[float],
    marker: str,
    role: str,
    size_px: float = 8.0,
    filled: bool = True,
) -> None:
    """Draw one large mark, or several that look alike; the shape is a marker of matplotlib."""
    axes.plot(
        np.atleast_1d(x),
        np.atleast_1d(y),
        linestyle="none",
        marker=marker,
        markersize=size_px,
        markerfacecolor=ROLES[role if filled else "paper"],
        markeredgecolor=ROLES[role],
        markeredgewidth=1.6,
        clip_on=False,
    )


def strokes(axes: Axes, lines: Sequence[tuple[Sequence[float], Sequence[float]]], role: str, width_px: float) -> None:
    """Draw lines that look alike as one: a figure of hundreds of lines is drawn faster so."""
    gaps = [([*x, math.nan], [*y, math.nan]) for x, y in lines]
    if gaps:
        stroke(axes, [value for x, _ in gaps for value in x], [value for _, y in gaps for value in y], role, width_px)


def dot(axes: Axes, x: Sequence[float], y: Sequence[float], role: str, size_px: float = 5.4) -> None:
    """Draw small dots that shine through each other."""
    axes.plot(
        list(x),
        list(y),
        linestyle="none",
        marker="o",
        markersize=size_px,
        markerfacecolor=ROLES[role],
        markeredgewidth=0.0,
        alpha=0.65,
        clip_on=False,
    )
