from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.config.dataset import HubDataset, RegistryDataset
from hypermix.config.experiment import augment_slice, prepare_slice
from hypermix.config.load import load_config
from hypermix.config.registry import (
    FACTS,
    REGISTRY_PATH,
    data_license,
    expand,
    is_commit,
    read_registry,
    read_yaml,
    unknown_datasets,
)
from hypermix.errors import ConfigError
from tests.architecture.source import ROOT

REGISTRY = read_registry(ROOT / REGISTRY_PATH)
NAMES = [
    *("agnews", "atis-intent", "cola", "cr", "dbpedia", "dbpedia-content", "imdb", "mpqa", "mr", "rt20"),
    *("snips-intent", "sst2", "sst5", "subj", "trec6", "yahoo-answers", "yelp"),
]
KNOWN: dict[str, dict[str, Any]] = {
    "sst2": {
        "path": "SetFit/sst2",
        "text": ["text"],
        "labels": {"0": "negative", "1": "positive"},
        "label_words": {"negative": "bad", "positive": "good"},
        "validation": "validation",
        "facts": {"rows": {"train": 6920}},
    },
    "cola": {"path": "nyu-mll/glue", "config": "cola", "test": "validation"},
}


def asked(**settings: Any) -> dict[str, Any]:
    """Return a config with one registry dataset, `sst2` where nothing else is said."""
    return {
        "datasets": {"sst2": {"source": "registry", **settings}},
        "augmenters": {"none": {"method": "none"}},
        "classifiers": {"tiny": {"method": "finetune"}},
    }


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def dataset(name: str) -> HubDataset:
    """Return an entry of the registry as a config would have it."""
    found = load_config({**asked(), "datasets": {name: {"source": "registry"}}}, REGISTRY).datasets[name]
    assert isinstance(found, RegistryDataset)
    return found


# The file itself.


def test_registry_has_the_datasets_of_the_papers_code() -> None:
    assert sorted(REGISTRY) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_a_dataset(name: str) -> None:
    found = dataset(name)

    assert found.name == name
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", found.path)
    assert found.train == "train"
    assert found.test in {"test", "validation"}
    assert found.validation != found.test


@pytest.mark.parametrize("name", NAMES)
def test_every_label_has_a_name_and_a_word_of_its_own(name: str) -> None:
    found, labels = dataset(name), REGISTRY[name]["facts"]["labels"]
    words = [found.label_words.get(label, label) for label in labels]

    assert len(labels) >= 2
    assert len({word.lower() for word in words}) == len(labels) == len(set(labels))
    assert not any(label.isdigit() for label in labels)
    assert set(found.labels.values()) <= set(labels)
    assert set(found.label_words) <= set(labels)


@pytest.mark.parametrize("name", NAMES)
def test_entry_tells_the_facts(name: str) -> None:
    facts = REGISTRY[name]["facts"]

    assert sorted(facts) == sorted(FACTS)
    assert list(facts["rows"]) == ["train", "validation", "test"]
    assert all(count is None or count > 100 for count in facts["rows"].values())
    assert (facts["rows"]["validation"] is None) or dataset(name).validation
    assert all(str(facts[key]).strip() for key in ("license", "checked", "pitfalls"))


@pytest.mark.parametrize("name", NAMES)
def test_revision_is_a_commit_or_told_to_be_none(name: str) -> None:
    revision = REGISTRY[name]["revision"]

    assert is_commit(revision) or name in {"mpqa", "rt20"}
    assert revision != "main"


