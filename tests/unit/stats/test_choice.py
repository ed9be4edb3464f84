from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.errors import ConfigError
from hypermix.stats.choice import Choice, Study, choose_variant
from hypermix.stats.summarize import compare, summarize
from hypermix.stats.verdict import judge
from tests.unit.stats.conftest import MakeRuns, build_runs

METHODS = {"mix": "gpt3mix", "copy": "duplicate", "none": "none", "mix2": "gpt3mix"}
LOW = [0.60, 0.61, 0.62, 0.60, 0.61, 0.63, 0.62, 0.60]
HIGH = [value + 0.1 + 0.01 * position for position, value in enumerate(LOW)]
HIGHER = [value + 0.02 for value in HIGH]
NOISY = [value + (0.3 if position % 2 else -0.25) for position, value in enumerate(LOW)]


def study(runs: pd.DataFrame, baselines: Sequence[str] = ("none", "copy")) -> Study:
    return Study(runs, summarize(runs), compare(runs, baselines), METHODS, alpha=0.05)


def choose(runs: pd.DataFrame, **given_names: Any) -> Choice:
    baselines = given_names.pop("baselines", ("none", "copy"))
    return choose_variant(study(runs, baselines), "rt", **given_names)


def sized(runs: pd.DataFrame, subsample: str, n_train: int) -> pd.DataFrame:
    return runs.assign(subsample=subsample, n_train=n_train)


def test_a_higher_mean_alone_is_no_reason(make_runs: MakeRuns) -> None:
    found = choose(make_runs({"none": LOW, "mix": NOISY}), baselines=["none"])
    assert np.mean(NOISY) > np.mean(LOW)

    assert (found.augmenter, found.classifier, found.measured) == ("none", "minilm", "32s")
    assert found.why == "No gain of an augmenter is shown at 32s, so the simplest one, none, was taken."


def test_a_gain_that_is_shown_is_taken(make_runs: MakeRuns) -> None:
    found = choose(make_runs({"none": LOW, "mix": HIGH}))

    assert found.augmenter == "mix"
    assert found.why == (
        "At 32s a gain is shown for mix; of these and the simplest one, mix has the highest mean accuracy."
    )


def test_three_seeds_can_show_no_gain(make_runs: MakeRuns) -> None:
    assert choose(make_runs({"none": LOW[:3], "mix": HIGHER[:3]})).augmenter == "none"


def test_a_gain_must_be_shown_against_every_baseline(make_runs: MakeRuns) -> None:
    runs = make_runs({"none": LOW, "copy": NOISY, "mix": HIGH})

    assert choose(runs).augmenter == "none"
    assert choose(runs, baselines=["none"]).augmenter == "mix"


def test_a_baseline_that_helps_may_be_taken(make_runs: MakeRuns) -> None:
    """Repeated rows that help are a finding too: more steps were wanted, and no language model."""
    assert choose(make_runs({"none": LOW, "copy": HIGH})).augmenter == "copy"


def test_the_best_of_several_gains_is_taken(make_runs: MakeRuns) -> None:
    found = choose(make_runs({"none": LOW, "mix": HIGH, "mix2": HIGHER}), baselines=["none"])

    assert found.augmenter == "mix2"
    assert "for mix, mix2;" in found.why


def test_a_loss_that_is_shown_is_not_taken(make_runs: MakeRuns) -> None:
    assert choose(make_runs({"none": HIGH, "mix": LOW})).augmenter == "none"


def test_equal_means_go_to_the_simpler_one(make_runs: MakeRuns) -> None:
    runs = make_runs({"mix": LOW, "copy": LOW, "none": LOW})

    assert choose(runs, baselines=[]).augmenter == "none"
    assert choose(make_runs({"mix": LOW, "mix2": LOW}), baselines=[]).augmenter == "mix"  # the first of the config


