from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from hypermix.errors import ArtefactError
from hypermix.stats.compare import holm
from hypermix.stats.interval import mean_interval
from hypermix.stats.summarize import compare, summarize
from hypermix.tables import METRICS, SCHEMAS, from_columns

MakeRuns = Callable[..., pd.DataFrame]

UNEVEN = [0.86, 0.03, 0.73, 0.18]
"""Numbers whose floating point mean depends on their order."""


def pick(frame: pd.DataFrame, **values: str) -> pd.Series:
    """Return the one row with these values, of accuracy unless another metric is named."""
    for column, value in {"metric": "accuracy", **values}.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_trials_are_averaged_inside_data_seed(make_runs: MakeRuns) -> None:
    row = pick(summarize(make_runs({"none": [[0.5, 0.7], [0.9, 0.7]]})))
    assert (row["n_seeds"], row["n_runs"]) == (2, 4)
    assert row["mean"] == pytest.approx(0.7)
    assert row["sd"] == pytest.approx(math.sqrt(0.02))


def test_unequal_trials_weigh_seeds_equally(make_runs: MakeRuns) -> None:
    row = pick(summarize(make_runs({"none": [[0.6, 0.6, 0.6], [0.8]]})))
    assert (row["n_seeds"], row["n_runs"]) == (2, 4)
    assert row["mean"] == pytest.approx(0.7)


def test_interval_is_that_of_the_seeds(make_runs: MakeRuns) -> None:
    row = pick(summarize(make_runs({"none": [0.6, 0.7, 0.75]}), level=0.9))
    expected = mean_interval([0.6, 0.7, 0.75], 0.9)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, expected.high))


def test_one_seed_has_no_spread(make_runs: MakeRuns) -> None:
    row = pick(summarize(make_runs({"none": [[0.6, 0.8]]})))
    assert row["mean"] == pytest.approx(0.7)
    assert row[["sd", "ci_low", "ci_high"]].isna().all()


def test_all_equal_runs_have_zero_width(make_runs: MakeRuns) -> None:
    row = pick(summarize(make_runs({"none": [[0.7, 0.7, 0.7]] * 5})))
    assert row["sd"] == 0
    assert row["ci_low"] == row["ci_high"] == row["mean"]


def test_missing_metric_leaves_only_that_metric(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.6, 0.7, 0.8]})
    runs.loc[0, "ece"] = math.nan
    summary = summarize(runs)
    assert pick(summary, metric="ece")[["n_seeds", "n_runs"]].tolist() == [2, 2]
    assert pick(summary, metric="accuracy")[["n_seeds", "n_runs"]].tolist() == [3, 3]


def test_missing_trial_leaves_the_seed(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [[0.6, 0.9], [0.8, 0.8]]})
    runs.loc[1, "accuracy"] = math.nan
    row = pick(summarize(runs))
    assert row[["n_seeds", "n_runs"]].tolist() == [2, 3]
    assert row["mean"] == pytest.approx(0.7)


def test_metric_without_values_is_null(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.6, 0.7]})
    runs["mcc"] = math.nan
    row = pick(summarize(runs), metric="mcc")
    assert row[["n_seeds", "n_runs"]].tolist() == [0, 0]
    assert math.isnan(row["mean"])


def test_summary_is_sorted_by_keys(make_runs: MakeRuns) -> None:
    runs = pd.concat([make_runs({"none": [0.6], "gpt3mix": [0.7]}, dataset=name) for name in ("sst2", "rt")])
    summary = summarize(runs)
    assert summary["dataset"].unique().tolist() == ["rt", "sst2"]
    assert summary["augmenter"].unique().tolist() == ["gpt3mix", "none"]
    assert summary["metric"].tolist() == list(METRICS) * 4


@pytest.mark.parametrize("seed", range(4))
def test_order_of_runs_does_not_matter(seed: int) -> None:
    generator = np.random.default_rng(0)
    rows = [
        {
            "dataset": "rt",
            "subsample": "32s",
            "data_seed": data_seed,
            "augmenter": name,
            "classifier": "m",
            "trial": trial,
        }
        | {metric: float(generator.random()) for metric in METRICS}
        for data_seed in range(4)
        for name in ("none", "duplicate", "gpt3mix")
        for trial in range(3)
    ]
    runs = pd.DataFrame(rows)
    shuffled = runs.sample(frac=1, random_state=np.random.default_rng(seed))
    pd.testing.assert_frame_equal(summarize(shuffled), summarize(runs), check_exact=True)
    found, expected = compare(shuffled, ["none", "duplicate"]), compare(runs, ["none", "duplicate"])
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_mean_does_not_depend_on_files(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [UNEVEN]})
    assert pick(summarize(runs[::-1]))["mean"] == pick(summarize(runs))["mean"]


