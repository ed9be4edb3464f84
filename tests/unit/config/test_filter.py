"""Filters and relabeling in the config: what fits together, and what a slice holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.config.augmenter import asked_llm
from hypermix.config.load import check_files, load_config
from hypermix.config.model import Config
from hypermix.errors import ConfigError


def settle(augmenter: dict[str, Any], datasets: dict[str, Any] | None = None) -> Config:
    return load_config(
        {
            "datasets": datasets or {"rt": {"source": "packaged"}},
            "llms": {"one": {"api": "embedded"}, "two": {"api": "chat", "model": "m"}},
            "augmenters": {"mix": {"method": "gpt3mix", "llm": "one", **augmenter}, "none": {"method": "none"}},
            "classifiers": {"minilm": {"method": "finetune"}},
        }
    )


def sliced(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(experiment.augment_slice(config, "rt", "mix"))["augmenter"]
    return found


@pytest.mark.parametrize(
    "filters", [{}, {"filters": {}}, {"filters": {"copies": None}}, {"filters": {"copies": "near"}}]
)
def test_default_of_copies_is_resolved_for_the_slice(filters: dict[str, Any]) -> None:
    config = settle(filters)
    assert sliced(config)["filters"]["copies"] == "near"
    assert sliced(config) == sliced(settle({}))


def test_what_is_given_is_stronger_and_the_rest_stays() -> None:
    found = sliced(settle({"filters": {"copies": "keep", "quota": 1.5}}))["filters"]
    assert (found["copies"], found["quota"], found["leaks"]) == ("keep", 1.5, "near")


@pytest.mark.parametrize(
    ("augmenter", "mistake"),
    [
        ({"filters": {"similarity": 0.4}}, "augmenters.mix.filters.similarity: 0.4 stands there"),
        ({"filters": {"quota": 0.5}}, "augmenters.mix.filters.quota: 0.5 stands there"),
        ({"filters": {"language": "English"}}, "augmenters.mix.filters.language: 'English' stands there"),
        ({"filters": {"copys": "near"}}, "augmenters.mix.filters.copys: unknown key; did you mean 'copies'?"),
        ({"filters": 3}, "augmenters.mix.filters: 3 stands there"),
        ({"relabel": {}}, "augmenters.mix.relabel.by: must be given"),
        ({"relabel": {"by": "llm", "llm": "three"}}, "augmenters.mix.relabel.llm: 'three' is no key of llms"),
        ({"relabel": {"by": "llm", "llm": "two"}}, "augmenters.mix: wanted is relabel.llm: null, or one"),
        ({"relabel": {"by": "classifier", "llm": "one"}}, "augmenters.mix.relabel: wanted is llm: null beside by: cl"),
        ({"relabel": {"by": "classifier", "revision": "a"}}, "augmenters.mix.relabel: wanted is revision: null"),
    ],
)
def test_mistakes_are_worded(augmenter: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settle(augmenter)
    assert [line for line in str(caught.value).splitlines() if line.strip().startswith(mistake)]


def test_missing_encoder_is_found_before_any_job() -> None:
    with pytest.raises(ConfigError, match=r"augmenters\.mix\.relabel\.model: \./gone: no such file"):
        check_files(settle({"relabel": {"by": "classifier", "model": "./gone"}}))
    check_files(settle({"relabel": {"by": "llm", "model": "./gone"}}))


def test_the_one_that_is_asked() -> None:
    assert asked_llm(settle({}).augmenters["mix"]) == "one"
    assert asked_llm(settle({"relabel": {"by": "llm"}}).augmenters["mix"]) == "one"
    assert asked_llm(settle({}).augmenters["none"]) is None


# What is read.


def test_leaks_are_looked_for_in_all_test_rows() -> None:
    assert experiment.augment_reads(settle({}), "rt", "mix") == {"tested": ("prepare", "test")}
    assert experiment.augment_reads(settle({"filters": {"leaks": "keep"}}), "rt", "mix") == {}
    assert experiment.augment_reads(settle({}), "rt", "none") == {}


def test_splits_that_are_drawn_anew_have_test_rows_of_their_own() -> None:
    datasets = {"rt": {"source": "file", "train": "a.csv", "split": "repeated"}}
    assert experiment.augment_reads(settle({}, datasets), "rt", "mix") == {"tested": ("subsample", "test")}
