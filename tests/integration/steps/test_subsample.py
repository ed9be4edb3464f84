from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hypermix.config import experiment
from hypermix.data.sample import draw
from hypermix.data.split import carve_share
from hypermix.errors import ArtefactError, DataError
from hypermix.files import read_provenance, read_table
from hypermix.hashing import file_digest
from hypermix.seeding import child_seed
from hypermix.steps import subsample
from tests.integration.steps.chain import DRAW, SPLITS, Chain, Key, MakeChain, words

KEY: Key = {"dataset": "toy", "subsample": "2s", "data_seed": 11}
ALL: dict[str, Any] = {"train": ["2s"], "validation": None, "test": None}

Rows = Sequence[tuple[str, str, str]]
"""Text, label, author."""


def ids(chain: Chain, name: str, key: Key = KEY) -> list[str]:
    return read_table(chain.drawn(key)[name], name)["id"].tolist()


def numbered(count: int, labels: str = "ab", each: int = 1) -> Rows:
    """Make rows that are all different, the labels in turn and each author with so many rows."""
    return [(f"text {row}", labels[row % len(labels)], f"author {row // each}") for row in range(count)]


def as_csv(rows: Rows) -> str:
    return "\n".join(["text,label,author", *(",".join(row) for row in rows), ""])


@pytest.fixture
def prepared(make_chain: MakeChain) -> Any:
    def make(**sizes: Any) -> Chain:
        chain = make_chain(f"results-{len(sizes)}", subsample=sizes)
        chain.prepare()
        return chain

    return make


@pytest.fixture
def repeated(make_chain: MakeChain, tmp_path: Path) -> Any:
    """Return a function that prepares rows whose splits are drawn for each data seed."""

    def make(rows: Rows, sizes: dict[str, Any] | None = None, **settings: Any) -> Chain:
        source = tmp_path / "all.csv"
        source.write_text(as_csv(rows), encoding="utf-8")
        data = {**dict.fromkeys(SPLITS), "train": str(source), "split": "repeated", **settings}
        chain = make_chain(datasets={"toy": data}, subsample=sizes or ALL)
        chain.prepare()
        return chain

    return make


def draw_all(chain: Chain, data_seed: int, size: str = "999s") -> dict[str, pd.DataFrame]:
    """Draw all rows of the splits of a data seed, or a size of train."""
    drawn = chain.subsample({**KEY, "subsample": size, "data_seed": data_seed})
    return {name: read_table(path, name).sort_values("id", ignore_index=True) for name, path in drawn.items()}


# Splits that stand.


def test_each_split_has_its_size(done: Chain) -> None:
    assert {name: len(ids(done, name)) for name in SPLITS} == {"train": 4, "validation": 8, "test": 20}


def test_drawn_rows_are_prepared_rows(done: Chain) -> None:
    for name in SPLITS:
        prepared = read_table(done.splits("prepare", DRAW[:1], KEY)[name], name)
        drawn = read_table(done.drawn(KEY)[name], name)
        joined = drawn.merge(prepared, on=["id", "text", "label"])
        assert len(joined) == len(drawn) == drawn["id"].nunique()


def test_order_is_that_of_the_draw(done: Chain) -> None:
    prepared = read_table(done.prepared(KEY)["validation"], "validation")
    rows = draw(prepared["label"].tolist(), 4, 11).rows

    assert ids(done, "validation") == prepared["id"].iloc[rows].tolist()


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
        assert made["slices"]["prepare"]["dataset"]["split"] == "fixed"
        assert made["inputs"] == {name: file_digest(source) for name, source in done.prepared(KEY).items()}


def test_short_classes_are_recorded_and_told(prepared: Any, caplog: pytest.LogCaptureFixture) -> None:
    chain = prepared(train=["14s"], validation="7s")
    key = {**KEY, "subsample": "14s"}
    caplog.clear()
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
    subsample.run(words(KEY, DRAW), experiment.subsample_slice(chain.config), done.prepared(KEY), outputs)
    assert read_provenance(outputs["train"])["keys"]["data_seed"] == 11


def test_label_that_train_lacks_stays_in_order(make_chain: MakeChain, tmp_path: Path) -> None:
    for name, rows in (("train", numbered(20)), ("test", [("odd", "c", "x"), ("even", "a", "x")])):
        (tmp_path / f"{name}.csv").write_text(as_csv(rows), encoding="utf-8")
    files = {**dict.fromkeys(SPLITS), **{name: str(tmp_path / f"{name}.csv") for name in ("train", "test")}}
    chain = make_chain(datasets={"toy": files})
    chain.prepare()
    made = read_provenance(chain.subsample(KEY)["train"])

    assert made["labels"] == ["a", "b", "c"]
    assert len(ids(chain, "train")) == 4


# Splits that are drawn for each data seed.

SEEDS = (0, 11, 12, 2**32 - 1)


