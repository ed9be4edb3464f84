from __future__ import annotations

import itertools
import random
import tempfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hypermix.data import index
from hypermix.data.index import Index, fold, index_rows, row_names, take, text_keys
from hypermix.data.rows import SCHEMA, row_ids
from hypermix.errors import DataError

Row = tuple[str, str | None, str | None]
"""Text, label, group."""

SPACES = " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"
LETTERS = st.text(alphabet="aB cDé…\u200b" + SPACES, max_size=8)
ROWS = st.lists(st.tuples(LETTERS, st.sampled_from("xy"), st.none() | st.sampled_from("gh")), min_size=1, max_size=30)
CUTS = st.lists(st.integers(0, 30), max_size=4)


def make_batches(rows: Sequence[Row], cuts: Sequence[int] = ()) -> list[pa.RecordBatch]:
    """Make clean batches of rows, cut at some positions; cuts at one place make an empty batch."""
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [rows[start:stop] for start, stop in itertools.pairwise(bounds)]
    columns = [[[row[place] for row in part] for place in range(3)] for part in parts]
    return [
        pa.RecordBatch.from_arrays([pa.array(c, pa.large_string()) for c in part], schema=SCHEMA) for part in columns
    ]


def make_index(rows: Sequence[Row], where: str = "rows.csv", cuts: Sequence[int] = ()) -> Index:
    return index_rows(where, make_batches(rows, cuts))


# What is known of a row.


def test_row_is_described() -> None:
    frame = make_index(
        [("Fine …\n", "good", "ann"), ("  ", "bad", None), ("Fine …\n", "good", "bob"), ("\x00a\x7f", "bad", "ann")]
    ).frame

    assert frame["label"].tolist() == ["good", "bad", "good", "bad"]
    assert frame["group"].astype(object).where(frame["group"].notna(), None).tolist() == ["ann", None, "bob", "ann"]
    assert frame["occurrence"].tolist() == [0, 0, 1, 0]
    assert frame["characters"].tolist() == [7, 2, 7, 3]
    assert frame["empty"].tolist() == [False, True, False, False]
    assert frame["control"].tolist() == [False, False, False, True]
    assert frame["breaks"].tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "empty", "control", "breaks"),
    [
        ("", True, False, False),
        (" \t", True, False, False),
        ("\u3000\xa0", True, False, False),
        ("\r\n", True, False, True),
        ("a\tb", False, False, False),
        ("a\rb", False, False, True),
        ("a\x0bb\x0cc", False, False, False),
        ("\x1b[0m", False, True, False),
        ("\x00", False, True, False),
        ("\u200b", False, False, False),
        ("é", False, False, False),
    ],
    ids=ascii,
)
def test_odd_characters_are_told_apart(text: str, empty: bool, control: bool, breaks: bool) -> None:
    row = make_index([(text, "a", None)]).frame.iloc[0]

    assert (row["empty"], row["control"], row["breaks"]) == (empty, control, breaks)


@given(ROWS, CUTS)
def test_batching_changes_nothing(rows: list[Row], cuts: list[int]) -> None:
    whole, parts = make_index(rows), make_index(rows, cuts=cuts)

    assert whole.frame.equals(parts.frame)
    assert len(whole) == len(rows)