def test_carved_rows_are_those_of_the_reference() -> None:
    own = {"agnews": 2000, "dbpedia-content": 2000, "imdb": 2000, "yahoo-answers": 5000}

    assert {name: dataset(name).carve_rows for name in NAMES} == {name: own.get(name, 4000) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "text_type", "label_type", "words"),
    [
        ("sst2", "movie review", "sentiment", ["negative", "positive"]),
        ("rt20", "movie review", "sentiment", ["positive", "negative"]),
        ("imdb", "movie review", "sentiment", ["negative", "positive"]),
        ("cr", "customer review", "sentiment", ["negative", "positive"]),
        ("mpqa", "phrase", "sentiment", ["negative", "positive"]),
        ("yelp", "place review", "sentiment", ["negative", "neutral", "positive"]),
        ("agnews", "news headline", "classification", ["world", "sports", "business", "technology"]),
        ("cola", "text", "grammar", ["incorrect", "correct"]),
        ("subj", "text", "objective", ["yes", "no"]),
        ("trec6", "question", "type", ["abbreviation", "description", "entity", "human", "location", "numeric"]),
        (
            "snips-intent",
            "user request",
            "intent type",
            ["playlist", "book", "weather", "music", "rate", "creative", "screening"],
        ),
    ],
)
def test_words_are_those_of_the_reference(name: str, text_type: str, label_type: str, words: list[str]) -> None:
    found = dataset(name)

    assert (found.text_type, found.label_type) == (text_type, label_type)
    assert [found.label_words[label] for label in REGISTRY[name]["facts"]["labels"]] == words


@pytest.mark.parametrize("name", ["dbpedia-content", "yahoo-answers"])
def test_names_are_words_where_the_reference_has_it_so(name: str) -> None:
    assert dataset(name).label_words == {}


def test_atis_has_the_references_words_and_first_intents() -> None:
    found = dataset("atis-intent")
    reference = {
        **{"flight": "flight", "quantity": "quantity", "city": "city", "ground_service": "ground"},
        **{"abbreviation": "abbreviation", "airfare": "cost", "flight_time": "time"},
    }

    assert {intent: found.label_words[intent] for intent in reference} == reference
    assert set(found.label_words) == set(REGISTRY["atis-intent"]["facts"]["labels"])
    assert all(joined.split("+")[0] == first for joined, first in found.labels.items())


def test_five_stars_become_three_labels() -> None:
    assert dataset("yelp").labels == {
        **{"1 star": "negative", "2 star": "negative", "3 stars": "neutral"},
        **{"4 stars": "positive", "5 stars": "positive"},
    }


def test_the_two_of_dbpedia_differ_in_their_text() -> None:
    assert dataset("dbpedia").text == ["title", "content"]
    assert dataset("dbpedia-content").text == ["content"]
    assert dataset("dbpedia").path == dataset("dbpedia-content").path


# Reading.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {path: x/y, txt: t}", "a.txt: unknown key; did you mean 'text'? (known: carve, "),
        ("a: {path: x/y, source: hub}", "a.source: unknown key; known: carve, "),
        (
            "a: {path: x/y, facts: {licence: MIT}}",
            "a.facts.licence: unknown key; did you mean 'license'? (known: rows, ",
        ),
        ("a: {path: x/y, facts: old}", "a.facts: wanted is a mapping with the keys rows, labels, "),
        ("a: {text: t}", "a.path: must be given, the id of a dataset of the hub"),
        ("a: {path: 5}", "a.path: must be given, the id of a dataset of the hub"),
        ("a: x/y", "a: 'x/y' stands there; wanted are the settings of a dataset"),
    ],
)
def test_a_mistake_in_the_registry_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "datasets.yaml", text)
    with pytest.raises(ConfigError) as caught:
        read_registry(path)

    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_entries_come_as_they_stand(tmp_path: Path) -> None:
    assert read_registry(write(tmp_path / "a.yaml", "a: {path: x/y, revision: null}")) == {
        "a": {"path": "x/y", "revision": None}
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"a: [", "is not YAML: "), (b"\xff", "is not YAML: "), (b"- a", "holds no mapping of ")],
)
def test_a_file_that_is_no_registry_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "datasets.yaml"
    if content is not None:
        path.write_bytes(content)
    for read in (read_registry, read_yaml):
        with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: {re.escape(message)}"):
            read(path)


