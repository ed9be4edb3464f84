from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hypermix import files, tables
from hypermix.errors import ArtefactError
from hypermix.stats.outcome import OUTCOMES
from hypermix.stats.summarize import compare, summarize
from hypermix.stats.verdict import judge

MakeRuns = Callable[..., pd.DataFrame]

LOW = [0.60, 0.61, 0.62, 0.60, 0.63, 0.61, 0.62, 0.60, 0.61, 0.62]
HIGH = [0.70, 0.72, 0.71, 0.73, 0.71, 0.70, 0.72, 0.71, 0.73, 0.70]
NEAR = [0.61, 0.60, 0.63, 0.59, 0.63, 0.62, 0.61, 0.60, 0.62, 0.61]


def decide(runs: pd.DataFrame, baselines: Sequence[str] = ("none", "duplicate"), **settings: float) -> dict[str, Any]:
    return judge(compare(runs, baselines), summarize(runs), baselines, **settings)


def outcomes(verdict: dict[str, Any]) -> list[str]:
    return [entry["outcome"] for entry in verdict["verdicts"]]


def test_clear_gain_helps(make_runs: MakeRuns) -> None:
    verdict = decide(make_runs({"none": LOW, "gpt3mix": HIGH}))
    assert verdict["outcome"] == "helps"
    assert verdict["headline"] == "gpt3mix helps on rt: +10.1 points against none, over 10 data seeds."


def test_clear_loss_hurts(make_runs: MakeRuns) -> None:
    verdict = decide(make_runs({"none": HIGH, "gpt3mix": LOW}))
    assert verdict["outcome"] == "hurts"
    assert verdict["headline"].startswith("gpt3mix hurts on rt: -10.1 points")


def test_same_accuracy_is_no_difference(make_runs: MakeRuns) -> None:
    verdict = decide(make_runs({"none": LOW, "gpt3mix": LOW}))
    assert verdict["outcome"] == "no_difference"
    assert verdict["verdicts"][0]["baselines"][0]["p_value"] == 1.0


@pytest.mark.parametrize("n_seeds", [1, 2, 3, 5])
def test_few_seeds_cannot_tell(make_runs: MakeRuns, n_seeds: int) -> None:
    verdict = decide(make_runs({"none": LOW[:n_seeds], "gpt3mix": HIGH[:n_seeds]}))
    seeds = "1 data seed" if n_seeds == 1 else f"{n_seeds} data seeds"
    assert verdict["outcome"] == "cannot_tell"
    assert verdict["headline"] == f"Cannot be told from {seeds} whether gpt3mix helps on rt."
    assert "at least 6 are needed" in verdict["verdicts"][0]["sentence"]


def test_six_seeds_answer_one_question(make_runs: MakeRuns) -> None:
    assert decide(make_runs({"none": LOW[:6], "gpt3mix": HIGH[:6]}))["outcome"] == "helps"


def test_six_seeds_cannot_answer_three(make_runs: MakeRuns) -> None:
    # three tests are corrected for, so even the smallest p value, 1 / 32, becomes 3 / 32
    verdict = decide(make_runs({"none": LOW[:6], "duplicate": LOW[:6], "gpt3mix": HIGH[:6]}))
    assert verdict["outcome"] == "cannot_tell"
    assert "when 3 comparisons are corrected for; at least 7 are needed" in verdict["verdicts"][0]["sentence"]


def test_gain_over_none_alone_is_no_gain(make_runs: MakeRuns) -> None:
    verdict = decide(make_runs({"none": LOW, "duplicate": HIGH, "gpt3mix": HIGH}))
    entry = verdict["verdicts"][0]
    assert [finding["outcome"] for finding in entry["baselines"]] == ["helps", "no_difference"]
    assert verdict["outcome"] == entry["outcome"] == "no_difference"
    assert "may come from the additional training steps alone" in entry["sentence"]


def test_gain_over_both_helps(make_runs: MakeRuns) -> None:
    verdict = decide(make_runs({"none": LOW, "duplicate": NEAR, "gpt3mix": HIGH}))
    assert verdict["outcome"] == "helps"
    assert "training steps" not in verdict["verdicts"][0]["sentence"]


def test_better_and_worse_is_mixed(make_runs: MakeRuns) -> None:
    middle = [(low + high) / 2 for low, high in zip(LOW, HIGH, strict=True)]
    assert decide(make_runs({"none": LOW, "duplicate": HIGH, "gpt3mix": middle}))["outcome"] == "mixed"


def test_baselines_have_no_verdict(make_runs: MakeRuns) -> None:
    verdict = decide(make_runs({"none": LOW, "duplicate": NEAR, "gpt3mix": HIGH, "eda": NEAR}))
    assert [entry["augmenter"] for entry in verdict["verdicts"]] == ["eda", "gpt3mix"]


