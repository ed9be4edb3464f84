"""Classes, spread, second opinions and ranks, in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hypermix.report.breakdown import class_groups, reliability_figure
from hypermix.report.opinion import opinion_groups
from hypermix.report.ranks import rank_groups
from hypermix.report.spread import spread_groups
from hypermix.stats.opinion import second_opinions
from hypermix.stats.ranking import rank_methods
from hypermix.stats.variance import split_variance
from tests.report_data import BASELINES, make_comparisons, make_report, make_runs

LABELS = [f"label_{index:02d}" for index in range(30)]


def test_each_class_has_a_cell_a_method() -> None:
    (group,) = class_groups(make_report().classes)
    assert group["augmenters"] == ["none", "duplicate", "gpt3mix", "eda"]
    assert [row["label"] for row in group["rows"]] == ["negative", "positive"]
    assert all(cell["interval"] for row in group["rows"] for cell in row["cells"])


def test_many_classes_have_no_intervals() -> None:
    (group,) = class_groups(make_report(labels={"rt": LABELS}).classes)
    assert len(group["rows"]) == 30
    assert not any(cell["interval"] for row in group["rows"] for cell in row["cells"])


def test_a_method_without_runs_has_no_cell() -> None:
    classes = make_report().classes
    known = ~((classes["label"] == "positive") & (classes["augmenter"] == "eda"))
    (group,) = class_groups(classes[known])
    assert [cell is None for cell in group["rows"][1]["cells"]] == [False, False, False, True]


def test_reliability_tells_the_worst_bin() -> None:
    drawing = reliability_figure(make_report().calibration)
    assert drawing is not None
    assert "eda is right in" in drawing.text


def test_bins_of_few_predictions_are_not_drawn() -> None:
    calibration = make_report().calibration
    lengths = []
    for n in (calibration["n"], calibration["n"].where(calibration["low"] < 0.9, 1)):
        drawing = reliability_figure(calibration.assign(n=n))
        assert drawing is not None
        found = [np.asarray(line.get_xdata(), dtype=float) for line in drawing.figure.axes[0].lines]
        lengths.append(max(len(across) for across in found if not np.isnan(across).any()))  # a gap is of a grid
    assert lengths == [8, 7]


def test_no_predictions_are_no_figure() -> None:
    assert reliability_figure(make_report().calibration.assign(n=0)) is None


@pytest.mark.parametrize(
    ("seed", "trial", "told"),
    [
        (9e-4, 1e-4, "which rows were drawn"),
        (1e-4, 9e-4, "generating and training anew"),
        (5e-4, 5e-4, "about alike"),
        (0.0, 0.0, "equally accurate"),
        (math.nan, 1e-4, "One data seed"),
        (math.nan, math.nan, "One trial a data seed"),
    ],
)
def test_the_spread_is_told_in_words(seed: float, trial: float, told: str) -> None:
    variance = split_variance(make_runs(augmenters=["none"])).assign(seed_variance=seed, trial_variance=trial)
    (group,) = spread_groups(variance)
    assert told in group["rows"][0]["words"]


def test_components_are_standard_deviations_in_points() -> None:
    variance = split_variance(make_runs(augmenters=["none"])).assign(seed_variance=4e-4, trial_variance=math.nan)
    (row,) = spread_groups(variance)[0]["rows"]
    assert (row["seed"], row["trial"]) == ("2.0", "cannot be told")


def test_opinions_stand_beside_the_first() -> None:
    runs = make_runs(seeds=range(8))
    comparisons = make_comparisons(runs)
    (group,) = opinion_groups(comparisons, second_opinions(runs, BASELINES))
    assert [(row["augmenter"], row["baseline"]) for row in group["rows"]] == [
        ("duplicate", "none"),
        ("gpt3mix", "none"),
        ("gpt3mix", "duplicate"),
        ("eda", "none"),
        ("eda", "duplicate"),
    ]
    assert group["rows"][1]["smallest"] == "p = 0.008"
    assert group["rows"][1]["error"] is None


def test_a_drawn_p_tells_its_error() -> None:
    runs = make_runs(seeds=range(8))
    opinions = second_opinions(runs, BASELINES).assign(p_error=0.0004)
    assert opinion_groups(make_comparisons(runs), opinions)[0]["rows"][0]["error"] == "± 0.0004"


def test_one_seed_has_no_opinion() -> None:
    runs = make_runs(seeds=[1])
    (group,) = opinion_groups(make_comparisons(runs), second_opinions(runs, BASELINES))
    assert {row["wilcoxon"] for row in group["rows"]} == {"not defined"}


def test_ranks_are_best_first() -> None:
    runs = make_runs(datasets=["a", "b", "c"])
    (group,) = rank_groups(rank_methods(runs, BASELINES))
    ranks = [float(row["rank"]) for row in group["rows"]]
    assert ranks == sorted(ranks)
    assert group["baselines"] == ["none", "duplicate"]
    gpt3mix = next(row for row in group["rows"] if row["augmenter"] == "gpt3mix")
    assert gpt3mix["beats"][0]["record"] == "3 won, 0 tied, 0 lost"


def test_one_dataset_has_no_ranks() -> None:
    assert rank_groups(rank_methods(make_runs(), BASELINES)) == []
