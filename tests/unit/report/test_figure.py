from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from hypermix.errors import ArtefactError
from hypermix.report import figure
from hypermix.report.figure import group_settings, seed_means
from tests.report_data import make_comparisons, make_runs, make_summary, parse_svg


def accuracy_figure(runs: pd.DataFrame, summary: pd.DataFrame, **how: Any) -> str:
    return figure.accuracy_figure(runs, summary, **how).svg("accuracy")


def difference_figure(comparisons: pd.DataFrame, **how: Any) -> str:
    return figure.difference_figure(comparisons, **how).svg("difference")


def words(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in parse_svg(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_same_runs_give_same_figure() -> None:
    runs = make_runs()
    assert accuracy_figure(runs, make_summary(runs)) == accuracy_figure(runs, make_summary(runs))


def test_methods_stand_in_given_order() -> None:
    runs = make_runs()
    order = ["eda", "gpt3mix", "none", "duplicate"]
    shown = words(accuracy_figure(runs, make_summary(runs), order=order))
    assert [text for text in shown if text in order] == order


def test_each_setting_has_a_panel() -> None:
    runs = make_runs(datasets=["rt", "ag"], subsamples=["16s", "32s"])
    shown = words(accuracy_figure(runs, make_summary(runs)))
    titles = [text for text in shown if text.endswith("minilm")]
    assert titles == ["rt · 16s · minilm", "rt · 32s · minilm", "ag · 16s · minilm", "ag · 32s · minilm"]


def test_near_chance_level_is_drawn() -> None:
    runs = make_runs()
    shown = words(accuracy_figure(runs, make_summary(runs), chance={"rt": 0.65}))
    assert "accuracy, % · dotted: guessing, 65.0 %" in shown


def test_far_chance_level_is_told() -> None:
    runs = make_runs()
    shown = words(accuracy_figure(runs, make_summary(runs), chance={"rt": 0.05}))
    assert "accuracy, % · guessing (5.0 %) is off the axis" in shown


def test_baselines_look_different() -> None:
    runs = make_runs()
    plain = accuracy_figure(runs, make_summary(runs))
    marked = accuracy_figure(runs, make_summary(runs), baselines=["none"])
    assert marked.count("f-muted") > plain.count("f-muted")


def test_one_seed_has_no_interval() -> None:
    runs = make_runs(seeds=[5])
    svg = accuracy_figure(runs, make_summary(runs))
    assert "to" not in " ".join(words(svg)).split()
    assert "nan" not in svg


def test_twelve_methods_are_all_named() -> None:
    names = [f"method-{index:02d}" for index in range(12)]
    runs = make_runs(augmenters=names)
    assert set(names) <= set(words(accuracy_figure(runs, make_summary(runs))))


def test_description_tells_the_numbers() -> None:
    svg = difference_figure(make_comparisons(make_runs()))
    assert "gpt3mix vs none +" in (parse_svg(svg).findtext("{*}desc") or "")


def test_outcome_changes_the_shape() -> None:
    comparisons = make_comparisons(make_runs())
    key = ("rt", "16s", "minilm", "gpt3mix", "none")
    drawn = {
        outcome: difference_figure(comparisons, outcomes={key: outcome})
        for outcome in ("helps", "hurts", "mixed", "no_difference", "cannot_tell")
    }
    bare = {svg.replace("good", "").replace("bad", "") for svg in drawn.values()}
    assert len(bare) == len(drawn)


def test_missing_difference_is_not_defined() -> None:
    comparisons = make_comparisons(make_runs())
    comparisons[["mean_difference", "ci_low", "ci_high"]] = float("nan")
    shown = words(difference_figure(comparisons))
    assert shown.count("not defined") == len(comparisons)


def test_unknown_outcome_is_an_error() -> None:
    with pytest.raises(ArtefactError, match="unknown outcome 'perhaps'"):
        difference_figure(
            make_comparisons(make_runs()), outcomes={("rt", "16s", "minilm", "gpt3mix", "none"): "perhaps"}
        )


def test_empty_summary_is_an_error() -> None:
    runs = make_runs()
    with pytest.raises(ArtefactError, match="'summary' has no row with the metric 'accuracy'"):
        accuracy_figure(runs, make_summary(runs).iloc[:0])


def test_empty_comparisons_are_an_error() -> None:
    with pytest.raises(ArtefactError, match="'comparisons' has no row with the metric 'accuracy'"):
        difference_figure(make_comparisons(make_runs()).iloc[:0])


def test_trials_are_averaged_per_seed() -> None:
    runs = make_runs(augmenters=["none"], seeds=[1])
    means = seed_means(runs)
    assert len(means) == 1
    assert means["accuracy"].iloc[0] == pytest.approx(runs["accuracy"].mean())


def test_settings_keep_first_appearance() -> None:
    keys = [setting for setting, _ in group_settings(make_runs(datasets=["z", "a"]))]
    assert keys == [("z", "16s", "minilm"), ("a", "16s", "minilm")]