def test_difference_is_augmenter_minus_baseline(make_runs: MakeRuns) -> None:
    row = pick(compare(make_runs({"none": [0.6, 0.7], "gpt3mix": [0.7, 0.9]}), ["none"]))
    assert (row["augmenter"], row["baseline"], row["n_pairs"]) == ("gpt3mix", "none", 2)
    assert row["mean_difference"] == pytest.approx(0.15)
    assert row["p_value"] == 0.5


def test_only_shared_seeds_are_paired(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.6, 0.7, 0.8], "gpt3mix": [0.7, 0.8, 0.9]})
    kept = runs[~((runs["augmenter"] == "none") & (runs["data_seed"] == 2))]
    row = pick(compare(kept, ["none"]))
    assert row["n_pairs"] == 2
    assert row["mean_difference"] == pytest.approx(0.1)


def test_missing_metric_is_a_missing_pair(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.6, 0.7, 0.8], "gpt3mix": [0.7, 0.8, 0.9]})
    runs.loc[0, "mcc"] = math.nan
    comparisons = compare(runs, ["none"])
    assert pick(comparisons, metric="mcc")["n_pairs"] == 2
    assert pick(comparisons)["n_pairs"] == 3


def test_disjoint_seeds_have_no_pair(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.6, 0.7], "gpt3mix": [0.7, 0.8]})
    runs.loc[runs["augmenter"] == "none", "data_seed"] += 10
    row = pick(compare(runs, ["none"]))
    assert (row["n_pairs"], row["test"]) == (0, "none")
    assert row[["mean_difference", "p_value", "p_adjusted", "pairs_needed"]].isna().all()


def test_one_seed_has_no_test(make_runs: MakeRuns) -> None:
    row = pick(compare(make_runs({"none": [[0.6, 0.5]], "gpt3mix": [[0.7]]}), ["none"]))
    assert (row["n_pairs"], row["test"]) == (1, "none")
    assert row["mean_difference"] == pytest.approx(0.15)
    assert row[["ci_low", "p_value", "p_adjusted", "effect_size"]].isna().all()


def test_rounding_of_means_is_no_difference(make_runs: MakeRuns) -> None:
    # in another order these accuracies have another floating point mean
    runs = make_runs({"none": [UNEVEN] * 3, "gpt3mix": [UNEVEN[::-1]] * 3})
    row = pick(compare(runs, ["none"]))
    assert row[["mean_difference", "p_value", "effect_size"]].tolist() == [0.0, 1.0, 0.0]


def test_baselines_meet_only_earlier_ones(make_runs: MakeRuns) -> None:
    runs = make_runs({"duplicate": [0.6, 0.7], "gpt3mix": [0.6, 0.8], "none": [0.5, 0.6]})
    comparisons = compare(runs, ["none", "duplicate"])
    found = comparisons[comparisons["metric"] == "accuracy"]
    pairs = list(zip(found["augmenter"], found["baseline"], strict=True))
    assert pairs == [("duplicate", "none"), ("gpt3mix", "none"), ("gpt3mix", "duplicate")]


def test_repeated_baseline_counts_once(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.5, 0.6], "gpt3mix": [0.6, 0.8]})
    pd.testing.assert_frame_equal(compare(runs, ["none", "none"]), compare(runs, ["none"]))


def test_baseline_of_other_setting_is_not_used(make_runs: MakeRuns) -> None:
    runs = pd.concat(
        [
            make_runs({"none": [0.5, 0.6], "gpt3mix": [0.6, 0.8]}, dataset="rt"),
            make_runs({"gpt3mix": [0.6, 0.8]}, dataset="sst2"),
            make_runs({"gpt3mix": [0.6, 0.8]}, dataset="rt", classifier="probe"),
        ]
    )
    found = compare(runs, ["none"])
    assert found[["dataset", "classifier"]].drop_duplicates().to_numpy().tolist() == [["rt", "minilm"]]


@pytest.mark.parametrize("baselines", [[], ["real"]])
def test_without_baseline_there_is_no_row(make_runs: MakeRuns, baselines: list[str]) -> None:
    assert compare(make_runs({"none": [0.5, 0.6], "gpt3mix": [0.6, 0.8]}), baselines).empty


