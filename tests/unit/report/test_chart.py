from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hypermix.report.chart import Chart, Line, draw_charts, spread
from hypermix.report.look import looks

NAMES = [f"a-method-with-a-long-name-{index:02d}" for index in range(12)]


def chart(names: list[str], title: str = "rt", **changes: object) -> Chart:
    styles = looks(names, names[:1])
    lines = tuple(
        Line(
            name, styles[name], ((0.0, 60.0 + place / 10), (1.0, 70.0)), dots=((0.0, 61.0),), bars=((1.0, 68.0, 72.0),)
        )
        for place, name in enumerate(names)
    )
    return Chart(title, lines, (-0.5, 1.5), (58.0, 75.0), "size", "accuracy, %", **changes)  # type: ignore[arg-type]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("width_px", [350, 900])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_everything_stands_inside_the_figure(width_px: float, count: int) -> None:
    figure = draw_charts([chart(NAMES)] * count, width_px)
    width, height = figure.get_size_inches() * 72
    for line in figure.axes[0].lines:
        across, down = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
        assert np.nanmin(across) >= 0
        assert np.nanmax(across) <= width
        assert np.nanmin(down) >= 0
        assert np.nanmax(down) <= height


def test_twelve_names_do_not_touch() -> None:
    figure = draw_charts([chart(NAMES)], 900)
    places = sorted(text.get_position()[1] for text in figure.axes[0].texts if text.get_text() in NAMES)
    assert len(places) == 12
    assert min(np.diff(places)) >= 16


def test_a_phone_has_each_name_once() -> None:
    shown = texts(draw_charts([chart(NAMES)] * 3, 350))
    assert [text for text in shown if text in NAMES] == NAMES


def test_two_charts_share_a_row_if_names_are_short() -> None:
    one, two, long = (
        draw_charts(charts, 900).get_size_inches()[1]
        for charts in ([chart(["a"])], [chart(["a"])] * 2, [chart(NAMES)] * 2)
    )
    assert one == two < long


def test_names_of_the_axis_replace_numbers() -> None:
    shown = texts(draw_charts([chart(["a"], x_names=((0.0, "8s"), (1.0, "16s")))], 900))
    assert {"8s", "16s"} <= set(shown)


def test_dollar_signs_are_no_formula() -> None:
    assert "$x$" in texts(draw_charts([chart(["a"], title="$x$")], 900))


@given(st.lists(st.floats(0, 100), max_size=12).map(sorted))
def test_names_keep_their_order_and_distance(wanted: list[float]) -> None:
    places = spread(wanted, 5.0, 0.0, 100.0)
    assert len(places) == len(wanted)
    assert all(after - before >= 5 - 1e-9 for before, after in pairwise(places))
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in places)


def test_names_that_have_room_stay() -> None:
    assert spread([10.0, 40.0, 90.0], 5.0, 0.0, 100.0) == [10.0, 40.0, 90.0]


def test_no_two_of_twelve_methods_look_alike() -> None:
    found = looks(["none", "duplicate", *NAMES], ["none", "duplicate"])
    assert len({(look.marker, look.filled, look.role == "muted") for look in found.values()}) == 14
    assert len({(look.role, look.style) for look in found.values()}) == 14


def test_a_method_keeps_its_look_whatever_the_baselines_order() -> None:
    assert looks(["none", "a", "b"], ["none"])["b"] == looks(["a", "none", "b"], ["none"])["b"]