def test_without_a_baseline_the_mean_decides_and_that_is_said(make_runs: MakeRuns) -> None:
    found = choose(make_runs({"mix": LOW, "mix2": HIGH}), baselines=[])

    assert found.augmenter == "mix2"
    assert "no gain is tested" in found.why


def test_the_largest_size_decides_whatever_its_name(make_runs: MakeRuns) -> None:
    small = sized(make_runs({"none": LOW, "mix": HIGH}), "32s", 64)
    large = sized(make_runs({"none": LOW, "mix": LOW}), "0.1f", 700)
    found = choose(pd.concat([small, large]))

    assert (found.augmenter, found.measured) == ("none", "0.1f")
    assert choose(pd.concat([sized(small, "32s", 900), large])).augmenter == "mix"


def test_the_best_classifier_is_taken_without_a_test(make_runs: MakeRuns) -> None:
    runs = pd.concat(
        [make_runs({"none": LOW, "mix": HIGH}), make_runs({"none": HIGHER, "mix": NOISY}, classifier="bert")]
    )
    found = choose(runs, baselines=["none"])

    assert (found.augmenter, found.classifier) == ("none", "bert")
    assert found.why.endswith(
        "Of 2 classifiers bert has the highest mean accuracy at 32s; classifiers are not tested against each other."
    )


def test_named_parts_stay(make_runs: MakeRuns) -> None:
    runs = pd.concat([make_runs({"none": LOW, "mix": NOISY}), make_runs({"none": HIGH, "mix": HIGH}, classifier="b")])

    assert choose(runs, augmenter="mix").classifier == "b"
    assert choose(runs, classifier="minilm").augmenter == "none"
    both = choose(runs, augmenter="mix", classifier="minilm")
    assert both == Choice("mix", "minilm", "32s", "The config names the augmenter and the classifier.")


def test_a_named_variant_needs_no_run(make_runs: MakeRuns) -> None:
    found = choose(make_runs({"none": LOW}), augmenter="mix", classifier="minilm")

    assert found.measured is None


@pytest.mark.parametrize("names", [{"augmenter": "mix"}, {"classifier": "bert"}])
def test_what_no_run_tells_must_be_named(make_runs: MakeRuns, names: Mapping[str, str]) -> None:
    (kind, name), *_ = names.items()
    wanted = f"no run with the dataset 'rt', the {kind} '{name}'.*name export.augmenter and export.classifier"
    with pytest.raises(ConfigError, match=wanted):
        choose(make_runs({"none": LOW}), **names)


def test_runs_of_other_datasets_tell_nothing(make_runs: MakeRuns) -> None:
    runs = pd.concat([make_runs({"none": LOW, "mix": LOW}), make_runs({"none": LOW, "mix": HIGH}, dataset="other")])

    assert choose(runs).augmenter == "none"
    assert choose_variant(study(runs), "other").augmenter == "mix"


def test_a_metric_that_does_not_exist_is_not_the_best(make_runs: MakeRuns) -> None:
    assert choose(make_runs({"none": LOW, "mix": [float("nan")] * 8})).augmenter == "none"


PERCENTS = st.lists(st.integers(40, 50), min_size=7, max_size=7)


@settings(max_examples=30)
@given(PERCENTS, PERCENTS, PERCENTS, st.integers(-5, 20))
def test_only_what_the_verdict_says_helps_takes_the_place_of_none(
    none: list[int], copied: list[int], mixed: list[int], gain: int
) -> None:
    percents = {"none": none, "copy": copied, "mix": [one + gain for one in mixed]}
    runs = build_runs({name: [one / 100 for one in ones] for name, ones in percents.items()})
    told = study(runs)
    (verdict,) = judge(told.comparisons, told.summary, ["none", "copy"])["verdicts"]
    best = choose_variant(told, "rt")

    assert (best.augmenter == "mix") <= (verdict["outcome"] == "helps")
    assert np.mean(percents[best.augmenter]) >= np.mean(none)
