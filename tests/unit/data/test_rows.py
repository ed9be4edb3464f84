from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.data.raw import RawSplit
from hypermix.data.rows import (
    SCHEMA,
    Columns,
    canonical_label,
    clean_batches,
    content_numbers,
    may_hold,
    row_id,
    row_ids,
)
from hypermix.errors import DataError

PAIRS = st.lists(st.tuples(st.sampled_from(["x", "y", "x\ty", "xy"]), st.sampled_from(["a", "b"])), max_size=12)
COLUMNS = Columns(["text"], "label")
TEXTS = st.none() | st.text(st.characters(codec="utf-8"))


def ids_of(*pairs: tuple[str | None, str | None]) -> list[str]:
    return row_ids([text for text, _ in pairs], [label for _, label in pairs])


def clean(*batches: dict[str, Any], columns: Columns = COLUMNS) -> list[tuple[str | None, ...]]:
    def start() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_pydict(batch)

    found = list(clean_batches(RawSplit("mine", start), columns))
    assert all(batch.schema == SCHEMA for batch in found)
    return [tuple(row.values()) for batch in found for row in batch.to_pylist()]


def texts(*values: str | None, kind: pa.DataType | None = None) -> list[str | None]:
    return [row[0] for row in clean({"text": pa.array(values, kind or pa.string()), "label": ["a"] * len(values)})]


def labels(values: Any, names: dict[str, str] | None = None) -> list[str | None]:
    columns = Columns(["text"], "label", None, names or {})
    return [row[1] for row in clean({"text": ["x"] * len(values), "label": values}, columns=columns)]


def refuse(*batches: dict[str, Any], columns: Columns = COLUMNS) -> str:
    with pytest.raises(DataError) as caught:
        clean(*batches, columns=columns)
    return str(caught.value)


