"""What docs/extending.md shows does what it says, and a package's classifier is held to it."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hypermix.classify.custom import Lesson, train_custom
from hypermix.classify.device import CPU
from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.config.registry import read_registry
from hypermix.errors import ConfigError, TrainError
from hypermix.files import read_provenance, read_table
from hypermix.llm.client import Client
from hypermix.llm.store import RequestStore
from hypermix.records import COMPLETIONS, Request
from tests.extending import write_metadata
from tests.integration.steps.chain import MakeChain
from tests.unit.config.conftest import RAW

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def block(language: str, word: str) -> str:
    """The block of a language that holds a word."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) if word in text]
    return str(found)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Install the package with the shown classifier; return the shown config."""
    name, target = re.findall(r'(\w+) = "(.*?)"', block("toml", "entry-points"))[0]
    module = target.partition(":")[0]
    site = tmp_path / "site"
    site.mkdir()
    (site / f"{module}.py").write_text(block("python", "Tfidf"), encoding="utf-8")
    write_metadata(site, "word-rows", "1.0", f"[hypermix.classifiers]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, module, raising=False)
    loaded: dict[str, Any] = yaml.safe_load(block("yml", "method: custom"))
    return loaded


def test_worked_classifier_is_trained_like_any_other(shown: dict[str, Any], make_chain: MakeChain) -> None:
    chain = make_chain(classifiers={"tiny": None, "own": shown["classifiers"]["words"]})
    chain.prepare()
    key = chain.key("duplicate")
    chain.up_to_train(key)
    outputs = chain.trained(key)
    found, told = read_table(outputs["predictions"], "predictions"), read_provenance(outputs["predictions"])
    assert found["split"].value_counts().to_dict() == {"test": 20, "validation": 8}
    assert np.array([*found["probabilities"]]).sum(axis=1) == pytest.approx(1.0)
    assert told["slices"]["train"]["package"] == "word-rows 1.0"
    rows = found[found["split"] == "validation"]
    history = read_table(outputs["history"], "history")
    assert history["validation_accuracy"].tolist() == [(rows["predicted"] == rows["label"]).mean()]
    metrics = read_table(chain.evaluate(key), "metrics")
    assert metrics["n_synthetic"].iloc[0] == 4
    first = outputs["predictions"].read_bytes()
    chain.train(key)
    assert chain.trained(key)["predictions"].read_bytes() == first


def test_a_classifier_that_no_package_adds_is_a_mistake(shown: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"classifiers\.own\.name: 'word' stands there; .* did you mean 'words'"):
        load_config({**RAW, "classifiers": {"own": {"method": "custom", "name": "word"}}})


LESSON = Lesson(
    {"train": ["a", "b"], "validation": ["c"], "test": ["d", "e"]},
    {"train": np.eye(2, dtype=np.float32), "validation": np.eye(2, dtype=np.float32)[:1]},
    ["neg", "pos"],
    *(2, 7, "folder", "cpu"),
)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("None", "no probabilities of validation"),
        ("{'validation': [[1, 0]]}", "no probabilities of test"),
        ("{'validation': [[1, 0]], 'test': [[1, 0]]}", r"an array of \(1, 2\) for test; wanted is \(2, 2\)"),
        ("{'validation': [['a', 'b']], 'test': [[1, 0]] * 2}", r"an array of \(0,\) for validation"),
        ("{'validation': [[0.7, 0.7]], 'test': [[1, 0]] * 2}", "what are no probabilities for validation"),
        ("{'validation': [[1, 0]], 'test': [[2, -1]] * 2}", "what are no probabilities for test"),
        ("{'validation': [[1, 0]], 'test': [[float('nan'), 0]] * 2}", "what are no probabilities for test"),
    ],
)
def test_predictions_of_a_package_are_checked(
    returned: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_rows.py").write_text(f"def learn(settings, lesson):\n    return {returned}\n", encoding="utf-8")
    write_metadata(tmp_path, "faulty-rows", "1.0", "[hypermix.classifiers]\nfaulty = faulty_rows:learn\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "faulty_rows", raising=False)
    with pytest.raises(TrainError, match=f"the classifier 'faulty' returned {told}"):
        train_custom("faulty", {}, LESSON, CPU)


def test_worked_dataset_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    path.write_text(block("yml", "facts:"), encoding="utf-8")
    raw = {**RAW, "only": [], **yaml.safe_load(block("yml", "source: registry"))}
    config = load_config(raw, read_registry(path))
    made = json.loads(experiment.prepare_slice(config, "tone"))["dataset"]
    assert (made["path"], made["text"], made["labels"]) == (
        "some-lab/tone",
        ["utterance"],
        {"0": "rude", "1": "polite"},
    )


def test_worked_endpoint_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shouting_endpoint.py").write_text(block("python", "Shouting"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shouting_endpoint", raising=False)
    shouting = import_module("shouting_endpoint").shouting
    store = RequestStore(tmp_path / "requests")
    request = Request(COMPLETIONS, {"prompt": "say hello"}, "row 0")
    with Client(shouting, store) as client:
        assert client.complete(request).choices[0].text == "HELLO"
        assert (client.usage.paid, client.usage.tokens.prompt) == (1, 2)
    with Client(shouting, store, offline=True) as replayed:
        assert replayed.complete(request).choices[0].text == "HELLO"
        assert (replayed.usage.paid, replayed.usage.replayed) == (0, 1)