@given(ROWS, CUTS, st.randoms(use_true_random=False))
def test_ids_are_those_of_all_rows(rows: list[Row], cuts: list[int], chance: random.Random) -> None:
    ids = row_ids([row[0] for row in rows], [row[1] for row in rows])
    positions = np.array(chance.sample(range(len(rows)), len(rows) // 2), dtype=np.int64)

    assert row_names(make_index(rows, cuts=cuts), positions).to_pylist() == [ids[row] for row in positions]
    assert len(set(ids)) == len(rows)


def test_equal_rows_have_distinct_ids() -> None:
    names = row_names(make_index([("same", "a", None)] * 3), np.arange(3)).to_pylist()

    assert [name.rpartition("-")[2] for name in names] == ["0", "1", "2"]
    assert len({name.rpartition("-")[0] for name in names}) == 1


def test_no_row_has_no_id() -> None:
    assert row_names(make_index([("a", "b", None)]), np.zeros(0, np.int64)).to_pylist() == []


@pytest.mark.parametrize("batches", [[], make_batches([])], ids=["no batch", "empty batch"])
def test_no_row_is_told(batches: list[pa.RecordBatch]) -> None:
    with pytest.raises(DataError, match=r"^train\.csv: has no rows; at least one row of each label is wanted$"):
        index_rows("train.csv", batches)


@pytest.mark.parametrize(
    ("missing", "told"),
    [([2], "row 2"), ([1, 4], "row 1, 4"), (range(1, 9), "row 1, 2, 3, 4, 5 and 3 more")],
    ids=str,
)
def test_missing_labels_are_told(missing: Sequence[int], told: str) -> None:
    rows: list[Row] = [("text", None if row + 1 in missing else "a", None) for row in range(9)]
    with pytest.raises(DataError, match=rf"^rows\.csv: no label in {told}; fill it in or take the row away$"):
        make_index(rows, cuts=[3])


# Texts that are one but for case and spaces.


@given(st.lists(LETTERS, max_size=20))
@example(["a\xa0b", "a b ", "a b"])
def test_texts_are_folded_as_python_folds_them(texts: list[str]) -> None:
    folded = fold(pa.array(texts, pa.large_string())).to_pylist()

    assert folded == [" ".join(text.lower().split()) for text in texts]


@given(st.text(max_size=12))
def test_any_white_space_is_folded(text: str) -> None:
    alone = fold(pa.array([text], pa.large_string())).to_pylist()
    beside = fold(pa.array([text, " untidy "], pa.large_string())).to_pylist()[:1]

    assert alone == beside
    assert " ".join(alone[0].split()) == alone[0]


@given(st.lists(LETTERS, min_size=1, max_size=20))
def test_keys_are_equal_where_texts_are(texts: list[str]) -> None:
    keys = text_keys(pa.array(texts, pa.large_string())).tolist()
    folded = [" ".join(text.lower().split()) for text in texts]

    assert [keys.index(key) for key in keys] == [folded.index(text) for text in folded]


def test_keys_of_both_kinds_of_string_are_equal() -> None:
    texts = ["A  text", "другой", ""]
    one, other = (text_keys(pa.array(texts, kind)) for kind in (pa.string(), pa.large_string()))

    assert one.dtype == np.uint64
    assert one.tolist() == other.tolist()


def test_no_text_has_no_key() -> None:
    assert len(text_keys(pa.array([], pa.string()))) == 0


# Rows at some positions.


def numbered(count: int, cuts: Sequence[int]) -> Iterator[pa.RecordBatch]:
    yield from make_batches([(f"text {row}", "ab"[row % 2], None) for row in range(count)], cuts)


def texts_of(batches: Iterator[pa.RecordBatch]) -> list[str]:
    return [text for batch in batches for text in batch["text"].to_pylist()]


@given(st.permutations(range(25)), st.integers(0, 25), CUTS, st.sampled_from([1, 2, 7, 1 << 16]), st.booleans())
def test_any_positions_are_taken_in_their_order(
    order: list[int], count: int, cuts: list[int], bucket: int, ascending: bool
) -> None:
    positions = np.array(sorted(order[:count]) if ascending else order[:count], dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_BUCKET_ROWS", bucket)
        batches = list(take(numbered(25, cuts), positions))

    assert texts_of(iter(batches)) == [f"text {row}" for row in positions]
    assert all(batch.schema == SCHEMA for batch in batches)


def test_rows_keep_their_columns_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_BUCKET_ROWS", 3)
    rows: list[Row] = [(f"text {row}", f"label {row}", None if row % 3 else f"group {row}") for row in range(10)]
    positions = np.array([9, 0, 3, 8, 1, 2])
    taken = pa.Table.from_batches(take(make_batches(rows, [4]), positions))

    assert list(zip(*(taken[name].to_pylist() for name in SCHEMA.names), strict=True)) == [rows[p] for p in positions]


@pytest.mark.parametrize("positions", [[2, 0], [0, 2]], ids=["mixed", "ascending"])
def test_stream_is_read_once_and_no_further(positions: list[int]) -> None:
    read: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(numbered(10, [2, 4, 6])):
            read.append(number)
            yield batch

    assert texts_of(take(batches(), np.array(positions))) == [f"text {row}" for row in positions]
    assert read == [0, 1, 2]


def test_no_position_takes_nothing() -> None:
    assert list(take(numbered(5, []), np.zeros(0, np.int64))) == []
    assert list(take(iter(()), np.zeros(0, np.int64))) == []


@pytest.mark.parametrize("positions", [[1, 7], [7, 1]], ids=str)
def test_position_behind_the_end_gives_no_row(positions: list[int]) -> None:
    assert texts_of(take(numbered(5, []), np.array(positions))) == ["text 1"]


@pytest.mark.parametrize("stop", [True, False], ids=["stopped", "read"])
def test_nothing_is_left_on_the_disk(stop: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(index, "_BUCKET_ROWS", 2)
    rows = take(numbered(10, [5]), np.arange(10)[::-1])
    next(rows)

    assert [path.name[:14] for path in tmp_path.iterdir()] == ["hypermix-rows-"]
    if stop:
        assert isinstance(rows, Generator)
        rows.close()
    else:
        assert len(list(rows)) == 4
    assert list(tmp_path.iterdir()) == []
