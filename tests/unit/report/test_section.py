from __future__ import annotations

import pytest

from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.report import section
from tests.report_data import make_comparisons, make_runs, make_summary, make_verdict


def test_sizes_have_matching_nouns() -> None:
    assert section.experiment_size(make_runs(seeds=[1])) == [
        ("1", "dataset"),
        ("1", "subsample size"),
        ("1", "data seed"),
        ("4", "augmenters"),
        ("1", "classifier"),
        ("8", "runs"),
    ]


def test_every_seed_has_its_column() -> None:
    runs = make_runs(seeds=[9, 3])
    (group,) = section.accuracy_groups(runs, make_summary(runs))
    assert group["seeds"] == [3, 9]
    assert all(len(row["seeds"]) == 2 for row in group["rows"])


def test_missing_run_is_told() -> None:
    runs = make_runs(seeds=[1, 2])
    runs = runs[(runs["augmenter"] != "eda") | (runs["data_seed"] == 1)]
    (group,) = section.accuracy_groups(runs, make_summary(runs))
    assert [row["seeds"][1] for row in group["rows"]][-1] == "no run"


def test_all_measures_are_shown() -> None:
    (group,) = section.measure_groups(make_summary(make_runs()))
    assert len(section.measure_names()) == len(tables.METRICS)
    assert all(len(row["values"]) == len(tables.METRICS) for row in group["rows"])


def test_comparison_has_its_outcome() -> None:
    comparisons = make_comparisons(make_runs())
    outcomes = section.verdict_outcomes(make_verdict(comparisons, "hurts"))
    (group,) = section.difference_groups(comparisons, outcomes)
    told = {(row["augmenter"], row["baseline"]): row["outcome"] for row in group["rows"]}
    assert told["duplicate", "none"] is None
    assert told["gpt3mix", "none"].word == "Hurts"


def test_one_pair_defines_no_test() -> None:
    (group,) = section.difference_groups(make_comparisons(make_runs(seeds=[1])), {})
    assert group["tests"] == ["none"]
    assert {row["p"] for row in group["rows"]} == {row["pairs_needed"] for row in group["rows"]} == {"not defined"}


def test_verdict_says_where_it_holds() -> None:
    entry = section.verdict_entries(make_verdict(make_comparisons(make_runs())))[0]
    assert entry["where"] == "rt · 16s · minilm"
    assert entry["outcome"].word == "Cannot tell"


def test_unknown_outcome_is_an_error() -> None:
    with pytest.raises(ArtefactError, match="unknown outcome 'never'"):
        section.verdict_entries(make_verdict(make_comparisons(make_runs()), "never"))
