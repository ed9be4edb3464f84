"""Panels of rows on a common axis: accuracy by method, and paired differences.

A row has its name on the left, its numbers on the right, and between them dots, an interval and a mark. A narrow
figure, for a phone, puts name and numbers above the marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hypermix.report.format import shortened
from hypermix.report.pen import (
    CHARACTER_PX,
    NARROW_PX,
    SMALL_PX,
    canvas,
    dot,
    mark,
    stroke,
    strokes,
    tick_name,
    ticks,
    write,
)

_LEAST_PLOT_PX = 170
_NUMBER_PX = 6.6
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
    narrow = width_px < NARROW_PX
    names_px = 0.0 if narrow else _widest(panels, "name", CHARACTER_PX)
    numbers_px = 0.0 if narrow else _widest(panels, "numbers", _NUMBER_PX)
    two = len(panels) > 1 and width_px >= 2 * (names_px + numbers_px + _LEAST_PLOT_PX) + _COLUMN_GAP_PX
    columns = 2 if two and not narrow else 1
    column_px = (width_px - (columns - 1) * _COLUMN_GAP_PX) / columns
    row_px = 48.0 if narrow else 28.0
    lines = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [_TITLE_PX + max(len(panel.rows) for panel in line) * row_px + _AXIS_PX for line in lines]
    height_px = sum(heights) + _GAP_PX * (len(lines) - 1)
    figure, axes = canvas(width_px, height_px)
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
    write(axes, box.left, box.top + 13, panel.title, "ink", size=13, bold=True)
    _draw_axis(axes, panel, box, top, bottom)
    for index, row in enumerate(panel.rows):
        _draw_row(axes, row, box, top + index * box.row_px)


def _draw_axis(axes: Axes, panel: Panel, box: _Box, top: float, bottom: float) -> None:
    low, high = panel.limits
    grid = {tick: box.x(tick) for tick in ticks(low, high, 4 if box.narrow else 5)}
    strokes(axes, [((x, x), (top, bottom)) for x in grid.values()], "rule", 1.0)
    for tick, x in grid.items():
        write(axes, x, bottom + 16, tick_name(tick, signed=panel.solid), "muted", at="center", size=SMALL_PX)
    if panel.guide is not None and low <= panel.guide <= high:
        x = box.x(panel.guide)
        stroke(axes, (x, x), (top, bottom), "muted", 1.4, style="-" if panel.solid else ":")
    middle = (box.plot_left + box.plot_right) / 2
    named = f"{panel.axis} · {panel.guide_name}" if panel.guide_name else panel.axis
    write(axes, middle, bottom + 33, named, "muted", at="center", size=SMALL_PX)


def _draw_row(axes: Axes, row: Row, box: _Box, top: float) -> None:
    name = shortened(row.name, _LONGEST_NAME)
    if box.narrow:
        write(axes, box.left, top + 15, name, "ink")
        write(axes, box.right, top + 15, row.numbers, "muted", at="right", size=SMALL_PX)
        middle = top + 34
    else:
        middle = top + box.row_px / 2
        write(axes, box.plot_left - _GAP_PX, middle + 4, name, "ink", at="right")
        write(axes, box.right, middle + 4, row.numbers, "muted", at="right", size=SMALL_PX)
    below = middle + (5 if row.dots else 0)
    if row.dots:
        dot(axes, [box.x(value) for value in row.dots], [middle - 6] * len(row.dots), row.role)
    if math.isfinite(row.low) and math.isfinite(row.high):
        stroke(axes, (box.x(row.low), box.x(row.high)), (below, below), row.role, 2.2)
    if math.isfinite(row.mean):
        mark(axes, box.x(row.mean), below, row.marker, row.role, filled=row.filled)
