"""The figures with lines: sizes, learning curves, cost against gain."""

from __future__ import annotations

import math

import pytest

from hypermix.report.curves import curve_figure
from hypermix.report.drawing import Drawing
from hypermix.report.gain import gain_figure
from hypermix.report.sizes import size_figure
from tests.report_data import BASELINES, make_comparisons, make_curves, make_runs, make_seed_costs, make_summary

SIZES = ["8s", "16s", "32s"]


def words(drawing: Drawing | None) -> list[str]:
    assert drawing is not None
    return [text.get_text() for text in drawing.figure.axes[0].texts]


def test_sizes_stand_in_their_order() -> None:
    runs = make_runs(subsamples=SIZES)
    shown = words(size_figure(runs, make_summary(runs), baselines=BASELINES))
    assert [text for text in shown if text in SIZES] == SIZES


def test_each_seed_of_each_size_is_a_dot() -> None:
    runs = make_runs(subsamples=SIZES, seeds=range(20))
    drawing = size_figure(runs, make_summary(runs))
    assert drawing is not None
    dots = [line for line in drawing.figure.axes[0].lines if line.get_alpha() == 0.65]
    assert sum(len(line.get_xdata()) for line in dots) == 20 * 3 * 4  # type: ignore[arg-type, misc]


def test_one_size_is_no_figure() -> None:
    runs = make_runs()
    assert size_figure(runs, make_summary(runs)) is None


def test_a_dataset_with_one_size_has_no_chart() -> None:
    runs = make_runs(subsamples=SIZES, datasets=["rt", "ag"])
    runs = runs[(runs["dataset"] == "rt") | (runs["subsample"] == "8s")]
    shown = words(size_figure(runs, make_summary(runs)))
    assert "rt · minilm" in shown
    assert "ag · minilm" not in shown


def test_the_text_tells_the_numbers_of_each_size() -> None:
    runs = make_runs(subsamples=SIZES)
    drawing = size_figure(runs, make_summary(runs))
    assert drawing is not None
    mean = make_summary(runs).query("metric == 'accuracy' and augmenter == 'eda' and subsample == '32s'")["mean"]
    assert f"{100 * mean.iloc[0]:.1f} at 32s" in drawing.text.split("eda ")[1]


def test_a_missing_size_leaves_a_shorter_line() -> None:
    runs = make_runs(subsamples=SIZES, seeds=[1])
    runs = runs[~((runs["augmenter"] == "eda") & (runs["subsample"] == "16s"))]
    assert "eda" in words(size_figure(runs, make_summary(runs)))


def test_curves_have_a_chart_a_setting() -> None:
    shown = words(curve_figure(make_curves(make_runs(subsamples=SIZES)), baselines=BASELINES))
    assert {f"rt · {size} · minilm" for size in SIZES} <= set(shown)


def test_a_curve_tells_its_best_and_last() -> None:
    curves = make_curves(make_runs(augmenters=["none"]), 2)
    curves["accuracy"] = [0.7, 0.6]
    drawing = curve_figure(curves)
    assert drawing is not None
    assert drawing.text == "rt · 16s · minilm: none 60.0 after 20 steps, at best 70.0 after 10"


@pytest.mark.parametrize("n_steps", [0, 1])
def test_a_point_is_no_curve(n_steps: int) -> None:
    assert curve_figure(make_curves(make_runs(), n_steps)) is None


def test_curves_of_unknown_accuracy_are_no_figure() -> None:
    assert curve_figure(make_curves(make_runs()).assign(accuracy=math.nan)) is None


def test_dollars_are_shown_where_they_were_paid() -> None:
    runs = make_runs()
    shown = words(gain_figure(make_comparisons(runs), make_seed_costs(runs), baselines=BASELINES))
    assert "US dollars a data seed" in shown
    assert {"gpt3mix", "eda", "duplicate"} <= set(shown)


@pytest.mark.parametrize("usd", [0.0, None])
def test_requests_are_shown_where_nothing_was_paid(usd: float | None) -> None:
    runs = make_runs()
    drawing = gain_figure(make_comparisons(runs), make_seed_costs(runs, usd), baselines=BASELINES)
    assert "requests a data seed" in words(drawing)
    assert drawing is not None
    assert "points for 64 requests" in drawing.text


def test_an_unknown_price_is_left_out_among_dollars() -> None:
    runs = make_runs(augmenters=["none", "gpt3mix", "other"])
    costs = make_seed_costs(runs)
    costs.loc[costs["augmenter"] == "other", "usd"] = math.nan
    shown = words(gain_figure(make_comparisons(runs), costs, baselines=BASELINES))
    assert "gpt3mix" in shown
    assert "other" not in shown


def test_gain_is_against_the_first_baseline_alone() -> None:
    runs = make_runs()
    comparisons = make_comparisons(runs)
    drawing = gain_figure(comparisons, make_seed_costs(runs), baselines=["duplicate", "none"])
    assert "difference to duplicate, points" in words(drawing)


@pytest.mark.parametrize("baselines", [[], ["absent"]])
def test_no_baseline_is_no_figure(baselines: list[str]) -> None:
    runs = make_runs()
    assert gain_figure(make_comparisons(runs), make_seed_costs(runs), baselines=baselines) is None


def test_no_model_asked_is_no_figure() -> None:
    runs = make_runs()
    assert gain_figure(make_comparisons(runs), make_seed_costs(runs).head(0), baselines=BASELINES) is None
