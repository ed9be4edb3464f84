"""Panels of rows on a common axis: the one drawing from which all figures of the report are made.

A row has its name on the left, its numbers on the right, and between them dots, an interval and a mark. A narrow
figure, for a phone, puts name and numbers above the marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hypermix.report.format import shortened
from hypermix.report.svg import ROLES

_PIXELS_PER_INCH = 72
_NARROW_PX = 560
_LEAST_PLOT_PX = 170
_CHARACTER_PX = 6.7
_NUMBER_PX = 5.9
_FONT_PX = 12.0
_SMALL_PX = 11.0
_GAP_PX = 14.0
_COLUMN_GAP_PX = 44.0
_TITLE_PX = 30.0
_AXIS_PX = 46.0
_LONGEST_NAME = 30


@dataclass(frozen=True)
class Row:
    """One line of a panel. All numbers are in the unit of the axis; NaN where one does not exist.

    Attributes:
        name: What stands on its left.
        numbers: What stands on its right.
        mean: Where its mark stands.
        low: Lower end of its interval.
        high: Upper end of its interval.
        dots: Single observations, drawn above the interval.
        marker: Shape of the mark, a marker of matplotlib.
        role: Color of the mark, a key of `hypermix.report.svg.ROLES`.
        filled: Whether the mark is filled.
    """

    name: str
    numbers: str
    mean: float
    low: float = math.nan
    high: float = math.nan
    dots: tuple[float, ...] = ()
    marker: str = "o"
    role: str = "accent"
    filled: bool = True


@dataclass(frozen=True)
class Panel:
    """Rows that share an axis.

    Attributes:
        title: What the rows have in common.
        rows: The rows, from top to bottom.
        limits: Both ends of the axis.
        axis: What the axis shows, with its unit.
        guide: Where a vertical line stands; None for none.
        guide_name: What stands at that line.
        solid: Whether the line is solid; it is dotted otherwise.
    """

    title: str
    rows: tuple[Row, ...]
    limits: tuple[float, float]
    axis: str
    guide: float | None = None
    guide_name: str = ""
    solid: bool = False


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    plot_left: float
    plot_right: float
    right: float
    row_px: float
    narrow: bool
    limits: tuple[float, float] = field(default=(0.0, 1.0))

    def x(self, value: float) -> float:
        low, high = self.limits
        return self.plot_left + (value - low) / (high - low) * (self.plot_right - self.plot_left)


def draw_panels(panels: Sequence[Panel], width_px: float) -> Figure:
    """Draw panels below each other, in two columns where there are several and the width allows it.

    Args:
        panels: At least one panel.
        width_px: Width of the figure in pixels; below 560 the layout is the one for phones.

    Returns:
        A figure of that width, as high as its rows need.
    """
    narrow = width_px < _NARROW_PX
    names_px = 0.0 if narrow else _widest(panels, "name", _CHARACTER_PX)
    numbers_px = 0.0 if narrow else _widest(panels, "numbers", _NUMBER_PX)
    two = len(panels) > 1 and width_px >= 2 * (names_px + numbers_px + _LEAST_PLOT_PX) + _COLUMN_GAP_PX
    columns = 2 if two and not narrow else 1
    column_px = (width_px - (columns - 1) * _COLUMN_GAP_PX) / columns
    row_px = 48.0 if narrow else 28.0
    lines = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [_TITLE_PX + max(len(panel.rows) for panel in line) * row_px + _AXIS_PX for line in lines]
    height_px = sum(heights) + _GAP_PX * (len(lines) - 1)
    figure = Figure(figsize=(width_px / _PIXELS_PER_INCH, height_px / _PIXELS_PER_INCH), dpi=_PIXELS_PER_INCH)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width_px)
    axes.set_ylim(height_px, 0)
    top = 0.0
    for line, height in zip(lines, heights, strict=True):
        for column, panel in enumerate(line):
            left = column * (column_px + _COLUMN_GAP_PX)
            right = left + column_px
            inset = 12.0 if narrow else _GAP_PX
            box = _Box(
                left, top, left + names_px + inset, right - numbers_px - inset, right, row_px, narrow, panel.limits
            )
            _draw_panel(axes, panel, box)
        top += height + _GAP_PX
    return figure


def _widest(panels: Sequence[Panel], what: str, character_px: float) -> float:
    lengths = [min(len(getattr(row, what)), _LONGEST_NAME) for panel in panels for row in panel.rows]
    return max(lengths, default=0) * character_px


def _draw_panel(axes: Axes, panel: Panel, box: _Box) -> None:
    top = box.top + _TITLE_PX
    bottom = top + len(panel.rows) * box.row_px
    _text(axes, box.left, box.top + 13, panel.title, "ink", size=13, bold=True)
    _draw_axis(axes, panel, box, top, bottom)
    for index, row in enumerate(panel.rows):
        _draw_row(axes, row, box, top + index * box.row_px)


def _draw_axis(axes: Axes, panel: Panel, box: _Box, top: float, bottom: float) -> None:
    low, high = panel.limits
    for tick in _ticks(low, high, 4 if box.narrow else 5):
        x = box.x(tick)
        _line(axes, (x, x), (top, bottom), "rule", 1.0)
        _text(axes, x, bottom + 16, _tick_name(tick, signed=panel.solid), "muted", at="center", size=_SMALL_PX)
    if panel.guide is not None and low <= panel.guide <= high:
        x = box.x(panel.guide)
        _line(axes, (x, x), (top, bottom), "muted", 1.4, style="-" if panel.solid else ":")
    middle = (box.plot_left + box.plot_right) / 2
    named = f"{panel.axis} · {panel.guide_name}" if panel.guide_name else panel.axis
    _text(axes, middle, bottom + 33, named, "muted", at="center", size=_SMALL_PX)


def _draw_row(axes: Axes, row: Row, box: _Box, top: float) -> None:
    name = shortened(row.name, _LONGEST_NAME)
    if box.narrow:
        _text(axes, box.left, top + 15, name, "ink")
        _text(axes, box.right, top + 15, row.numbers, "muted", at="right", size=_SMALL_PX)
        middle = top + 34
    else:
        middle = top + box.row_px / 2
        _text(axes, box.plot_left - _GAP_PX, middle + 4, name, "ink", at="right")
        _text(axes, box.right, middle + 4, row.numbers, "muted", at="right", size=_SMALL_PX)
    below = middle + (5 if row.dots else 0)
    for value in row.dots:
        _mark(axes, box.x(value), middle - 6, "o", 5.4, row.role, alpha=0.65, edge=False)
    if math.isfinite(row.low) and math.isfinite(row.high):
        _line(axes, (box.x(row.low), box.x(row.high)), (below, below), row.role, 2.2)
    if math.isfinite(row.mean):
        _mark(axes, box.x(row.mean), below, row.marker, 8.0, row.role, filled=row.filled)


def _ticks(low: float, high: float, count: int) -> list[float]:
    ticks = MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(tick) for tick in ticks if low - slack <= tick <= high + slack]


def _tick_name(tick: float, signed: bool) -> str:
    value = round(tick, 6) + 0.0
    return f"{value:+g}" if signed and value else f"{value:g}"


def _text(
    axes: Axes, x: float, y: float, text: str, role: str, at: str = "left", size: float = _FONT_PX, bold: bool = False
) -> None:
    weight = "bold" if bold else "normal"
    # parse_math would read dollar signs of a name as formulas.
    axes.text(x, y, text, color=ROLES[role], ha=at, va="baseline", fontsize=size, fontweight=weight, parse_math=False)


def _line(
    axes: Axes, x: tuple[float, float], y: tuple[float, float], role: str, width_px: float, style: str = "-"
) -> None:
    axes.plot(x, y, color=ROLES[role], linewidth=width_px, linestyle=style, clip_on=False, solid_capstyle="butt")


def _mark(
    axes: Axes,
    x: float,
    y: float,
    marker: str,
    size_px: float,
    role: str,
    filled: bool = True,
    alpha: float = 1.0,
    edge: bool = True,
) -> None:
    axes.plot(
        [x],
        [y],
        linestyle="none",
        marker=marker,
        markersize=size_px,
        markerfacecolor=ROLES[role if filled else "paper"],
        markeredgecolor=ROLES[role],
        markeredgewidth=1.6 if edge else 0.0,
        alpha=alpha,
        clip_on=False,
    )
