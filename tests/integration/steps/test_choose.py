from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.config.load import load_config, merge
from hypermix.errors import ArtefactError, ConfigError
from hypermix.steps import choose
from hypermix.steps.artefacts import CHOICE
from hypermix.steps.choose import export_augmentation, read_choice
from tests.integration.steps.chain import Chain
from tests.integration.steps.whole import Export, run_study

CHOSEN = {"dataset": "toy", "subsample": "all", "data_seed": 11, "trial": 7, "augmenter": "none", "classifier": "tiny"}
"""The keys of the run that the experiment below exports."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return an experiment that has run; its choice may be written anew."""
    return run_study(tmp_path_factory.mktemp("study"))


def with_names(study: Export, **names: str) -> Export:
    chain = study.chain
    return Export(Chain(chain.results, chain.cache, merge(chain.raw, {"export": names})))


def write_choice(results: Path, content: str) -> Path:
    path = results / CHOICE
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_choice_is_the_key_of_the_exported_run(study: Export) -> None:
    chosen = study.choose()

    assert chosen == {
        "dataset": "toy",
        "subsample": "all",
        "data_seed": 11,
        "trial": 7,
        "augmenter": "none",
        "classifier": "tiny",
        "measured": "2s",
        "why": "No gain of an augmenter is shown at 2s, so the simplest one, none, was taken.",
    }
    assert read_choice(study.choice) == chosen


def test_choice_has_equal_bytes_again(study: Export) -> None:
    study.choose()
    before = study.choice.read_bytes()
    study.choose()

    assert study.choice.read_bytes() == before


def test_named_variant_is_chosen(study: Export) -> None:
    chosen = with_names(study, augmenter="duplicate").choose()

    assert (chosen["augmenter"], chosen["classifier"]) == ("duplicate", "tiny")


def test_slice_alone_names_the_variant(study: Export) -> None:
    """The tables hold the config of the experiment, in which nothing is exported."""
    slice_json = experiment.choose_slice(with_names(study, augmenter="duplicate").chain.config)

    assert json.loads(slice_json)["export"] == {"dataset": None, "augmenter": "duplicate", "classifier": None}


def test_an_augmenter_without_runs_needs_a_classifier(study: Export, tmp_path: Path) -> None:
    made = study.chain.aggregated()
    inputs = {name: made[name] for name in ("runs", "summary", "comparisons")}
    slice_json = '{"export": {"dataset": null, "augmenter": "other", "classifier": null}}'
    with pytest.raises(ConfigError, match="'other' is no key of augmenters"):
        choose.run(slice_json, inputs, tmp_path / "choice.json")

    assert not (tmp_path / "choice.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[\x00"])
def test_damaged_choice_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "choice.json").write_text(content, encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"choice\.json: cannot be read .*; delete it and run snakemake again"):
        read_choice(tmp_path / "choice.json")


def test_augmentation_of_an_export_is_known_by_name_or_choice(study: Export, tmp_path: Path) -> None:
    raw = {**study.chain.raw, "results": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"^export\.augmenter: is null, .* or run: snakemake choose$"):
        export_augmentation(load_config(raw))
    wanted = {"dataset": "toy", "subsample": "all", "data_seed": 11, "trial": 7}

    assert export_augmentation(load_config(merge(raw, {"export": {"augmenter": "none"}}))) == {
        **wanted,
        "augmenter": "none",
    }
    write_choice(tmp_path, json.dumps({**CHOSEN, "augmenter": "duplicate"}))
    assert export_augmentation(load_config(raw)) == {**wanted, "augmenter": "duplicate"}


@pytest.mark.parametrize(
    "old",
    [
        {"augmenter": "gone"},
        {"augmenter": ["none"]},
        {"classifier": "gone"},
        {"dataset": "gone"},
        {"subsample": "2s"},
        {"data_seed": 12},
        {"trial": 8},
    ],
)
def test_choice_of_another_config_is_not_taken(study: Export, tmp_path: Path, old: dict[str, Any]) -> None:
    write_choice(tmp_path, json.dumps({**CHOSEN, **old}))
    with pytest.raises(ConfigError, match=r"^export\.augmenter: is null, .* or run: snakemake choose$"):
        export_augmentation(load_config({**study.chain.raw, "results": str(tmp_path)}))


def test_choice_of_a_classifier_that_is_named_no_more_is_not_taken(study: Export, tmp_path: Path) -> None:
    raw = {**study.chain.raw, "results": str(tmp_path), "export": {"classifier": "other"}}
    raw["classifiers"] = dict.fromkeys(("tiny", "other"), raw["classifiers"]["tiny"])
    write_choice(tmp_path, json.dumps(CHOSEN))
    with pytest.raises(ConfigError, match=r"^export\.augmenter: is null"):
        export_augmentation(load_config(raw))

    write_choice(tmp_path, json.dumps({**CHOSEN, "classifier": "other"}))
    assert export_augmentation(load_config(raw))["augmenter"] == "none"


@pytest.mark.parametrize("content", ["[]", "null", "3", '"none"', "{}", '{"augmenter": "none"}', "[" * 100_000])
def test_what_is_no_choice_is_told(study: Export, tmp_path: Path, content: str) -> None:
    path = write_choice(tmp_path, content)
    with pytest.raises(ArtefactError, match=r"choice\.json: .*; delete it and run snakemake again$"):
        read_choice(path)
    with pytest.raises(ArtefactError, match=r"choice\.json: .*; delete it and run snakemake again$"):
        export_augmentation(load_config({**study.chain.raw, "results": str(tmp_path)}))


def test_plan_of_an_export_that_cannot_be_is_refused(study: Export, tmp_path: Path) -> None:
    raw = {**study.chain.raw, "results": str(tmp_path), "export": {"augmenter": "none"}}
    raw["classifiers"] = {"quick": {"method": "probe"}}
    with pytest.raises(ConfigError, match=r"^classifiers: none can be exported"):
        export_augmentation(load_config(raw))
