"""What `hypermix doctor` finds on this machine: datasets, and models that run here. Nobody is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hypermix.config.load import load_config, merge
from hypermix.config.model import Config
from hypermix.report.checkup import Finding
from hypermix.steps.doctor import sources
from hypermix.steps.doctor.models import asked_llms, check_llm
from hypermix.steps.doctor.sources import check_classifier, check_dataset, check_helpers

Make = Callable[..., Config]
CONFIG: dict[str, Any] = {
    "datasets": {"toy": {"source": "file", "train": "rows.csv", "label_words": {"0": "bad", "1": "good"}}},
    "llms": {"near": {"api": "chat", "base_url": "http://127.0.0.1:9/v1", "model": "tiny"}},
    "augmenters": {"none": {"method": "none"}, "mix": {"method": "gpt3mix", "llm": "near"}},
    "classifiers": {"minilm": {"method": "finetune"}},
}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a config, in a folder with its rows."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("text,label\n", encoding="utf-8")
    return lambda **overlay: load_config(merge(CONFIG, overlay))


@pytest.mark.parametrize(
    ("llm", "level", "wanted"),
    [
        ({"api": "embedded"}, "ok", "package:gemma3-270m is installed"),
        ({"api": "embedded", "model": "whole.gguf"}, "ok", "whole.gguf is there"),
        ({"api": "embedded", "model": "broken.gguf"}, "to do", "is not a GGUF file"),
        ({"api": "embedded", "model": "gone.gguf"}, "to do", "no such file"),
        ({"api": "transformers", "model": "./whole"}, "ok", "whole is there"),
        ({"api": "transformers", "model": "./bare"}, "to do", "has no weights as safetensors"),
        ({"api": "transformers", "model": "./gone"}, "to do", "no such file or folder"),
    ],
)
def test_model_that_runs_here(make: Make, llm: dict[str, Any], level: str, wanted: str) -> None:
    Path("whole.gguf").write_bytes(b"GGUF and more")
    Path("broken.gguf").write_bytes(b"<html>")
    for folder in ("whole", "bare"):
        Path(folder).mkdir()
        Path(folder, "config.json").write_text("{}", encoding="utf-8")
    Path("whole", "model.safetensors").write_bytes(b"")
    config = make(llms={"near": None, "here": llm}, augmenters={"mix": {"llm": "here"}})
    (asked,) = asked_llms(config)
    found = check_llm(config, asked, again=False, today=date(2026, 11, 22))
    assert found[0].level == level
    assert wanted in found[0].told
    assert bool(found[0].todo) is (level == "to do")
    assert "label_source: logprobs is possible" in found[1].told


def test_files_of_a_dataset(make: Make) -> None:
    named = "texts in 'text', labels in 'label'"
    assert check_dataset(make(), "toy") == Finding("ok", "dataset toy", f"rows.csv; {named}")
    found = check_dataset(make(datasets={"toy": {"test": "gone.csv"}}), "toy")
    assert (found.level, found.told, found.todo) == ("to do", "no such file: gone.csv", "mend datasets.toy.test")
    url = "https://127.0.0.1:9/rows.csv?page=1"
    found = check_dataset(make(datasets={"toy": {"test": url}}), "toy")
    assert (found.level, found.told) == (
        "ok",
        f"rows.csv, https://127.0.0.1:9/rows.csv (fetched by the first run); {named}",
    )


def test_columns_of_a_dataset(make: Make) -> None:
    rows = "".join(f"{number % 2},a text of row {number}\n" for number in range(6))
    Path("rows.csv").write_text(f"stars,review\n{rows}", encoding="utf-8")
    found = check_dataset(make(), "toy")
    assert (found.level, found.told) == ("ok", "rows.csv; texts in 'review', labels in 'stars' (guessed)")
    found = check_dataset(make(datasets={"toy": {"text": "reviews"}}), "toy")
    assert (found.level, found.todo) == ("to do", "name columns with the keys text, label and group")
    assert "rows.csv: no column 'reviews' (did you mean 'review'? (known: stars, review))" in found.told


def test_models_that_measure_and_rewrite(make: Make, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "broken.jinja").write_text("{% if %}", encoding="utf-8")
    more = {
        "masks": {"method": "contextual", "model": "./gone"},
        "turns": {"method": "backtranslate", "pivot": "de", "forward": "./there", "back": "./gone"},
        "sorts": {"method": "eda", "relabel": {"by": "classifier", "model": "./there"}},
        "asks": {"method": "template", "llm": "near", "template": "broken.jinja"},
        "unused": {"method": "contextual", "model": "./gone"},
    }
    config = make(augmenters=more, quality={"model": "./gone"})
    found = check_helpers(config, [name for name in more if name != "unused"])

    assert [(one.about, one.level) for one in found] == [
        ("quality", "to do"),
        ("augmenter masks", "to do"),
        ("augmenter turns", "ok"),
        ("augmenter turns", "to do"),
        ("augmenter sorts", "ok"),
        ("augmenter asks", "to do"),
    ]
    assert "augmenters.asks.template: broken.jinja" in found[-1].told
    assert check_helpers(make(), ["none", "mix"]) == [Finding("ok", "quality", "package:minilm-l6 is installed")]


def test_libraries_of_methods_that_rewrite(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda _name: None)
    more = {
        "words": {"method": "eda", "synonyms": "wordnet", "lexicon": "nowhere:1.0"},
        "near": {"method": "eda", "synonyms": "embedding"},
        "turns": {"method": "backtranslate", "forward": "./there", "back": "./there"},
        "asks": {"method": "backtranslate", "by": "llm", "llm": "near"},
    }
    Path("there").mkdir()
    found = [one for one in check_helpers(make(augmenters=more), [*more]) if one.level != "ok"]

    assert [one.about for one in found] == ["augmenter words", "augmenter turns"]
    assert "python -m wn download nowhere:1.0" in found[0].todo
    assert "pip install '.[translate]'" in found[1].todo


def test_packaged_dataset(make: Make) -> None:
    config = make(datasets={"rt": {"source": "packaged"}})
    assert check_dataset(config, "rt").level == "warning"
    target = Path("cache/downloads/vaderSentiment-3.3.2.tar.gz")
    target.parent.mkdir(parents=True)
    target.write_bytes(b"")
    assert check_dataset(config, "rt").level == "ok"


@pytest.mark.parametrize(("model", "level"), [("package:minilm-l6", "ok"), ("./encoder", "ok"), ("./gone", "to do")])
def test_encoder_of_a_classifier(make: Make, model: str, level: str) -> None:
    Path("encoder").mkdir()
    found = check_classifier(make(classifiers={"minilm": {"model": model}}), "minilm")
    assert found.level == level
    assert model in found.told


@pytest.mark.parametrize(("installed", "level"), [(True, "ok"), (False, "to do")])
def test_library_of_setfit(make: Make, monkeypatch: pytest.MonkeyPatch, installed: bool, level: str) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda name: name if installed else None)
    found = check_classifier(make(classifiers={"pairs": {"method": "setfit"}}), "pairs")
    assert found.level == level
    assert ("pip install '.[setfit]'" in str(found.todo)) != installed