def not_utf8(*values: bytes) -> pa.Array:
    """Return strings that are none."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def test_id_is_a_digest_and_number() -> None:
    assert ids_of(("fine", "pos")) == ["8317d0e16502ffba-0"]


def test_id_is_the_start_of_a_digest_of_label_and_text() -> None:
    assert ids_of(("fine", "pos")) == [f"{sha256(b'3:pos4:fine').hexdigest()[:16]}-0"]
    assert ids_of((None, None)) == [f"{sha256(b'--').hexdigest()[:16]}-0"]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8))
def test_equal_rows_alone_share_a_content(pairs: list[tuple[str | None, str | None]]) -> None:
    ids = ids_of(*pairs)
    for at, pair in enumerate(pairs):
        assert ids[at].endswith(f"-{pairs[:at].count(pair)}")
        assert [name.partition("-")[0] == ids[at].partition("-")[0] for name in ids] == [pair == p for p in pairs]


def test_a_row_is_not_taken_for_one_that_is_cut_elsewhere() -> None:
    assert len(set(ids_of(("b", "a"), ("ab", ""), ("", "ab"), ("1:b", "a"), (None, "a"), ("-", "a")))) == 6


def test_id_is_made_from_a_number() -> None:
    number = content_numbers(["fine"], ["pos"])

    assert (number.dtype.name, row_id(int(number[0]), 3)) == ("uint64", "8317d0e16502ffba-3")
    assert row_id(10, 0) == "000000000000000a-0"


def test_no_rows_have_no_ids() -> None:
    assert (row_ids([], []), len(content_numbers([], []))) == ([], 0)


def test_copies_are_numbered() -> None:
    ids = ids_of(("x", "a"), ("y", "a"), ("x", "a"), ("x", "b"), ("x", "a"))

    assert [name[-2:] for name in ids] == ["-0", "-0", "-1", "-0", "-2"]
    assert len({ids[0][:-2], ids[2][:-2], ids[4][:-2]}) == 1


@given(PAIRS)
def test_no_two_rows_share_an_id(pairs: list[tuple[str, str]]) -> None:
    assert len(set(ids_of(*pairs))) == len(pairs)


@given(PAIRS.flatmap(lambda pairs: st.tuples(st.just(pairs), st.permutations(pairs))))
def test_order_of_rows_keeps_ids(orders: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> None:
    assert sorted(ids_of(*orders[0])) == sorted(ids_of(*orders[1]))


@given(PAIRS)
def test_new_rows_at_end_keep_ids(pairs: list[tuple[str, str]]) -> None:
    assert ids_of(*pairs, ("new", "a"), ("x", "a"))[: len(pairs)] == ids_of(*pairs)


def test_row_without_text_has_an_id() -> None:
    assert ids_of((None, None), (None, None))[1].endswith("-1")


def test_columns_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        row_ids(["x", "y"], ["a"])


def test_text_and_label_are_not_joined() -> None:
    first, second = ids_of(("ab", "c"), ("a", "bc"))

    assert first != second


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        ("1.0", "1"),
        (" 1.00\n", "1"),
        (Decimal("1.00"), "1"),
        (-2, "-2"),
        (-2.0, "-2"),
        ("-2.0", "-2"),
        (-0.0, "0"),
        ("-0.0", "0"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.5"),
        (1e16, "10000000000000000"),
        (math.inf, "inf"),
        (True, "true"),
        ("True", "true"),
        (" FALSE ", "false"),
        (False, "false"),
        ("007", "007"),
        ("007.0", "007.0"),
        ("1.", "1."),
        ("1.0.0", "1.0.0"),
        ("+1", "+1"),
        ("9" * 5000 + ".0", "9" * 5000),
        ("٣.0", "٣.0"),
        ("Pos ", "Pos"),
        ("so…", "so…"),
        ("a  b", "a  b"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_labels_have_one_form(value: object, label: str) -> None:
    assert canonical_label(value) == label


@pytest.mark.parametrize("value", [None, math.nan, "", "  ", "\t\r\n", "\u00a0"], ids=repr)
def test_nothing_is_no_label(value: object) -> None:
    assert canonical_label(value) is None


@pytest.mark.parametrize("word", ["NA", "N/A", "null", "NULL", "nan", "NaN", "None", "none", "-", "0"])
def test_words_for_nothing_are_labels_and_texts(word: str) -> None:
    assert canonical_label(word) == word
    assert clean({"text": [word], "label": [word]}) == [(word, word, None)]


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.from_regex(r"[+-]?[0-9]*\.?0*"))
def test_form_of_a_form_is_itself(value: object) -> None:
    once = canonical_label(value)

    assert canonical_label(once) == once


@given(st.integers(-(2**53), 2**53))
def test_equal_whole_numbers_are_one_label(number: int) -> None:
    forms = [number, float(number), Decimal(number), f"{number}", f"{number}.0", f" {number}.00 ", str(Decimal(number))]

    assert {canonical_label(form) for form in forms} == {str(number)}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_equal_numbers_are_one_label(number: float) -> None:
    rounded = int(number) if number.is_integer() else number

    assert canonical_label(number) == canonical_label(rounded) == canonical_label(str(rounded))


@given(st.integers() | st.floats(allow_nan=False), st.integers() | st.floats(allow_nan=False))
def test_other_numbers_are_other_labels(first: float, second: float) -> None:
    assert (canonical_label(first) == canonical_label(second)) == (first == second)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pa.array([1, None], pa.int8()), ["1", None]),
        (pa.array([1, 2**63], pa.uint64()), ["1", "9223372036854775808"]),
        (pa.array([1.0, 0.5, None, math.nan]), ["1", "0.5", None, None]),
        (pa.array([1.0, 0.1, None, math.nan], pa.float32()), ["1", "0.1", None, None]),
        (pa.array([1.0, 0.1, None], pa.float16()), ["1", "0.1", None]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([Decimal("1.00"), Decimal("2.50"), None]), ["1", "2.5", None]),
        (pa.array(["a", " ", None]), ["a", None, None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([b"a", None], pa.binary()), ["a", None]),
        (pa.array([b"a", None], pa.large_binary()), ["a", None]),
        (pa.array([b"a", None], pa.binary_view()), ["a", None]),
        (pa.array(["a", None, "b", "a"]).dictionary_encode(), ["a", None, "b", "a"]),
        (pa.array([2, None, 2]).dictionary_encode(), ["2", None, "2"]),
        (pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None])), ["a", None, None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_labels_of_many_types_are_read(values: pa.Array, found: list[str | None]) -> None:
    assert labels(values) == found


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("s"),
        pa.date32(),
        pa.list_(pa.string()),
        pa.struct([("a", pa.int64())]),
        pa.binary(2),
        pa.duration("s"),
    ],
    ids=str,
)
def test_labels_of_other_types_are_refused(kind: pa.DataType) -> None:
    columns = Columns(["text"], "label", "by")
    rows = {"text": ["x"], "label": pa.nulls(1, kind), "by": ["z"]}
    swapped = {"text": ["x"], "label": ["a"], "by": pa.nulls(1, kind)}

    assert refuse(rows, columns=columns) == (
        f"mine: column 'label' holds {kind}, which is no label; name another column with the key label"
    )
    assert refuse(swapped, columns=columns) == (
        f"mine: column 'by' holds {kind}, which is no group; name another column with the key group"
    )


def test_labels_take_their_other_names() -> None:
    names = {"0": "negative", " 1.0 ": "positive", "True": "positive", "unused": "x"}

    assert labels(pa.array([0, 1, None, 2]), names) == ["negative", "positive", None, "2"]
    assert labels(pa.array([0.0, 1.0]), names) == ["negative", "positive"]
    assert labels(pa.array(["0", "1", "true", "0.0"]), names) == ["negative", "positive", "positive", "negative"]
    assert labels(pa.array([True, False]), names) == ["positive", "false"]


def test_names_of_labels_are_not_named_again() -> None:
    assert labels(["a", "b", "c"], {"a": "b", "b": "a"}) == ["b", "a", "c"]


def test_label_with_two_names_is_an_error() -> None:
    columns = Columns(["text"], "label", None, {"1": "good", "1.0": "fine"})

    message = refuse({"text": ["x"], "label": ["1"]}, columns=columns)
    assert message == "mine: labels names '1' twice, 'good' and 'fine'; name it once"


def test_groups_have_one_form_and_no_names() -> None:
    columns = Columns(["text"], "label", "author", {"7": "seven"})
    rows = clean({"text": ["x"] * 4, "label": [7] * 4, "author": [7, 8, None, 7]}, columns=columns)

    assert rows == [("x", "seven", "7"), ("x", "seven", "8"), ("x", "seven", None), ("x", "seven", "7")]


def test_column_may_have_two_uses() -> None:
    columns = Columns(["text", "author"], "author", "author")

    assert columns.wanted == ["text", "author"]
    assert clean({"text": ["x"], "author": ["b"]}, columns=columns) == [("x b", "b", "b")]


def test_ellipsis_of_a_text_becomes_three_dots() -> None:
    assert texts("well… no…", "plain") == ["well... no...", "plain"]
    assert labels(["so…"]) == ["so…"]


def test_nothing_else_of_a_text_changes() -> None:
    text = " Fine,\tTHE  <br> 电影 🎬\n\u00a0film.. \0"

    assert texts(text) == [text]


def test_missing_text_is_empty() -> None:
    assert texts(None, "", "x") == ["", "", "x"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
    ids=str,
)
def test_texts_of_many_types_are_read(kind: pa.DataType) -> None:
    assert texts("電影…", None, "", "電影…", kind=kind) == ["電影...", "", "", "電影..."]


def test_column_of_nulls_has_empty_texts() -> None:
    assert clean({"text": pa.nulls(2), "label": ["a", "b"]}) == [("", "a", None), ("", "b", None)]


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.bool_(), pa.float64(), pa.list_(pa.string()), pa.struct([("text", pa.string())])], ids=str
)
def test_what_is_no_text_is_refused(kind: pa.DataType) -> None:
    assert refuse({"text": pa.nulls(1, kind), "label": ["a"]}) == (
        f"mine: column 'text' holds {kind} and not texts; name another column with the key text"
    )


@pytest.mark.parametrize(
    ("row", "joined"),
    [
        (["a", "b", "c"], "a b c"),
        (["a", "", "c"], "a c"),
        (["a", None, "c"], "a c"),
        ([None, "", "c"], "c"),
        ([None, "", None], ""),
        ([" a ", " ", "c"], " a    c"),
        (["a", "…", None], "a ..."),
    ],
)
def test_texts_of_several_columns_are_joined(row: list[str | None], joined: str) -> None:
    batch = {name: pa.array([text], pa.string()) for name, text in zip("abc", row, strict=True)}
    columns = Columns(["a", "b", "c"], "label")

    assert clean({**batch, "label": ["z"]}, columns=columns) == [(joined, "z", None)]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
def test_rows_of_empty_texts_are_kept(rows: list[tuple[str | None, str | None]]) -> None:
    batch = {name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate("ab")}
    found = clean({**batch, "label": pa.array(["z"] * len(rows), pa.string())}, columns=Columns(["a", "b"], "label"))

    assert [row[0] for row in found] == [" ".join(filter(None, row)).replace("…", "...") for row in rows]


def test_columns_are_joined_in_the_order_of_the_config() -> None:
    columns = Columns(["title", "body"], "label")

    assert clean({"body": ["b"], "label": ["z"], "title": ["t"]}, columns=columns) == [("t b", "z", None)]


@pytest.mark.parametrize("column", ["text", "label"])
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "dictionary"])
def test_row_that_is_no_utf8_is_counted_over_batches(column: str, encoded: bool) -> None:
    bad = not_utf8(b"x", b"x", b"\xff", b"x")
    if encoded:
        bad = pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 0]), not_utf8(b"x", b"\xff"))
    good = {"text": ["x"] * 10, "label": ["a"] * 10}

    assert refuse(good, good, {**{name: ["z"] * 4 for name in good}, column: bad}) == (
        f"mine: column {column!r}: row 23 is not UTF-8; write the file in UTF-8, or set encoding to that of a CSV or "
        "TSV file, such as cp1252"
    )


def test_missing_columns_are_told_at_once() -> None:
    columns = Columns(["titel", "body"], "label", "author")

    assert refuse({"title": ["x"], "body": ["x"], "stars": [1]}, columns=columns) == (
        "mine: no column 'titel' (did you mean 'title'? (known: title, body, stars)); no column 'label' (known: title, "
        "body, stars); no column 'author' (known: title, body, stars); name columns with the keys text, label and group"
    )


def test_batches_come_again() -> None:
    def start() -> Iterator[pa.RecordBatch]:
        for text in "xyz":
            yield pa.RecordBatch.from_pydict({"text": [text] * 3, "label": [1, 2, None]})

    split = RawSplit("mine", start)
    first = list(clean_batches(split, COLUMNS))
    assert len(first) == 3
    assert list(clean_batches(split, COLUMNS)) == first


def test_sliced_batches_are_read() -> None:
    whole = pa.RecordBatch.from_pydict({"text": ["a", "b…", "c", None], "label": [1, 2, 3, None]}).slice(1)
    found = list(clean_batches(RawSplit("mine", lambda: iter([whole])), COLUMNS))

    assert found[0].to_pydict() == {"text": ["b...", "c", ""], "label": ["2", "3", None], "group": [None] * 3}


def test_bytes_tell_whether_a_character_may_stand_there() -> None:
    assert may_hold(pa.array(["a", "b…"]), "…")
    assert not may_hold(pa.array(["a", "b"]), "…")
    assert not may_hold(pa.array([], pa.string()), "…")
