from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.config.augmenter_offline import local_models
from hypermix.config.load import check_files, load_config, merge
from hypermix.config.model import Config
from hypermix.errors import ConfigError

ROOT = Path(__file__).parents[3]
RAW = {
    "datasets": {"rt": {"source": "packaged"}},
    "llms": {"local": {"api": "embedded"}},
    "classifiers": {"tiny": {"method": "probe"}},
}


def config(**augmenter: Any) -> Config:
    return load_config({**RAW, "augmenters": {"one": augmenter}})


def sliced(**augmenter: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(experiment.augment_slice(config(**augmenter), "rt", "one"))
    return found


def test_defaults_are_those_of_the_paper() -> None:
    found = sliced(method="eda")["augmenter"]
    assert {name: value for name, value in found.items() if name.startswith("alpha")} == {
        f"alpha_{name}": 0.1 for name in ("replace", "insert", "swap", "delete")
    }


@pytest.mark.parametrize("given", [{}, {"synonyms": "auto"}, {"synonyms": "embedding"}])
def test_what_auto_comes_to_stands_in_the_slice(given: dict[str, str], no_wordnet: None) -> None:
    assert sliced(method="eda", **given)["augmenter"]["synonyms"] == "embedding"
    told = json.loads(experiment.aggregate_slice(config(method="eda", **given)))
    assert told["config"]["augmenters"]["one"]["synonyms"] == "embedding"


def test_a_wordnet_that_is_asked_for_is_not_replaced(no_wordnet: None) -> None:
    assert sliced(method="eda", synonyms="wordnet")["augmenter"]["synonyms"] == "wordnet"


@pytest.fixture
def no_wordnet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the library of wordnets find no data."""
    wn = pytest.importorskip("wn")
    monkeypatch.setattr(wn.config, "_dbpath", tmp_path / "wn.db")


def test_models_are_named_in_the_slice() -> None:
    found = sliced(method="backtranslate", pivot="fi")["augmenter"]
    assert (found["forward"], found["back"]) == ("Helsinki-NLP/opus-mt-en-fi", "Helsinki-NLP/opus-mt-fi-en")
    own = sliced(method="backtranslate", forward="a/b", back="c/d", back_revision="v2")["augmenter"]
    assert (own["forward"], own["back"], own["forward_revision"], own["back_revision"]) == ("a/b", "c/d", None, "v2")


def test_a_revision_is_part_of_the_slice() -> None:
    one, two = (sliced(method="contextual", revision=revision) for revision in ("a", "b"))
    assert one != two


def test_translation_by_a_language_model_is_part_of_the_slice() -> None:
    found = sliced(method="backtranslate", by="llm", llm="local")
    assert (found["augmenter"]["language"], found["augmenter"]["pivot"]) == ("English", "German")
    assert found["llm"]["name"] == "local"
    assert found["augmenter"]["forward"] is None
    assert "llm" not in sliced(method="backtranslate")


@pytest.mark.parametrize(
    ("augmenter", "wanted"),
    [
        (
            {"method": "eda", **{f"alpha_{name}": 0.0 for name in ("replace", "insert", "swap", "delete")}},
            "an alpha ab",
        ),
        ({"method": "eda", "alpha_swap": 1.5}, "alpha_swap"),
        ({"method": "eda", "synonyms": "thesaurus"}, "synonyms"),
        ({"method": "eda", "lexicon": "oewn"}, "lexicon"),
        ({"method": "eda", "lexicon": 3}, "lexicon"),
        ({"method": "backtranslate", "pivot": "en"}, "a pivot other than the language of the texts"),
        ({"method": "backtranslate", "pivot": "../x"}, "pivot"),
        ({"method": "backtranslate", "by": "llm"}, "llm, a key of llms, beside by: llm"),
        ({"method": "backtranslate", "llm": "local"}, "llm, a key of llms, beside by: llm"),
        ({"method": "backtranslate", "by": "llm", "llm": "local", "back": "a/b"}, "beside by: marian alone"),
        ({"method": "backtranslate", "by": "hand"}, "by"),
        ({"method": "backtranslate", "by": "llm", "llm": "other"}, "'other' is no key of llms"),
        ({"method": "contextual", "share": 0.0}, "share"),
        ({"method": "contextual", "top_k": 1}, "top_k"),
    ],
)
def test_wrong_settings_are_told(augmenter: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**augmenter)
    assert wanted in str(caught.value)
    assert "augmenters.one" in str(caught.value)


@pytest.mark.parametrize(
    ("augmenter", "keys"),
    [
        ({"method": "contextual", "model": "./gone"}, ["model"]),
        ({"method": "backtranslate", "forward": "./gone", "back": "/no/such"}, ["forward", "back"]),
    ],
)
def test_folders_that_are_missing_are_told_before_any_job(augmenter: dict[str, Any], keys: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        check_files(config(**augmenter))
    assert all(f"augmenters.one.{key}: " in str(caught.value) for key in keys)


def test_models_that_run_here_are_listed() -> None:
    found = config(method="backtranslate", forward="a/b").augmenters["one"]
    assert local_models(found) == {"forward": "a/b", "back": "Helsinki-NLP/opus-mt-de-en"}
    assert local_models(config(method="eda").augmenters["one"]) == {}


def test_the_preset_compares_what_needs_nothing(no_wordnet: None) -> None:
    import yaml

    read = [yaml.safe_load((ROOT / "config" / name).read_text()) for name in ("config.yaml", PRESET)]
    found = load_config(merge(*read))
    assert list(found.augmenters) == ["none", "duplicate", "real", "shuffle", "eda"]
    assert len(experiment.data_seeds(found)) >= 7  # 3 x 2 / 2**7 is below 0.05
    assert len(experiment.runs(found)) == 5 * len(experiment.data_seeds(found))
    assert not any(local_models(augmenter) for augmenter in found.augmenters.values())
    assert not any(getattr(augmenter, "llm", None) for augmenter in found.augmenters.values())
    check_files(found)


def test_what_the_preset_offers_in_comments_is_valid(no_wordnet: None) -> None:
    import yaml

    lines = (ROOT / "config" / PRESET).read_text().splitlines()
    offered = [line.removeprefix("  # ") for line in lines if line.startswith("  # ") and "{method:" in line]
    raw = yaml.safe_load("\n".join(offered))
    assert {part["method"] for part in raw.values()} == {"contextual", "backtranslate", "eda"}
    load_config({**RAW, "augmenters": raw})


PRESET = "presets/compare-augmenters.yaml"
