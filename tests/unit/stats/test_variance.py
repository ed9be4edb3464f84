from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.stats.interval import share_interval
from hypermix.stats.variance import split_variance, variance_components
from hypermix.tables import METRICS, SCHEMAS, from_columns

MakeRuns = Callable[..., pd.DataFrame]


def accuracy(frame: pd.DataFrame) -> pd.Series:
    return frame[frame["metric"] == "accuracy"].iloc[0]


def test_worked_example_of_equal_trials() -> None:
    # means 1, 3, 5 with spread 1 and -1: within 2, between 2 * 8 / 2 = 8, so (8 - 2) / 2 = 3
    found = variance_components([[0.0, 2.0], [2.0, 4.0], [4.0, 6.0]])
    assert (found.seed, found.seed_raw, found.trial) == (3.0, 3.0, 2.0)


def test_worked_example_of_unequal_trials() -> None:
    # counts 3 and 1, grand mean 2: within 2 / 2 = 1, between 3 * 1 + 9 = 12, n0 = 4 - 10 / 4 = 1.5
    found = variance_components([[0.0, 1.0, 2.0], [5.0]])
    assert found.trial == pytest.approx(1.0)
    assert found.seed == pytest.approx((12 - 1) / 1.5)


def test_negative_estimates_are_clipped_and_kept() -> None:
    found = variance_components([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert found.seed == 0
    assert found.seed_raw < 0


@pytest.mark.parametrize("counts", [[2] * 40, [1, 2, 3, 4] * 10])
def test_components_are_found_again(counts: list[int]) -> None:
    generator = np.random.default_rng(0)
    found = [
        variance_components([generator.normal(generator.normal(0, 2), 1, count).tolist() for count in counts])
        for _ in range(200)
    ]
    assert np.mean([one.seed_raw for one in found]) == pytest.approx(4, abs=0.3)
    assert np.mean([one.trial for one in found]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("seeds", "trial"), [([], math.nan), ([[0.5]], math.nan), ([[0.5], [0.6]], math.nan), ([[0.5, 0.7]], 0.02)]
)
def test_what_cannot_be_told_apart_is_nan(seeds: list[list[float]], trial: float) -> None:
    found = variance_components(seeds)
    assert math.isnan(found.seed)
    assert found.trial == pytest.approx(trial, nan_ok=True)


@given(st.floats(0, 1), st.lists(st.integers(1, 4), min_size=2, max_size=6))
def test_equal_runs_have_no_variance(value: float, counts: list[int]) -> None:
    found = variance_components([[value] * count for count in [*counts, 2]])
    assert (found.seed, found.trial) == (0.0, 0.0)


def test_table_has_a_row_for_each_metric(make_runs: MakeRuns) -> None:
    found = split_variance(make_runs({"none": [[0.6, 0.7], [0.8]], "gpt3mix": [0.7, 0.8]}))
    assert list(found) == SCHEMAS["variance"].names
    assert found["metric"].tolist() == list(METRICS) * 2
    assert from_columns("variance", found).num_rows == 12


def test_test_rows_add_the_binomial_part(make_runs: MakeRuns) -> None:
    row = accuracy(split_variance(make_runs({"none": [[0.5, 0.9], [0.5, 0.9]]})))
    assert row["test_variance"] == pytest.approx((0.25 + 0.09) / 2 / 100)
    assert row[["ci_low", "ci_high"]].isna().all()


def test_one_seed_has_an_interval_over_rows(make_runs: MakeRuns) -> None:
    row = accuracy(split_variance(make_runs({"none": [[0.7, 0.8]]}), 0.9))
    expected = share_interval(75, 100, 0.9)
    assert (row["ci_low"], row["ci_high"]) == (expected.low, expected.high)


def test_missing_metric_is_left_out(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [[0.6, 0.8], [0.7, 0.9]]})
    runs["accuracy"] = math.nan
    row = accuracy(split_variance(runs))
    assert row[["n_seeds", "n_runs"]].tolist() == [0, 0]
    assert row[["seed_variance", "trial_variance", "test_variance", "ci_low"]].isna().all()
