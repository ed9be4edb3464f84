"""Charts with two axes: lines and marks of several methods, with their names at the right edge.

A narrow figure, for a phone, has no room beside the charts: the names stand above them, with their marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hypermix.report.format import shortened
from hypermix.report.look import Look
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

Point = tuple[float, float]

_TITLE_PX = 30.0
_PLOT_PX = 210.0
_AXIS_PX = 50.0
_LEFT_PX = 48.0
_NAME_GAP_PX = 44.0
_LINE_PX = 17.0
_GAP_PX = 18.0
_COLUMN_GAP_PX = 40.0
_LEAST_PLOT_PX = 190.0
_TITLE_CHARACTER_PX = 7.8
_LONGEST_NAME = 30


@dataclass(frozen=True)
class Line:
    """What is drawn of one method, in the units of both axes.

    Attributes:
        name: What stands at its end.
        look: How it is drawn.
        points: What is joined by a line, from left to right; one point is a mark alone.
        dots: Single observations.
        bars: Vertical intervals: where, from, to.
        marked: Whether each point has a mark; otherwise the last alone.
    """

    name: str
    look: Look
    points: tuple[Point, ...]
    dots: tuple[Point, ...] = ()
    bars: tuple[tuple[float, float, float], ...] = ()
    marked: bool = True


@dataclass(frozen=True)
class Chart:
    """Lines on two common axes.

    Attributes:
        title: What the lines have in common.
        lines: The lines, in the order of their names.
        x_limits: Both ends of the axis below.
        y_limits: Both ends of the axis at the left.
        x_axis: What the axis below shows, with its unit.
        y_axis: What the axis at the left shows; it stands above it.
        x_names: Where the axis below has which names; None for round numbers.
        guide: Where a horizontal line stands; None for none.
        diagonal: Whether a dotted line joins equal values of both axes.
    """

    title: str
    lines: tuple[Line, ...]
    x_limits: Point
    y_limits: Point
    x_axis: str
    y_axis: str
    x_names: tuple[tuple[float, str], ...] | None = None
    guide: float | None = None
    diagonal: bool = False


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float
    named: bool
    chart: Chart = field(repr=False)

    def x(self, value: float) -> float:
        low, high = self.chart.x_limits
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.chart.y_limits
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def draw_charts(charts: Sequence[Chart], width_px: float) -> Figure:
    """Draw charts below each other, in two columns where there are several and the width allows it.

    Args:
        charts: At least one chart.
        width_px: Width of the figure in pixels; below 560 the layout is the one for phones.

    Returns:
        A figure of that width, as high as its charts need.
    """
    narrow = width_px < NARROW_PX
    names = {line.name: line.look for chart in charts for line in chart.lines}
    longest = max((min(len(name), _LONGEST_NAME) for name in names), default=0)
    beside_px = 8.0 if narrow else _NAME_GAP_PX + longest * CHARACTER_PX
    least_px = _LEFT_PX + _LEAST_PLOT_PX + beside_px
    columns = 2 if len(charts) > 1 and width_px >= 2 * least_px + _COLUMN_GAP_PX else 1
    column_px = (width_px - (columns - 1) * _COLUMN_GAP_PX) / columns
    legend_px = len(names) * _LINE_PX + _GAP_PX if narrow else 0.0
    # So many names need their room, whatever the lines do.
    plot_px = _PLOT_PX if narrow else max(_PLOT_PX, (max(len(chart.lines) for chart in charts) + 1) * _LINE_PX)
    chart_px = _TITLE_PX + _LINE_PX + plot_px + _AXIS_PX
    rows = math.ceil(len(charts) / columns)
    figure, axes = canvas(width_px, legend_px + rows * chart_px + (rows - 1) * _GAP_PX)
    if narrow:
        _draw_legend(axes, names)
    for place, chart in enumerate(charts):
        left = place % columns * (column_px + _COLUMN_GAP_PX)
        top = legend_px + place // columns * (chart_px + _GAP_PX)
        plot_top = top + _TITLE_PX + _LINE_PX
        box = _Box(left + _LEFT_PX, plot_top, left + column_px - beside_px, plot_top + plot_px, not narrow, chart)
        title = shortened(chart.title, int(column_px / _TITLE_CHARACTER_PX))
        write(axes, left, top + 13, title, "ink", size=13, bold=True)
        write(axes, left, top + 13 + _TITLE_PX - 8, chart.y_axis, "muted", size=SMALL_PX)
        _draw_chart(axes, chart, box)
    return figure


def _draw_legend(axes: Axes, names: dict[str, Look]) -> None:
    for place, (name, look) in enumerate(names.items()):
        y = 9 + place * _LINE_PX
        stroke(axes, (2, 34), (y, y), look.role, 1.8, look.style)
        mark(axes, 18, y, look.marker, look.role, 6.0, look.filled)
        write(axes, 42, y + 4, shortened(name, _LONGEST_NAME + 8), "ink")


def _draw_chart(axes: Axes, chart: Chart, box: _Box) -> None:
    grid = {tick: box.y(tick) for tick in ticks(*chart.y_limits, 6)}
    strokes(axes, [((box.left, box.right), (y, y)) for y in grid.values()], "rule", 1.0)
    for tick, y in grid.items():
        write(axes, box.left - 8, y + 4, tick_name(tick, chart.guide == 0), "muted", at="right", size=SMALL_PX)
    shown = chart.x_names
    if shown is None:
        shown = tuple((tick, tick_name(tick)) for tick in ticks(*chart.x_limits, 5 if box.named else 4))
    for value, name in shown:
        write(axes, box.x(value), box.bottom + 18, name, "muted", at="center", size=SMALL_PX)
    write(axes, (box.left + box.right) / 2, box.bottom + 36, chart.x_axis, "muted", at="center", size=SMALL_PX)
    if chart.guide is not None and chart.y_limits[0] <= chart.guide <= chart.y_limits[1]:
        y = box.y(chart.guide)
        stroke(axes, (box.left, box.right), (y, y), "muted", 1.4)
    if chart.diagonal:
        ends = (max(chart.x_limits[0], chart.y_limits[0]), min(chart.x_limits[1], chart.y_limits[1]))
        stroke(axes, [box.x(end) for end in ends], [box.y(end) for end in ends], "muted", 1.4, ":")
    if box.named:
        _draw_names(axes, chart.lines, box)
    for line in chart.lines:
        _draw_line(axes, line, box)


def _draw_line(axes: Axes, line: Line, box: _Box) -> None:
    look = line.look
    if line.dots:
        dot(axes, [box.x(x) for x, _ in line.dots], [box.y(y) for _, y in line.dots], look.role, 4.2)
    bars = [((box.x(at), box.x(at)), (box.y(low), box.y(high))) for at, low, high in line.bars]
    strokes(axes, bars, look.role, 1.8)
    x, y = [box.x(x) for x, _ in line.points], [box.y(y) for _, y in line.points]
    if len(x) > 1:
        stroke(axes, x, y, look.role, 1.8, look.style)
    if x:
        first = 0 if line.marked else len(x) - 1
        mark(axes, x[first:], y[first:], look.marker, look.role, 7.0, look.filled)


def _draw_names(axes: Axes, lines: Sequence[Line], box: _Box) -> None:
    """Write each name at the height of its line's end, moved as far as other names need, with a thin line to it."""
    ends = [(box.y(line.points[-1][1]), box.x(line.points[-1][0]), line) for line in lines if line.points]
    ends.sort(key=lambda end: end[0])
    places = spread([y for y, _, _ in ends], _LINE_PX, box.top, box.bottom)
    right = box.right + _NAME_GAP_PX
    leaders = [
        ((x + 5, box.right + 4, right - 18), (y, y, place)) for (y, x, _), place in zip(ends, places, strict=True)
    ]
    strokes(axes, leaders, "rule", 1.0)
    for (_, _, line), place in zip(ends, places, strict=True):
        mark(axes, right - 11, place, line.look.marker, line.look.role, 6.0, line.look.filled)
        write(axes, right - 2, place + 4, shortened(line.name, _LONGEST_NAME), line.look.role)


def spread(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Move sorted places apart, each as little as a run from both ends needs.

    Args:
        wanted: Where each would stand, sorted.
        least: The least distance of neighbors.
        low: Where the first may stand.
        high: Where the last may stand; where there is too little room it is passed.

    Returns:
        As many places, in the same order, at least `least` apart.
    """
    places: list[float] = []
    for value in wanted:
        places.append(max(value, low, places[-1] + least if places else low))
    limit = max(high, low + least * (len(places) - 1))
    for place in reversed(range(len(places))):
        places[place] = min(places[place], limit)
        limit = places[place] - least
    return places