def test_family_is_one_metric_of_everything(make_runs: MakeRuns) -> None:
    strong = {"none": [0.5] * 8, "gpt3mix": [0.6, 0.61, 0.62, 0.63, 0.6, 0.61, 0.62, 0.63]}
    weak = {"none": [0.5] * 8, "gpt3mix": [0.6, 0.4, 0.6, 0.4, 0.6, 0.6, 0.6, 0.5]}
    comparisons = compare(pd.concat([make_runs(strong, dataset="rt"), make_runs(weak, dataset="sst2")]), ["none"])
    found = comparisons[comparisons["metric"] == "brier"]
    assert found["p_adjusted"].tolist() == holm(found["p_value"].to_list()).tolist()
    assert found["p_adjusted"].iloc[0] == 2 * found["p_value"].iloc[0]


def test_bounds_are_a_family_of_their_own(make_runs: MakeRuns) -> None:
    gain = [0.6, 0.61, 0.62, 0.63, 0.6, 0.61, 0.62, 0.63]
    runs = make_runs({"none": [0.5] * 8, "gpt3mix": gain, "real": gain, "shuffle": [0.4] * 8})
    found = compare(runs, ["none"], bounds=["real", "shuffle"])
    assert pick(found, augmenter="gpt3mix")["p_adjusted"] == pick(found, augmenter="gpt3mix")["p_value"]
    assert pick(found, augmenter="real")["p_adjusted"] == 2 * pick(found, augmenter="real")["p_value"]
    assert pick(compare(runs, ["none"]), augmenter="gpt3mix")["p_adjusted"] == 3 * found["p_value"].iloc[0]


def test_missing_tests_leave_the_family(make_runs: MakeRuns) -> None:
    runs = pd.concat(
        [
            make_runs({"none": [0.5] * 8, "gpt3mix": [0.6] * 8}, dataset="rt"),
            make_runs({"none": [0.5], "gpt3mix": [0.6]}, dataset="sst2"),
        ]
    )
    comparisons = compare(runs, ["none"])
    assert pick(comparisons, dataset="rt")["p_adjusted"] == pick(comparisons, dataset="rt")["p_value"]
    assert math.isnan(pick(comparisons, dataset="sst2")["p_adjusted"])


def test_level_reaches_the_comparisons(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.5, 0.6, 0.7], "gpt3mix": [0.6, 0.8, 0.8]})
    lax, strict = pick(compare(runs, ["none"], 0.9)), pick(compare(runs, ["none"], 0.99))
    assert strict["ci_low"] < lax["ci_low"]


@pytest.mark.parametrize("n_seeds", [0, 1, 2, 7])
def test_frames_fit_their_tables(make_runs: MakeRuns, n_seeds: int) -> None:
    values = [0.5, 0.6, 0.7, 0.6, 0.5, 0.6, 0.7]
    runs = make_runs({"none": values[:n_seeds], "gpt3mix": values[7 - n_seeds :]})
    runs = runs if n_seeds else pd.DataFrame(columns=SCHEMAS["runs"].names)
    summary, comparisons = summarize(runs), compare(runs, ["none"])
    assert from_columns("summary", summary).num_rows == (12 if n_seeds else 0)
    assert from_columns("comparisons", comparisons).num_rows == (6 if n_seeds else 0)


def test_undefined_numbers_become_null(make_runs: MakeRuns) -> None:
    table = from_columns("comparisons", compare(make_runs({"none": [0.5], "gpt3mix": [0.6]}), ["none"]))
    assert {table[name].null_count for name in ("ci_low", "p_value", "p_adjusted", "pairs_needed")} == {6}
    assert table["test"].to_pylist() == ["none"] * 6


def test_runs_are_left_unchanged(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.5, 0.6], "gpt3mix": [0.6, 0.8]})
    before = runs.copy(deep=True)
    summarize(runs)
    compare(runs, ["none"])
    pd.testing.assert_frame_equal(runs, before)


@pytest.mark.parametrize("column", ["data_seed", "accuracy", "classifier"])
def test_missing_column_is_refused(make_runs: MakeRuns, column: str) -> None:
    runs = make_runs({"none": [0.5, 0.6]}).drop(columns=column)
    with pytest.raises(ArtefactError, match=rf"runs: lacks the columns \['{column}'\], it must have .* run aggregate"):
        summarize(runs)


def test_repeated_run_is_refused(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.5, 0.6]})
    message = (
        "dataset=rt, subsample=32s, data_seed=1, augmenter=none, classifier=minilm, trial=1 stands there more than"
    )
    with pytest.raises(ArtefactError, match=message):
        compare(pd.concat([runs, runs]), ["none"])


def test_infinite_metric_is_refused(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": [0.5, math.inf]})
    with pytest.raises(ArtefactError, match="value 1 is inf, it must be finite"):
        summarize(runs)
