from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hypermix.augment import custom
from hypermix.augment.base import AUGMENTERS, Material, Offline
from hypermix.augment.custom import Checked
from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.errors import AugmentError
from hypermix.plugins import find_plugin, load_plugin, plugin_names, plugin_version
from hypermix.records import Example, SyntheticRow, Task
from tests.extending import install
from tests.unit.augment.playing import make_rows
from tests.unit.config.conftest import RAW, mistakes, set_key

TASK = Task("text", "label", {"a": "a", "b": "b"})
ROWS = [Example("row 0", "you", "a"), Example("row 1", "all", "b")]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an installed package, on the path."""
    install(tmp_path / "site", "rows_that_greet")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "rows_that_greet", raising=False)
    return tmp_path / "site"


def own(raw: Any, **settings: Any) -> dict[str, Any]:
    return set_key(raw, "augmenters.own", {"method": "custom", **settings})


def test_an_installed_package_adds_its_augmenters(site: Path) -> None:
    assert plugin_names() == ["gone", "hello", "lacking", "nowhere", "thing"]
    assert plugin_version("hello") == "hello-rows 1.2"
    assert load_plugin("hello").__name__ == "Hello"


def test_its_rows_are_made(site: Path) -> None:
    assert custom.build_custom is AUGMENTERS.get("custom")
    augmenter = custom.build_custom({"name": "hello", "settings": {"rows": 2}}, Material(ROWS, TASK, 1))
    rows = make_rows(augmenter)
    assert [(row.text, row.label, row.soft_label) for row in rows] == [
        ("hello you", "a", (1.0, 0.0)),
        ("hello all", "b", (0.0, 1.0)),
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("helo", r"no installed package adds an augmenter 'helo' .*; did you mean 'hello'\? \(known: gone, hello, "),
        ("gone", r"'gone' of hello-rows 1.2 cannot be imported: .*has no attribute 'Gone'"),
        ("nowhere", "'nowhere' of hello-rows 1.2 cannot be imported: No module named 'no_such_module_at_all'"),
        ("thing", "'thing' of hello-rows 1.2 is rows_that_greet:THING, which is no function"),
        ("lacking", "'lacking' lacks n_rows, attempts, most_requests, rehearse, talk of hypermix.augment.base"),
    ],
)
def test_each_fault_is_told(site: Path, name: str, told: str) -> None:
    with pytest.raises(AugmentError, match=told):
        custom.build_custom({"name": name, "settings": {}}, Material(ROWS, TASK, 1))


def test_two_packages_with_one_name_are_refused(site: Path) -> None:
    install(site, "others_that_greet", name="more-rows")
    with pytest.raises(AugmentError, match=r"hello-rows 1.2, more-rows 1.2 each add an augmenter 'hello'"):
        find_plugin("hello")


def test_a_config_names_it(site: Path) -> None:
    config = load_config(own(RAW, name="hello", settings={"rows": 2, "deep": [{"x": None}]}))
    parts = json.loads(experiment.augment_slice(config, "rt", "own"))
    assert parts["augmenter"]["settings"] == {"rows": 2, "deep": [{"x": None}]}
    assert parts["package"] == "hello-rows 1.2"
    assert "llm" not in parts
    asking = load_config(own(RAW, name="hello", llm="local"))
    assert json.loads(experiment.augment_slice(asking, "rt", "own"))["llm"]["name"] == "local"


def test_another_version_makes_the_rows_anew(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(own(RAW, name="hello"))
    before = experiment.augment_slice(config, "rt", "own")
    assert experiment.augment_slice(config, "rt", "own") == before
    (site / "hello_rows-1.2.dist-info").rename(site / "hello_rows-1.3.dist-info")
    metadata = site / "hello_rows-1.3.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.2", "1.3"))
    assert experiment.augment_slice(config, "rt", "own") != before


def test_an_unknown_one_is_a_mistake_of_the_config(site: Path) -> None:
    (line,) = mistakes(own(RAW, name="helo"))
    assert line.startswith("augmenters.own.name: 'helo' stands there; wanted is an augmenter that an installed package")
    assert line.endswith("did you mean 'hello'? (known: gone, hello, lacking, nowhere, thing)")
    (line,) = mistakes(own(RAW, name="hello", llm="nobody"))
    assert line.startswith("augmenters.own.llm: 'nobody' is no key of llms")


def test_without_packages_none_is_known() -> None:
    (line,) = mistakes(own(RAW, name="hello"))
    assert line.endswith("known: none yet")


def row_of(**changes: Any) -> SyntheticRow:
    given = {"index": 0, "text": "fine", "label": "pos", "soft_label": (0.0, 1.0), "label_source": "mine"}
    return SyntheticRow(
        **{**given, "label_mass": 1.0, "source_ids": (), "request_key": None, "reason": None, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"soft_label": None}, "the soft label None, it must hold 2 probabilities"),
        ({"soft_label": (1.0,)}, "it must hold 2 probabilities in label order"),
        ({"soft_label": (0.7, 0.7)}, "must sum to 1"),
        ({"label": "other"}, "the label 'other', it must be one of ['neg', 'pos']"),
        ({"index": 3}, "the index 3"),
        ({"label_source": None}, "the label source None"),
    ],
)
def test_rows_of_a_package_are_checked(changes: dict[str, Any], told: str) -> None:
    checked = Checked(Offline(1, 1, lambda slot: row_of(**changes)), "hello", ["neg", "pos"])
    with pytest.raises(AugmentError) as error:
        make_rows(checked)
    assert "the augmenter 'hello' made row 0 with" in str(error.value)
    assert told in str(error.value)


def test_texts_of_a_package_can_be_written() -> None:
    (row,) = make_rows(Checked(Offline(1, 1, lambda slot: row_of(text="half \ud83d")), "hello", ["neg", "pos"]))
    assert row.text == "half ?"
    assert make_rows(Checked(Offline(1, 1, lambda slot: row_of(text=None, reason="none")), "hello", ["neg"]))
