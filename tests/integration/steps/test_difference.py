from __future__ import annotations

import json
from typing import Any

import pytest

from hypermix.report.why import Change
from hypermix.steps.difference import name_changes

KEYS = {"dataset": "mine", "augmenter": "mix", "classifier": "tiny"}


@pytest.mark.parametrize(
    ("stage", "path", "key"),
    [
        ("prepare", "dataset.carve_rows", "datasets.mine.carve_rows"),
        ("prepare", "dataset.labels.0", "datasets.mine.labels.0"),
        ("subsample", "sizes.test", "subsample.test"),
        ("augment", "augmenter.filters.leaks", "augmenters.mix.filters.leaks"),
        ("augment", "augmenter.template", "text of augmenters.mix.template"),
        ("augment", "task.text_type", "datasets.mine.text_type"),
        ("augment", "llm.model", "llms.luna.model"),
        ("augment", "package", "package of augmenters.mix.name"),
        ("match", "augmenter.multiplier", "augmenters.mix.multiplier"),
        ("quality", "quality.rows", "quality.rows"),
        ("train", "classifier.batch_size", "classifiers.tiny.batch_size"),
        ("train", "threads.train", "threads.train"),
        ("train", "package", "package of classifiers.tiny.name"),
        ("aggregate", "config.report.alpha", "report.alpha"),
        ("aggregate", "config.augmenters.mix.filters.leaks", "augmenters.mix.filters.leaks"),
        ("evaluate", "method_version", "method version of evaluate in HyperMix"),
    ],
)
def test_a_place_in_a_slice_is_a_key_of_the_config(stage: str, path: str, key: str) -> None:
    assert name_changes(stage, KEYS, slice_with(path, 1), slice_with(path, 2)) == [Change(key, "1", "2")]


def slice_with(path: str, value: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"method_version": 1, "llm": {"name": "luna"}}
    here = made
    *parents, last = path.split(".")
    for part in parents:
        here = here.setdefault(part, {})
    here[last] = value
    return made


def test_all_that_differs_is_told_in_order() -> None:
    old = {"classifier": {"b": [1, 2], "a": None, "same": {"x": 1}, "gone": 1}}
    new = {"classifier": {"a": "none", "b": [2, 1], "same": {"x": 1}, "new": {"y": 1}}}

    assert name_changes("train", KEYS, old, new) == [
        Change("classifiers.tiny.a", "null", '"none"'),
        Change("classifiers.tiny.b", "[1,2]", "[2,1]"),
        Change("classifiers.tiny.gone", "1", None),
        Change("classifiers.tiny.new", None, '{"y":1}'),
    ]


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("luna", "terra", ["augmenters.mix.llm"]),
        ("luna", None, ["augmenters.mix.llm"]),
        (None, "luna", ["augmenters.mix.llm"]),
    ],
)
def test_another_language_model_is_one_change(old: str | None, new: str | None, keys: list[str]) -> None:
    """What the other one has otherwise follows from its name."""

    def slice_of(name: str | None) -> dict[str, Any]:
        asked = {"llm": {"name": name, "model": f"the model of {name}"}, "task": {"text_type": "text"}}
        return {"augmenter": {"llm": name}, **(asked if name else {})}

    assert [change.key for change in name_changes("augment", KEYS, slice_of(old), slice_of(new))] == keys


def test_a_file_that_tells_nothing_has_no_changes() -> None:
    assert name_changes("train", KEYS, None, slice_with("classifier.a", 1)) == []


def test_values_are_json() -> None:
    (change,) = name_changes("train", KEYS, {"classifier": {"a": "é\n"}}, {"classifier": {"a": 5e-5}})

    assert [json.loads(value) for value in (change.old, change.new) if value] == ["é\n", 5e-5]