def test_settings_are_judged_apart(make_runs: MakeRuns) -> None:
    runs = pd.concat(
        [
            make_runs({"none": LOW, "gpt3mix": HIGH}, dataset="rt"),
            make_runs({"none": LOW, "gpt3mix": NEAR}, dataset="sst2"),
            make_runs({"none": HIGH, "gpt3mix": LOW}, dataset="sst2", classifier="probe"),
        ]
    )
    verdict = decide(runs)
    assert outcomes(verdict) == ["helps", "no_difference", "hurts"]
    assert verdict["outcome"] == "mixed"
    assert verdict["headline"] == "gpt3mix helps in 1 of 3 settings, hurts in 1 and shows no clear difference in 1."


def test_entry_holds_the_numbers(make_runs: MakeRuns) -> None:
    entry = decide(make_runs({"none": LOW, "gpt3mix": HIGH}))["verdicts"][0]
    finding = entry["baselines"][0]
    assert list(entry) == [
        *("dataset", "subsample", "classifier", "augmenter", "outcome", "sentence", "n_seeds", "mean", "baselines")
    ]
    assert list(finding) == [
        *("baseline", "outcome", "mean", "mean_difference", "ci_low", "ci_high"),
        *("p_value", "p_adjusted", "n_pairs", "pairs_needed"),
        *("largest_difference", "seeds_needed", "usd_needed"),
    ]
    assert (entry["n_seeds"], finding["n_pairs"]) == (10, 10)
    assert entry["mean"] - finding["mean"] == pytest.approx(finding["mean_difference"])
    assert isinstance(finding["pairs_needed"], int)


def test_settings_of_the_verdict_are_told(make_runs: MakeRuns) -> None:
    verdict = decide(make_runs({"none": LOW, "gpt3mix": HIGH}), alpha=0.01, level=0.99)
    assert list(verdict) == [*("headline", "outcome", "metric", "alpha", "level", "missing", "cautions", "verdicts")]
    assert (verdict["metric"], verdict["alpha"], verdict["level"]) == ("accuracy", 0.01, 0.99)
    assert "99 % interval" in verdict["verdicts"][0]["sentence"]


@pytest.mark.parametrize(
    ("accuracies", "missing"),
    [
        ({"none": LOW, "duplicate": NEAR, "gpt3mix": HIGH}, []),
        ({"none": LOW, "gpt3mix": HIGH}, ["duplicate"]),
        ({"duplicate": LOW, "gpt3mix": HIGH}, ["none"]),
        ({"gpt3mix": HIGH}, ["none", "duplicate"]),
    ],
)
def test_missing_controls_are_told(make_runs: MakeRuns, accuracies: dict[str, list[float]], missing: list[str]) -> None:
    verdict = decide(make_runs(accuracies))
    assert verdict["missing"] == missing
    assert [caution.split(" ran,")[0].split()[-1] for caution in verdict["cautions"]] == missing


def test_controls_are_known_by_their_method(make_runs: MakeRuns) -> None:
    runs = make_runs({"plain": LOW, "twice": NEAR, "gpt3mix": HIGH})
    names = ["plain", "twice"]
    found = judge(compare(runs, names), summarize(runs), names, methods={"plain": "none", "twice": "duplicate"})
    assert found["missing"] == []


def test_largest_possible_difference_is_told(make_runs: MakeRuns) -> None:
    finding = decide(make_runs({"none": LOW, "gpt3mix": NEAR}))["verdicts"][0]["baselines"][0]
    assert finding["largest_difference"] == max(finding["ci_low"], finding["ci_high"], key=abs)