@pytest.mark.parametrize("group", [None, "author"])
def test_drawn_splits_divide_all_rows(repeated: Any, group: str | None) -> None:
    rows = numbered(200, "aaab", each=8)
    chain = repeated(rows, group=group)
    everything = read_table(chain.prepared(KEY)["train"], "train")
    author = dict(zip(everything["text"], (row[2] for row in rows), strict=True))
    tests = set()
    for seed in SEEDS:
        found = draw_all(chain, seed)
        together = pd.concat(found.values()).sort_values("id", ignore_index=True)
        assert together.equals(everything.sort_values("id", ignore_index=True))
        assert {name: len(frame) for name, frame in found.items()} == {"train": 128, "validation": 32, "test": 40}
        for name, frame in found.items():
            assert Counter(frame["label"])["a"] == 3 * len(frame) // 4, name
        if group:
            sides = [{author[text] for text in frame["text"]} for frame in found.values()]
            assert sum(map(len, sides)) == len(set().union(*sides)) == 25
        tests.add(tuple(found["test"]["id"]))
    assert len(tests) == len(SEEDS)


def test_shares_and_limit_set_the_sizes(repeated: Any) -> None:
    chain = repeated(numbered(100), test_share=0.1, carve_share=0.5, carve_rows=20)
    found = draw_all(chain, 11)

    assert {name: len(frame) for name, frame in found.items()} == {"train": 70, "validation": 20, "test": 10}


def test_drawn_splits_are_marked_and_the_same_twice(repeated: Any) -> None:
    chain = repeated(numbered(60, each=3), group="author")
    once = {name: path.read_bytes() for name, path in chain.subsample(KEY).items()}

    assert {name: path.read_bytes() for name, path in chain.subsample(KEY).items()} == once
    for path in chain.drawn(KEY).values():
        made = read_provenance(path)
        assert made["slices"]["prepare"]["dataset"]["split"] == "repeated"
        assert str(chain.results) not in json.dumps(made)


def test_sizes_of_a_seed_lie_in_one_another(repeated: Any) -> None:
    chain = repeated(numbered(200), {**ALL, "train": ["16s", "32s"]})
    for seed in SEEDS:
        small, large = (draw_all(chain, seed, size) for size in ("16s", "32s"))
        assert (len(small["train"]), len(large["train"])) == (32, 64)
        assert set(small["train"]["id"]) < set(large["train"]["id"])
        assert small["test"].equals(large["test"])
        assert small["validation"].equals(large["validation"])


def test_held_splits_may_have_sizes(repeated: Any) -> None:
    chain = repeated(numbered(200), {"train": ["4s"], "validation": "3s", "test": "0.5f"})
    found = draw_all(chain, 11, "4s")

    assert {name: len(frame) for name, frame in found.items()} == {"train": 8, "validation": 6, "test": 20}


def test_every_row_is_tested_by_some_seed(repeated: Any) -> None:
    chain = repeated(numbered(40))
    tested = Counter(name for seed in range(30) for name in draw_all(chain, seed)["test"]["id"])

    # Each of 40 rows is expected in 6 of 30 test splits.
    assert len(tested) == 40
    assert max(tested.values()) <= 16


def test_each_split_has_its_own_seed(repeated: Any) -> None:
    chain = repeated(numbered(100))
    everything = read_table(chain.prepared(KEY)["train"], "train")
    labels = everything["label"].tolist()
    left, test = carve_share(labels, 0.2, None, child_seed(11, ("split", "test")))
    rest = [labels[row] for row in left]
    validation = [left[row] for row in carve_share(rest, 0.2, None, child_seed(11, ("split", "validation")))[1]]
    found = draw_all(chain, 11)

    assert set(found["test"]["id"]) == set(everything["id"].iloc[test])
    assert set(found["validation"]["id"]) == set(everything["id"].iloc[validation])


DOUBLE = [*numbered(40), *[(text.upper(), label, author) for text, label, author in numbered(40)]]


@pytest.mark.parametrize("overlap", ["drop", "keep"])
def test_rows_that_stand_in_test_too_follow_the_config(
    repeated: Any, overlap: str, caplog: pytest.LogCaptureFixture
) -> None:
    chain = repeated(DOUBLE, overlap=overlap)
    for seed in SEEDS:
        caplog.clear()
        found = draw_all(chain, seed)
        texts = {name: set(frame["text"].str.lower()) for name, frame in found.items()}
        shared = len(texts["test"] & (texts["train"] | texts["validation"]))
        total = sum(map(len, found.values()))
        assert (shared > 0, total == len(DOUBLE)) == (overlap == "keep", overlap == "keep")
        lost = len(DOUBLE) - total if overlap == "drop" else shared
        told = f"{lost} of 64 rows of train stand in test, text for text (overlap: {overlap})"
        assert [message for message in caplog.messages if "stand" in message] == [told]


def test_overlap_may_end_the_run(repeated: Any) -> None:
    chain = repeated(DOUBLE, overlap="fail")
    message = r"^toy, data seed 11: \d+ of 64 rows of train stand in test, text for text; .* set overlap: drop or keep$"
    with pytest.raises(DataError, match=message):
        chain.subsample(KEY)
    assert not chain.drawn(KEY)["train"].exists()


