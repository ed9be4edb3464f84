from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hypermix.stats.ranking import critical_difference, rank_methods, win_probability
from hypermix.tables import SCHEMAS, from_columns

MakeRuns = Callable[..., pd.DataFrame]


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_difference_matches_published_table(methods: int, q: float) -> None:
    # Demsar 2006, table 5(a)
    expected = q * math.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("methods", "datasets"), [(1, 5), (3, 1), (0, 0)])
def test_nothing_to_rank_has_no_critical_difference(methods: int, datasets: int) -> None:
    assert math.isnan(critical_difference(methods, datasets))


def test_wins_make_a_probability() -> None:
    # with a uniform prior and two wins of two: 1 - 0.5 ** 3
    assert win_probability(2, 0, 0) == pytest.approx(0.875)
    assert win_probability(0, 0, 0) == win_probability(0, 4, 0) == pytest.approx(0.5)
    assert win_probability(3, 1, 1) == pytest.approx(stats.beta.sf(0.5, 4.5, 2.5))


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_sides_share_the_probability(wins: int, ties: int, losses: int) -> None:
    assert win_probability(wins, ties, losses) + win_probability(losses, ties, wins) == pytest.approx(1)


def study(make_runs: MakeRuns, means: dict[str, list[float]]) -> pd.DataFrame:
    """Make runs of two data seeds from the mean of each augmenter on each dataset; NaN leaves it out."""
    frames = [
        make_runs(
            {name: [values[place]] * 2 for name, values in means.items() if not math.isnan(values[place])}, f"d{place}"
        )
        for place in range(len(next(iter(means.values()))))
    ]
    return pd.concat(frames)


MEANS = {"none": [0.6, 0.7, 0.8], "duplicate": [0.61, 0.7, 0.79], "gpt3mix": [0.65, 0.75, 0.85]}


def test_methods_are_ranked_over_datasets(make_runs: MakeRuns) -> None:
    found = rank_methods(study(make_runs, MEANS), ["none", "duplicate"])
    assert list(found) == SCHEMAS["ranks"].names
    assert from_columns("ranks", found).num_rows == 4
    ranks = found.drop_duplicates("augmenter").set_index("augmenter")
    assert ranks["mean_rank"].to_dict() == pytest.approx({"gpt3mix": 1, "duplicate": 2.5, "none": 2.5})
    expected = stats.friedmanchisquare(*(MEANS[name] for name in ("none", "duplicate", "gpt3mix"))).pvalue
    assert found["friedman_p"].to_numpy() == pytest.approx(expected)
    assert set(found["critical_difference"]) == {critical_difference(3, 3)}


def test_each_is_set_against_the_baselines(make_runs: MakeRuns) -> None:
    found = rank_methods(study(make_runs, MEANS), ["none", "duplicate"])
    told = {
        (row["augmenter"], row["baseline"]): (row["wins"], row["ties"], row["losses"])
        for row in found[found["baseline"].notna()].to_dict("records")
    }
    assert told == {
        ("duplicate", "none"): (1, 1, 1),
        ("gpt3mix", "none"): (3, 0, 0),
        ("gpt3mix", "duplicate"): (3, 0, 0),
    }
    assert found.loc[found["augmenter"] == "none", "p_better"].isna().all()


def test_method_that_lacks_a_dataset_is_left_out(make_runs: MakeRuns) -> None:
    found = rank_methods(study(make_runs, {**MEANS, "eda": [0.9, math.nan, 0.9]}), ["none"])
    assert set(found["augmenter"]) == {"none", "duplicate", "gpt3mix"}


@pytest.mark.parametrize("means", [{"none": [0.6], "gpt3mix": [0.7]}, {"none": [0.6, 0.7]}])
def test_one_dataset_or_one_method_is_not_ranked(make_runs: MakeRuns, means: dict[str, list[float]]) -> None:
    assert len(rank_methods(study(make_runs, means), ["none"])) == 0


def test_equal_methods_are_no_error(make_runs: MakeRuns) -> None:
    found = rank_methods(study(make_runs, {name: [0.7, 0.7] for name in ("a", "b", "none")}), ["none"])
    assert set(found["mean_rank"]) == {2.0}
    assert found["friedman_p"].isna().all()
    assert set(found["p_better"].dropna()) == {0.5}


def test_ranks_follow_scipy(make_runs: MakeRuns) -> None:
    generator = np.random.default_rng(2)
    scores = generator.random((6, 5))
    means = {f"m{place}": scores[:, place].tolist() for place in range(5)}
    found = rank_methods(study(make_runs, means), []).set_index("augmenter")["mean_rank"]
    assert found.to_numpy() == pytest.approx(stats.rankdata(-scores, axis=1).mean(axis=0))
