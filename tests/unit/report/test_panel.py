from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from hypermix.report.panel import Panel, Row, draw_panels

ROW = Row("gpt3mix", "71.0 (68.0 to 74.0)", 71.0, 68.0, 74.0, dots=(70.0, 71.0, 72.0))


def panel(*rows: Row, **changes: float) -> Panel:
    return Panel("rt · 16s", rows, (60.0, 80.0), "accuracy, %", **changes)  # type: ignore[arg-type]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def size(figure: Figure) -> tuple[float, float]:
    width, height = figure.get_size_inches() * 72
    return float(width), float(height)


@pytest.mark.parametrize("width_px", [350, 900])
def test_everything_stands_inside_the_figure(width_px: float) -> None:
    figure = draw_panels([panel(ROW, ROW)], width_px)
    width, height = size(figure)
    for line in figure.axes[0].lines:
        across, down = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
        assert np.nanmin(across) >= 0
        assert np.nanmax(across) <= width
        assert np.nanmin(down) >= 0
        assert np.nanmax(down) <= height


def test_every_seed_has_a_dot() -> None:
    lines = draw_panels([panel(Row("a", "1", 71.0, dots=(70.0, 71.0, 72.0)))], 900).axes[0].lines
    (dots,) = [line for line in lines if line.get_alpha() == 0.65]
    assert len(dots.get_xdata()) == 3  # type: ignore[arg-type]


def test_missing_interval_draws_no_line() -> None:
    bare = len(draw_panels([panel(Row("a", "1", 71.0))], 900).axes[0].lines)
    assert len(draw_panels([panel(ROW)], 900).axes[0].lines) == bare + 1 + 1
    assert len(draw_panels([panel(Row("a", "1", math.nan))], 900).axes[0].lines) == bare - 1


def test_phone_layout_is_higher() -> None:
    assert size(draw_panels([panel(ROW, ROW)], 350))[1] > size(draw_panels([panel(ROW, ROW)], 900))[1]


def test_several_panels_share_a_line() -> None:
    one, two = (size(draw_panels([panel(ROW)] * count, 900))[1] for count in (1, 2))
    assert one == two


def test_long_names_take_whole_width() -> None:
    long = Row("n" * 30, "71.0 (68.0 to 74.0) " * 2, 71.0)
    one, two = (size(draw_panels([panel(long)] * count, 900))[1] for count in (1, 2))
    assert two > 1.9 * one


def test_long_name_is_shortened() -> None:
    shown = texts(draw_panels([panel(Row("n" * 80, "1", 71.0))], 900))
    assert max(map(len, shown)) == 30


def test_guide_outside_is_not_drawn() -> None:
    inside = len(draw_panels([panel(ROW, guide=70.0)], 900).axes[0].lines)
    outside = len(draw_panels([panel(ROW, guide=50.0)], 900).axes[0].lines)
    assert inside == outside + 1


def test_dollar_signs_are_no_formula() -> None:
    assert "$x$" in texts(draw_panels([panel(Row("$x$", "1", 71.0))], 900))