# Expanding.


def test_a_name_is_enough() -> None:
    assert expand(asked(), KNOWN)["datasets"]["sst2"] == {
        "source": "registry",
        "name": "sst2",
        **{key: value for key, value in KNOWN["sst2"].items() if key != "facts"},
    }


def test_an_entry_may_have_another_name_here() -> None:
    config = load_config({**asked(), "datasets": {"grammar": {"source": "registry", "name": "cola"}}}, KNOWN)
    found = config.datasets["grammar"]

    assert isinstance(found, RegistryDataset)
    assert (found.name, found.path, found.config, found.test) == ("cola", "nyu-mll/glue", "cola", "validation")


def test_what_the_config_says_is_stronger() -> None:
    raw = asked(validation=None, text="sentence", revision="abc", label_words={"positive": "fine"}, labels={"2": "so"})
    found = load_config(raw, KNOWN).datasets["sst2"]

    assert isinstance(found, RegistryDataset)
    assert (found.validation, found.text, found.revision) == (None, ["sentence"], "abc")
    assert found.label_words == {"negative": "bad", "positive": "fine"}
    assert found.labels == {"0": "negative", "1": "positive", "2": "so"}


def test_expanding_leaves_both_alone() -> None:
    raw, known = asked(label_words={"positive": "fine"}), copy.deepcopy(KNOWN)
    before = copy.deepcopy(raw)
    expand(raw, known)

    assert raw == before
    assert known == KNOWN


def test_other_sources_are_left_alone() -> None:
    raw = {"datasets": {"sst2": {"source": "hub", "path": "a/b"}, "cola": None, "x": [1]}}

    assert expand(raw, KNOWN) == raw


@given(
    st.dictionaries(
        st.sampled_from(["name", "text", "labels", "label_words", "revision", "validation", "path"]),
        st.none()
        | st.sampled_from(["cola", "sst2", "else", 5])
        | st.dictionaries(st.sampled_from("01"), st.text("ab")),
    )
)
def test_expanding_twice_is_expanding_once(settings: dict[str, Any]) -> None:
    once = expand(asked(**settings), KNOWN)

    assert expand(once, KNOWN) == once
    assert expand(once, {}) == once


def test_words_of_labels_that_have_other_names_are_gone() -> None:
    variant = {"source": "registry", "labels": {"0": "bad"}, "label_words": {"bad": "awful"}}
    complete = expand({"datasets": {"sst2": variant}}, KNOWN)["datasets"]["sst2"]

    assert complete["labels"] == {"0": "bad", "1": "positive"}
    assert complete["label_words"].get("bad") == "awful"
    assert "negative" not in complete["label_words"]


def test_a_commit_is_not_taken_for_another_repository() -> None:
    entry = {**KNOWN["sst2"], "revision": "a" * 40}
    for path, revision in ((entry["path"], "a" * 40), ("other/sst2", None)):
        variant = {"source": "registry", "path": path}
        complete = expand({"datasets": {"sst2": variant}}, {"sst2": entry})["datasets"]["sst2"]
        assert complete.get("revision") == revision


@pytest.mark.parametrize("raw", [{}, {"datasets": None}, {"datasets": [1]}, {"datasets": {"a": "b"}}])
def test_any_config_can_be_expanded(raw: dict[str, Any]) -> None:
    assert expand(raw, KNOWN) == raw
    assert unknown_datasets(raw, KNOWN) == {}


def test_the_registry_and_a_hub_dataset_word_a_prompt_alike() -> None:
    entry = {key: value for key, value in KNOWN["sst2"].items() if key != "facts"}
    raw = {
        **asked(),
        "llms": {"local": {"api": "embedded"}},
        "augmenters": {"mix": {"method": "gpt3mix", "llm": "local"}},
    }
    known = load_config(raw, KNOWN)
    spelled = load_config({**raw, "datasets": {"sst2": {"source": "hub", **entry}}})
    parts = [json.loads(prepare_slice(config, "sst2"))["dataset"] for config in (known, spelled)]

    assert augment_slice(known, "sst2", "mix") == augment_slice(spelled, "sst2", "mix")
    assert {key for key in parts[0] if parts[0][key] != parts[1].get(key)} == {"source", "name"}


