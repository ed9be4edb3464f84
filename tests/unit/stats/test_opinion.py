from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hypermix.stats.bootstrap import bootstrap_interval
from hypermix.stats.opinion import second_opinions, wilcoxon_p
from hypermix.stats.summarize import compare
from hypermix.tables import METRICS, SCHEMAS, from_columns

MakeRuns = Callable[..., pd.DataFrame]

LOW = [0.60, 0.61, 0.62, 0.60, 0.63, 0.61, 0.62]
HIGH = [0.70, 0.72, 0.71, 0.73, 0.71, 0.70, 0.72]


@given(st.lists(st.floats(-1, 1).filter(lambda value: abs(value) > 1e-6), min_size=1, max_size=12))
def test_wilcoxon_without_ties_equals_scipy(values: list[float]) -> None:
    sizes = np.round(np.abs(values), 12)
    if len(set(sizes.tolist())) == len(values):
        expected = stats.wilcoxon(values, method="exact").pvalue
        assert wilcoxon_p(values) == pytest.approx(expected, abs=1e-12)


def test_wilcoxon_counts_ties_exactly() -> None:
    # ranks 1.5, 1.5, 3 with signs + + -: of 8 patterns the sums 0 (4 times), +-3 and +-6 come; observed is 0
    assert wilcoxon_p([0.1, 0.1, -0.2]) == 1.0
    assert wilcoxon_p([0.1, 0.1, 0.2]) == 0.25


def test_wilcoxon_leaves_zeros_out() -> None:
    assert wilcoxon_p([0.0, 0.0, 0.1, 0.2, 0.3]) == wilcoxon_p([0.1, 0.2, 0.3]) == 0.25
    assert wilcoxon_p([0.0, 0.0]) == 1.0


def test_large_difference_counts_little() -> None:
    assert wilcoxon_p([0.1, 0.2, 0.3, 0.4, 9.0]) == wilcoxon_p([0.1, 0.2, 0.3, 0.4, 0.5])


def test_opinions_are_in_the_order_of_comparisons(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": LOW, "duplicate": LOW, "gpt3mix": HIGH, "eda": LOW})
    names = ["none", "duplicate"]
    found, comparisons = second_opinions(runs, names), compare(runs, names)
    keys = ["dataset", "subsample", "augmenter", "classifier", "baseline", "metric"]
    assert list(found) == SCHEMAS["opinions"].names
    assert found[keys].to_numpy().tolist() == comparisons[keys].to_numpy().tolist()
    assert from_columns("opinions", found).num_rows == len(comparisons)


def test_opinions_hold_their_numbers(make_runs: MakeRuns) -> None:
    row = second_opinions(make_runs({"none": LOW, "gpt3mix": HIGH}), ["none"], metrics=["accuracy"]).iloc[0]
    assert row["wilcoxon_p"] == 2.0**-6
    assert (row["smallest_p"], row["p_error"], row["eps_min"]) == (2.0**-6, 0.0, 0.0)
    expected = bootstrap_interval([[value] for value in HIGH], [[value] for value in LOW])
    assert (row["bootstrap_low"], row["bootstrap_high"]) == expected


def test_less_loss_is_better(make_runs: MakeRuns) -> None:
    found = second_opinions(make_runs({"none": LOW, "gpt3mix": HIGH}), ["none"]).set_index("metric")["eps_min"]
    worse = ("log_loss", "brier", "ece")
    assert found.to_dict() == {metric: float(metric in worse) for metric in METRICS}


@pytest.mark.parametrize("n", [1, 0])
def test_too_few_pairs_have_no_opinion(make_runs: MakeRuns, n: int) -> None:
    runs = make_runs({"none": LOW, "gpt3mix": HIGH})
    runs = runs[(runs["augmenter"] == "none") | (runs["data_seed"] <= max(n, 1))]
    if n == 0:
        runs.loc[runs["augmenter"] == "gpt3mix", "accuracy"] = math.nan
    row = second_opinions(runs, ["none"], metrics=["accuracy"]).iloc[0]
    assert row[["wilcoxon_p", "bootstrap_low", "bootstrap_high", "p_error", "eps_min"]].isna().all()
    assert row["smallest_p"] == 1.0


def test_all_runs_equal_are_no_error(make_runs: MakeRuns) -> None:
    row = second_opinions(make_runs({"none": [0.7] * 6, "gpt3mix": [0.7] * 6}), ["none"]).iloc[0]
    assert (row["wilcoxon_p"], row["bootstrap_low"], row["bootstrap_high"], row["eps_min"]) == (1.0, 0.0, 0.0, 0.5)


def test_overlapping_test_sets_have_no_opinion(make_runs: MakeRuns) -> None:
    found = second_opinions(make_runs({"none": LOW, "gpt3mix": HIGH}), ["none"], overlapping=["rt"])
    assert found[["wilcoxon_p", "bootstrap_low", "eps_min"]].isna().all().all()


def test_many_pairs_have_a_monte_carlo_error(make_runs: MakeRuns) -> None:
    generator = np.random.default_rng(1)
    runs = make_runs({"none": generator.random(40).tolist(), "gpt3mix": generator.random(40).tolist()})
    row = second_opinions(runs, ["none"], metrics=["accuracy"]).iloc[0]
    assert 0 < row["p_error"] < 0.001
