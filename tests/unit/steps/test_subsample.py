from __future__ import annotations

import logging
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.files import read_provenance, read_table
from hypermix.hashing import file_digest
from hypermix.steps import subsample
from tests.unit.steps.chain import DRAW, SPLITS, Chain, Key, words
from tests.unit.steps.conftest import MakeChain

KEY: Key = {"dataset": "toy", "subsample": "2s", "data_seed": 11}


def ids(chain: Chain, name: str, key: Key = KEY) -> list[str]:
    return read_table(chain.drawn(key)[name], name)["id"].tolist()


@pytest.fixture
def prepared(make_chain: MakeChain) -> Any:
    def make(**sizes: Any) -> Chain:
        chain = make_chain(f"results-{len(sizes)}", subsample=sizes)
        chain.prepare()
        return chain

    return make


def test_each_split_has_its_size(done: Chain) -> None:
    assert {name: len(ids(done, name)) for name in SPLITS} == {"train": 4, "validation": 8, "test": 20}


def test_drawn_rows_are_prepared_rows(done: Chain) -> None:
    for name in SPLITS:
        prepared = read_table(done.splits("prepare", DRAW[:1], KEY)[name], name)
        drawn = read_table(done.drawn(KEY)[name], name)
        joined = drawn.merge(prepared, on=["id", "text", "label"])
        assert len(joined) == len(drawn) == drawn["id"].nunique()


def test_labels_are_drawn_alike(done: Chain) -> None:
    drawn = read_table(done.drawn(KEY)["train"], "train")
    assert drawn["label"].value_counts().to_dict() == {"negative": 2, "positive": 2}


def test_other_data_seed_draws_other_rows(done: Chain) -> None:
    assert ids(done, "train") != ids(done, "train", {**KEY, "data_seed": 12})


def test_null_takes_all_rows_in_order(done: Chain) -> None:
    prepared = read_table(done.splits("prepare", DRAW[:1], KEY)["test"], "test")
    assert ids(done, "test") == prepared["id"].tolist()


def test_small_draw_is_in_the_large_one(prepared: Any) -> None:
    chain = prepared(train=["2s", "6s"])
    large = {**KEY, "subsample": "6s"}
    for key in (KEY, large):
        chain.subsample(key)
    assert set(ids(chain, "train")) < set(ids(chain, "train", large))


def test_train_size_changes_no_other_split(prepared: Any) -> None:
    chain = prepared(train=["2s", "6s"])
    large = {**KEY, "subsample": "6s"}
    for key in (KEY, large):
        chain.subsample(key)
    assert ids(chain, "validation") == ids(chain, "validation", large)


def test_share_of_train_is_drawn(prepared: Any) -> None:
    chain = prepared(train=["0.5f"])
    key = {**KEY, "subsample": "0.5f"}
    chain.subsample(key)
    assert len(ids(chain, "train", key)) == 12


def test_provenance_names_draw_and_inputs(done: Chain) -> None:
    for path in done.drawn(KEY).values():
        made = read_provenance(path)
        assert made["keys"] == KEY
        assert made["labels"] == ["negative", "positive"]
        assert made["short"] == {}
        assert sorted(made["slices"]) == ["prepare", "subsample"]
        prepared = done.splits("prepare", DRAW[:1], KEY)
        assert made["inputs"] == {name: file_digest(source) for name, source in prepared.items()}


def test_short_classes_are_recorded_and_told(prepared: Any, caplog: pytest.LogCaptureFixture) -> None:
    chain = prepared(train=["14s"], validation="7s")
    key = {**KEY, "subsample": "14s"}
    with caplog.at_level(logging.WARNING, "hypermix"):
        chain.subsample(key)
    short = {
        "train": {"negative": [12, 14], "positive": [12, 14]},
        "validation": {"negative": [6, 7], "positive": [6, 7]},
    }
    assert read_provenance(chain.drawn(key)["test"])["short"] == short
    assert caplog.messages == [
        "train has too few rows: 'negative' has 12 of 14, 'positive' has 12 of 14; all of them are taken",
        "validation has too few rows: 'negative' has 6 of 7, 'positive' has 6 of 7; all of them are taken",
    ]
    assert len(ids(chain, "train", key)) == 24


def test_same_draw_gives_same_bytes(done: Chain, make_chain: MakeChain) -> None:
    chain = make_chain()
    chain.prepare()
    again = chain.subsample(KEY)
    assert all(path.read_bytes() == done.drawn(KEY)[name].read_bytes() for name, path in again.items())


def test_seed_of_the_wildcard_is_text(done: Chain, make_chain: MakeChain) -> None:
    chain = make_chain()
    outputs = chain.drawn(KEY)
    inputs = done.splits("prepare", DRAW[:1], KEY)
    subsample.run(words(KEY, DRAW), experiment.subsample_slice(chain.config), inputs, outputs)
    assert read_provenance(outputs["train"])["keys"]["data_seed"] == 11