def test_dropped_duplicates_leave_no_overlap(repeated: Any) -> None:
    chain = repeated(DOUBLE, overlap="fail", duplicates="drop")

    assert sum(map(len, draw_all(chain, 11).values())) == 40


def test_author_with_most_rows_stays_in_train(repeated: Any, caplog: pytest.LogCaptureFixture) -> None:
    rows = [(text, label, "all" if row < 80 else "") for row, (text, label, _) in enumerate(numbered(100))]
    chain = repeated(rows, group="author")
    found = draw_all(chain, 11)

    assert set(found["test"]["text"]) | set(found["validation"]["text"]) <= {
        text for text, _, author in rows if not author
    }
    assert {"text 0", "text 79"} <= set(found["train"]["text"])
    # Test leaves a row of each label to validation.
    assert (len(found["test"]), len(found["validation"])) == (18, 2)
    assert "validation: takes 2 rows of 82 and not 16, since groups stay together" in caplog.messages


def test_groups_that_cannot_be_split_are_told_with_the_seed(repeated: Any) -> None:
    chain = repeated([(text, label, label) for text, label, _ in numbered(20)], group="author")

    with pytest.raises(
        DataError, match=r"^toy, data seed 11: every group holds more than half of the rows or all rows"
    ):
        chain.subsample(KEY)


def test_label_with_one_row_is_told(repeated: Any, caplog: pytest.LogCaptureFixture) -> None:
    chain = repeated([*numbered(20), ("rare", "c", "x")])
    found = draw_all(chain, 11)

    assert "c" in set(found["train"]["label"])
    assert caplog.messages[:2] == [
        f"{name}: has no row of 'c'; train has too few rows or groups to give one away"
        for name in ("test", "validation")
    ]
    assert read_provenance(chain.drawn({**KEY, "subsample": "999s"})["test"])["labels"] == ["a", "b", "c"]


def test_label_that_loses_all_its_rows_is_told(repeated: Any, caplog: pytest.LogCaptureFixture) -> None:
    chain = repeated([*numbered(20), *[("the same", "c", "x")] * 4])
    found = draw_all(chain, 11)

    assert (Counter(found["test"]["label"])["c"], "c" in set(found["train"]["label"])) == (1, False)
    assert "train keeps no row of 'c', for all stand in test" in caplog.messages


def test_train_that_all_stands_in_test_is_told(repeated: Any) -> None:
    chain = repeated([(label, label, "x") for _, label, _ in numbered(20)])

    with pytest.raises(
        DataError, match=r"^toy, data seed 11: train keeps no two labels, for the other rows stand in te"
    ):
        chain.subsample(KEY)


@pytest.mark.parametrize("split", ["train", "groups"])
def test_damaged_input_is_named(make_chain: MakeChain, split: str) -> None:
    chain = make_chain(datasets={"toy": {"split": "repeated", "validation": None, "test": None}})
    inputs = chain.prepare()
    inputs[split].write_bytes(inputs[split].read_bytes()[:-9])

    with pytest.raises(ArtefactError, match=rf"{split}\.parquet: cannot be read as Parquet"):
        chain.subsample(KEY)


def test_failure_to_write_is_not_told_as_one_to_read(done: Chain, make_chain: MakeChain) -> None:
    chain = make_chain()
    outputs = chain.drawn(KEY)
    outputs["train"].mkdir(parents=True)

    with pytest.raises(IsADirectoryError):
        subsample.run(words(KEY, DRAW), experiment.subsample_slice(chain.config), done.prepared(KEY), outputs)


# All rows.


def test_all_rows_of_train_and_validation_are_taken(prepared: Any) -> None:
    chain = prepared(train=["2s"], validation="4s", test="3s")
    key = {**KEY, "subsample": experiment.WHOLE}
    chain.subsample(key)

    assert {name: len(ids(chain, name, key)) for name in SPLITS} == {"train": 24, "validation": 12, "test": 6}
    for name in ("train", "validation"):
        assert ids(chain, name, key) == read_table(chain.prepared(key)[name], name)["id"].tolist()
    assert read_provenance(chain.drawn(key)["train"])["short"] == {}


def test_test_rows_of_an_export_are_those_of_the_experiment(prepared: Any) -> None:
    chain = prepared(train=["2s"], validation="4s", test="3s")
    whole = {**KEY, "subsample": experiment.WHOLE}
    chain.subsample(KEY)
    chain.subsample(whole)

    assert ids(chain, "test", whole) == ids(chain, "test", KEY)


def test_repeated_splits_stay_apart_when_all_rows_are_taken(repeated: Any) -> None:
    chain = repeated(numbered(60))
    drawn = draw_all(chain, 3, experiment.WHOLE)
    every = [one for name in SPLITS for one in drawn[name]["id"]]

    assert len(every) == len(set(every)) == 60