# Names that the registry does not have.


def told(raw: dict[str, Any], registry: dict[str, dict[str, Any]]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(raw, registry)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize(
    ("datasets", "line"),
    [
        (
            {"sst": {"source": "registry"}},
            "datasets.sst.name: 'sst' is no dataset of config/datasets.yaml; did you mean 'sst2'? (known: sst2, cola)",
        ),
        (
            {"mine": {"source": "registry", "name": "imdb"}},
            "datasets.mine.name: 'imdb' is no dataset of config/datasets.yaml; known: sst2, cola",
        ),
        (
            {"sst2": {"source": "registry", "name": 5}},
            "datasets.sst2.name: 5 stands there; wanted is string (put it in q",
        ),
    ],
)
def test_an_unknown_name_is_one_mistake(datasets: dict[str, Any], line: str) -> None:
    (found,) = told({**asked(), "datasets": datasets}, KNOWN)

    assert found.startswith(line)


def test_an_unknown_name_comes_with_all_other_mistakes() -> None:
    raw = {**asked(carve_rows="1"), "resluts": "x"}
    raw["datasets"]["sst"] = {"source": "registry"}
    raw["datasets"]["toy"] = {"source": "hub"}

    assert [line.split(":")[0] for line in told(raw, KNOWN)] == [
        *("datasets.sst2.carve_rows", "datasets.toy.path", "resluts", "datasets.sst.name"),
    ]


def test_without_a_registry_a_name_is_unknown() -> None:
    assert told(asked(), {}) == ["datasets.sst2.name: 'sst2' is no dataset of config/datasets.yaml; known: none yet"]


def test_a_path_does_not_save_a_name_that_the_registry_lacks() -> None:
    assert told({**asked(), "datasets": {"x": {"source": "registry", "path": "a/b"}}}, KNOWN) == [
        "datasets.x.name: 'x' is no dataset of config/datasets.yaml; known: sst2, cola"
    ]


def test_an_expanded_config_needs_no_registry() -> None:
    config = load_config(asked(label_words={"positive": "fine"}), KNOWN)
    again = load_config(config.model_dump(by_alias=True))

    assert again == config


@pytest.mark.parametrize(
    ("revision", "answer"),
    [
        ("a" * 40, True),
        ("0123456789abcdef" + "0" * 24, True),
        ("main", False),
        (None, False),
        ("A" * 40, False),
        (7, False),
    ],
)
def test_a_commit_is_told_from_a_branch(revision: object, answer: bool) -> None:
    assert is_commit(revision) is answer
    assert not is_commit("a" * 39)
    assert not is_commit(f"{'a' * 40}\n")


@pytest.mark.parametrize(
    ("dataset", "license_name"),
    [
        ({"source": "packaged"}, "MIT"),
        ({"source": "file", "train": "a.csv"}, None),
        ({"source": "hub", "path": "SetFit/CR"}, None),
        ({"source": "registry"}, "CC0"),
        ({"source": "registry", "path": "own/copy"}, None),  # another repository has terms of its own
        ({"source": "registry", "name": "vague"}, None),
    ],
)
def test_license_is_told_where_it_is_known(dataset: dict[str, Any], license_name: str | None) -> None:
    known = {
        "set": {"path": "a/set", "facts": {"license": "CC0"}},
        "vague": {"path": "a/vague", "facts": {"license": "unknown"}},
    }
    config = load_config({**asked(), "datasets": {"set": dataset}}, known)

    assert data_license("set", config.datasets["set"], known) == license_name
