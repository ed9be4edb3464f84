"""Each preset is a config over those that its first command names, and asks what it says it asks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hypermix.config import experiment
from hypermix.config.load import load_config, merge
from hypermix.config.model import Config
from hypermix.config.registry import read_registry

ROOT = Path(__file__).resolve().parents[3]
PRESETS = sorted((ROOT / "config" / "presets").glob("*.yaml"))
PAPER = "config/presets/gpt3mix-paper.yaml"
REGISTRY = read_registry(ROOT / "config" / "datasets.yaml")


def layers(path: Path) -> list[str]:
    """Return the config files of the first command that a preset shows."""
    lines = path.read_text(encoding="utf-8").splitlines()
    command = next(line for line in lines if line.startswith("#     ") and "config/config.yaml" in line)
    return re.findall(r"config/\S+\.yaml", command)


def raw(path: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in layers(path):
        merged = merge(merged, yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))
    return merged


def load(path: Path) -> Config:
    return load_config(raw(path), REGISTRY)


def ablation(word: str) -> Config:
    return load(ROOT / "config" / "presets" / f"gpt3mix-ablation-{word}.yaml")


def settings(config: Config, augmenter: str, dataset: str = "sst2") -> dict[str, Any]:
    """Return what an augmentation may see."""
    loaded: dict[str, Any] = json.loads(experiment.augment_slice(config, dataset, augmenter))
    return loaded


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_command_of_a_preset_names_it_last_and_has_runs(path: Path) -> None:
    names = layers(path)

    assert names[0] == "config/config.yaml"
    assert names[-1] == path.relative_to(ROOT).as_posix()
    assert experiment.runs(load(path))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_results_of_a_preset_go_to_a_folder_of_their_own(path: Path) -> None:
    assert load(path).results not in {load(other).results for other in PRESETS if other != path} | {"results"}


def test_protocol_of_the_paper() -> None:
    config = load(ROOT / PAPER)
    runs = experiment.runs(config)

    assert {str(run["dataset"]) for run in runs} == {"sst2", "cr", "subj", "cola", "trec6", "mpqa", "rt20"}
    assert config.subsample.train == ["0.001f", "0.003f", "0.01f"]
    assert (config.subsample.validation, config.subsample.test) == (None, None)
    pairs = {(run["data_seed"], run["trial"]) for run in runs}
    assert len(pairs) == 10
    # One generator from 42 gives both, so the i-th are equal, as in the reference.
    assert all(data_seed == trial for data_seed, trial in pairs)
    assert (2746317213, 2746317213) in pairs
    assert {(run["classifier"], run["augmenter"]) for run in runs} == {
        ("tmix", "none"),
        *(
            (encoder, made)
            for encoder in ("distilbert", "bert")
            for made in ("none", "eda", "backtranslate", "gpt3mix")
        ),
    }


def test_ablation_of_k_changes_k_alone() -> None:
    config = ablation("k")
    asked = {name: settings(config, name)["augmenter"] for name in config.augmenters if name.startswith("gpt3mix")}
    assert sorted(found.pop("examples") for found in asked.values()) == [1, 2, 4, 8, 16]
    assert len({json.dumps(found, sort_keys=True) for found in asked.values()}) == 1


def test_ablation_of_the_language_model_changes_it_alone() -> None:
    config = ablation("llm")
    asked = {name: settings(config, name) for name in config.augmenters if name.startswith("gpt3mix")}
    models = {found["llm"]["model"] for found in asked.values()}
    assert len(models) == len(asked) == 5
    for found in asked.values():
        found["augmenter"].pop("llm", None)
    assert len({json.dumps(found["augmenter"], sort_keys=True) for found in asked.values()}) == 1


def test_ablation_of_words_changes_the_types_alone() -> None:
    config = ablation("words")
    for name in ("sst2", "trec6"):
        task, generic = (settings(config, "gpt3mix", one)["task"] for one in (name, f"{name}-generic"))
        assert (generic.pop("text_type"), generic.pop("label_type")) == ("text", "label")
        assert task.pop("text_type") != "text"
        assert task.pop("label_type") != "label"
        assert generic == task
        rows = [json.loads(experiment.prepare_slice(config, one)) for one in (name, f"{name}-generic")]
        assert rows[0] == rows[1]


def test_ablation_of_labels_changes_labels_alone() -> None:
    config = ablation("labels")
    soft, hard = (settings(config, name)["augmenter"] for name in ("gpt3mix", "gpt3mix-hard"))
    assert [found.pop("labels") for found in (soft, hard)] == ["soft", "hard"]
    assert soft == hard
    trained = [json.loads(experiment.train_slice(config, name))["classifier"] for name in ("bert", "bert-hard")]
    assert [found.pop("targets") for found in trained] == ["soft", "hard"]
    assert trained[0] == trained[1]