def test_missing_seeds_have_a_price(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": LOW[:3], "gpt3mix": HIGH[:3]})
    costs = {("rt", "32s", "gpt3mix"): 0.25}
    found = judge(compare(runs, ["none"]), summarize(runs), ["none"], costs=costs)["verdicts"][0]
    finding = found["baselines"][0]
    assert finding["seeds_needed"] == 6
    assert finding["usd_needed"] == pytest.approx(0.75)
    assert "at least 6 are needed, about $0.75 more for its language model." in found["sentence"]


def test_unequal_trials_are_judged(make_runs: MakeRuns) -> None:
    uneven = [[value, value + 0.02, value - 0.02] if place % 2 else [value] for place, value in enumerate(HIGH)]
    assert decide(make_runs({"none": LOW, "duplicate": LOW, "gpt3mix": uneven}))["outcome"] == "helps"


def test_overlapping_test_sets_need_more(make_runs: MakeRuns) -> None:
    better = [value + 0.02 + 0.01 * (-1) ** place for place, value in enumerate(LOW)]
    runs = make_runs({"none": LOW, "gpt3mix": better})
    plain, shared = (
        judge(compare(runs, ["none"], overlaps=one), summarize(runs), ["none"]) for one in ({}, {"rt": 0.5})
    )
    assert (plain["outcome"], shared["outcome"]) == ("helps", "no_difference")


def test_stricter_alpha_cannot_tell(make_runs: MakeRuns) -> None:
    assert decide(make_runs({"none": LOW[:6], "gpt3mix": HIGH[:6]}), alpha=0.01)["outcome"] == "cannot_tell"


@pytest.mark.parametrize("n_seeds", [1, 2, 8])
def test_verdict_is_strict_json(make_runs: MakeRuns, n_seeds: int) -> None:
    runs = make_runs({"none": LOW[:n_seeds], "duplicate": [0.6], "gpt3mix": HIGH[:n_seeds]})
    verdict = decide(runs)
    assert json.loads(json.dumps(verdict, allow_nan=False)) == verdict
    assert verdict["outcome"] in OUTCOMES


def test_undefined_numbers_are_none(make_runs: MakeRuns) -> None:
    finding = decide(make_runs({"none": [0.6], "gpt3mix": [0.7]}))["verdicts"][0]["baselines"][0]
    assert {finding[name] for name in ("ci_low", "ci_high", "p_value", "p_adjusted", "pairs_needed")} == {None}
    assert finding["mean_difference"] == pytest.approx(0.1)


def test_missing_runs_leave_fewer_pairs(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": LOW, "gpt3mix": HIGH})
    verdict = decide(runs[~((runs["augmenter"] == "none") & (runs["data_seed"] > 4))])
    assert verdict["headline"] == "Cannot be told from 4 data seeds whether gpt3mix helps on rt."
    assert verdict["verdicts"][0]["n_seeds"] == 10


def test_missing_accuracy_leaves_no_mean(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": LOW, "gpt3mix": HIGH})
    runs.loc[runs["augmenter"] == "gpt3mix", "accuracy"] = math.nan
    entry = decide(runs)["verdicts"][0]
    assert (entry["outcome"], entry["mean"], entry["n_seeds"]) == ("cannot_tell", None, 0)
    assert entry["sentence"] == "gpt3mix cannot be compared with none: no data seed has both."


def test_setting_without_baseline_is_nothing(make_runs: MakeRuns) -> None:
    runs = pd.concat([make_runs({"none": LOW, "gpt3mix": HIGH}), make_runs({"gpt3mix": HIGH}, dataset="sst2")])
    verdict = decide(runs)
    assert outcomes(verdict) == ["helps", "nothing"]
    assert verdict["outcome"] == "helps"
    assert verdict["headline"].startswith("gpt3mix helps on rt")


@pytest.mark.parametrize(
    ("accuracies", "baselines", "reason"),
    [
        ({"gpt3mix": LOW}, ["none"], "the experiment has no baseline (none)"),
        ({"gpt3mix": LOW}, [], "the experiment has no baseline (no name is given)"),
        ({"none": LOW, "duplicate": LOW}, ["none", "duplicate"], "every augmenter is a baseline (none, duplicate)"),
    ],
)
def test_nothing_to_compare_is_explained(
    make_runs: MakeRuns, accuracies: dict[str, list[float]], baselines: list[str], reason: str
) -> None:
    verdict = decide(make_runs(accuracies), baselines)
    assert (verdict["outcome"], verdict["verdicts"]) == ("nothing", [])
    assert verdict["headline"] == f"Nothing to compare: {reason}."


def test_baseline_elsewhere_is_explained(make_runs: MakeRuns) -> None:
    runs = pd.concat([make_runs({"none": LOW}, dataset="sst2"), make_runs({"gpt3mix": HIGH}, dataset="rt")])
    assert decide(runs, ["none"])["headline"] == (
        "Nothing to compare: no augmenter ran in the same setting as a baseline (none)."
    )


def test_no_runs_are_explained() -> None:
    verdict = decide(pd.DataFrame(columns=tables.SCHEMAS["runs"].names))
    assert (verdict["outcome"], verdict["headline"]) == ("nothing", "Nothing to compare: there are no runs.")


def test_written_tables_give_the_same_verdict(make_runs: MakeRuns, tmp_path: Path) -> None:
    runs = make_runs({"none": LOW[:7], "duplicate": [0.6], "gpt3mix": HIGH[:7]})
    frames = {"comparisons": compare(runs, ["none", "duplicate"]), "summary": summarize(runs)}
    for name, frame in frames.items():
        files.write_table(tmp_path / f"{name}.parquet", tables.from_columns(name, frame), {})
    read = {name: files.read_table(tmp_path / f"{name}.parquet", name) for name in frames}
    found, expected = (judge(one["comparisons"], one["summary"], ["none", "duplicate"]) for one in (read, frames))
    assert found == expected


@pytest.mark.parametrize("table", ["comparisons", "summary"])
def test_missing_column_is_refused(make_runs: MakeRuns, table: str) -> None:
    runs = make_runs({"none": LOW, "gpt3mix": HIGH})
    frames = {"comparisons": compare(runs, ["none"]), "summary": summarize(runs)}
    frames[table] = frames[table].drop(columns="ci_low")
    with pytest.raises(ArtefactError, match=rf"{table}: lacks the columns \['ci_low'\], it must have .* run aggregate"):
        judge(frames["comparisons"], frames["summary"], ["none"])


@pytest.mark.parametrize(("alpha", "level", "name"), [(5.0, 0.95, "alpha"), (0.05, 5.0, "level")])
def test_wrong_share_is_refused(make_runs: MakeRuns, alpha: float, level: float, name: str) -> None:
    runs = make_runs({"none": LOW, "gpt3mix": HIGH})
    with pytest.raises(ArtefactError, match=f"{name} is 5.0, it must lie between 0 and 1"):
        judge(compare(runs, ["none"]), summarize(runs), ["none"], alpha=alpha, level=level)
