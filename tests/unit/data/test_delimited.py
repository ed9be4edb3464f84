from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.data import delimited
from hypermix.data.delimited import read_delimited
from hypermix.data.raw import RawSplit
from hypermix.data.rows import Columns, clean_batches
from hypermix.errors import DataError

Read = Callable[..., list[Any]]
Refused = Callable[..., str]

H = "text,label\n"
COLUMNS = Columns(["text"], "label")
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ['"', '""', ',"', '",\n"', "\r\n", "\r", "\n\n", "\ufeff", "\ufeff\ufeff", "NA", " ", "\x1a", "é" * 40]
)
ROWS = st.lists(st.tuples(CELLS, st.sampled_from(["a", "b"])), max_size=12)


def parse(content: bytes, separator: str = ",", quoting: Any = "csv", columns: Columns = COLUMNS) -> list[Any]:
    """Read what stands in memory."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        yield io.BytesIO(content)

    def batches() -> Iterator[Any]:
        return read_delimited(opened, "mine", separator, quoting, columns)

    rows = clean_batches(RawSplit("mine", batches), columns)
    return [(row["text"], row["label"]) for batch in rows for row in batch.to_pylist()]


def refuse(content: str, **how: Any) -> str:
    with pytest.raises(DataError) as caught:
        parse(content.encode(), **how)
    return str(caught.value)


def write(rows: list[tuple[str, str]], **how: Any) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, **how).writerows([("text", "label"), *rows])
    return stream.getvalue().encode()


@pytest.fixture(params=[1, 7, 64])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a block have few bytes, so that rows lie across blocks."""
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", request.param)
    return int(request.param)


def clean(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(text.replace("…", "..."), label) for text, label in rows]


@given(ROWS)
def test_any_text_survives(rows: list[tuple[str, str]]) -> None:
    assert parse(write(rows, quoting=csv.QUOTE_ALL)) == clean(rows)


@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.integers(1, 40))
def test_size_of_blocks_changes_nothing(rows: list[tuple[str, str]], end: str, size: int) -> None:
    content = write(rows, quoting=csv.QUOTE_ALL, lineterminator=end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK_BYTES", size)

        assert parse(content) == clean(rows)


@given(ROWS)
def test_any_text_survives_tabs(rows: list[tuple[str, str]]) -> None:
    assert parse(write(rows, dialect="excel-tab", quoting=csv.QUOTE_ALL), "\t") == clean(rows)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\t"), min_size=1),
            st.sampled_from(["a", "b"]),
        )
    )
)
def test_any_text_survives_without_quoting(rows: list[tuple[str, str]]) -> None:
    content = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)

    assert parse(content.encode(), "\t", "none") == clean(rows)


@given(st.text(st.sampled_from('ab",\n\r'), max_size=24), st.integers(1, 24))
def test_quotes_mean_what_strict_csv_says(body: str, size: int) -> None:
    """Python's strict reader and this one take the same files, and read the same."""
    try:
        wanted = [row for row in csv.reader(io.StringIO(f"{H}{body}", newline=""), strict=True) if row]
    except csv.Error:
        wanted = [["not a table"]]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited, "_BLOCK_BYTES", size)
            found = parse(f"{H}{body}".encode())
    except DataError:
        assert any(len(row) != 2 for row in wanted)
    else:
        assert found == [(text, label.strip() or None) for text, label in wanted[1:]]


def test_quoted_fields_hold_anything(small: int) -> None:
    content = f'{H}"a,b",a\n"q ""x"" y",b\n"l1\nl2\r\n\r\nl3",c\n"""",d\n"",e\n'

    assert parse(content.encode()) == [
        ("a,b", "a"),
        ('q "x" y', "b"),
        ("l1\nl2\r\n\r\nl3", "c"),
        ('"', "d"),
        ("", "e"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "open"])
@pytest.mark.parametrize("quoting", ["csv", "none"])
def test_all_line_ends_are_read(end: str, last: bool, quoting: str, small: int) -> None:
    content = end.join(["text,label", "", "x,a", "", "", "y,b", *([""] if last else [])])

    assert parse(content.encode(), quoting=quoting) == [("x", "a"), ("y", "b")]


@pytest.mark.parametrize(
    "text", ["NA", "null", "NULL", "nan", "NaN", "None", "N/A", "#N/A", "007", "1.0", "true", "2020-01-01", " x "]
)
def test_words_for_nothing_and_numbers_are_texts(text: str) -> None:
    assert parse(f"{H}{text},{text}x\n".encode()) == [(text, f"{text}x".strip())]


def test_blank_label_is_none() -> None:
    assert parse(f'{H}x,\ny," "\nz,""\n'.encode()) == [("x", None), ("y", None), ("z", None)]


def test_quote_inside_a_plain_field_is_a_character(small: int) -> None:
    assert parse(f'{H}5" disk,a\nsay "hi","b"\n'.encode()) == [('5" disk', "a"), ('say "hi"', "b")]


def test_control_characters_stay(small: int) -> None:
    assert parse(f"{H}x\x01y\x0b\x0c\x1b\x85\u2028\0z,a\n".encode()) == [("x\x01y\x0b\x0c\x1b\x85\u2028\0z", "a")]


@pytest.mark.parametrize("content", ["text,label", "text,label\n", "\n\ntext,label\r\n\r\n", "\ufefftext,label\n"])
def test_header_alone_has_no_rows(content: str, small: int) -> None:
    assert parse(content.encode()) == []


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\n", "\r\n", "\n" * 200])
def test_nothing_is_an_error(content: str, small: int) -> None:
    assert refuse(content) == "mine: is empty; a header and rows are wanted"


def test_byte_order_mark_is_taken_away_once(small: int) -> None:
    content = "\ufeff" + H + "x,a\n" * 9 + "\ufeffy,b\n" * 9

    assert parse(content.encode()) == [("x", "a")] * 9 + [("\ufeffy", "b")] * 9


def test_quoted_header_is_read(small: int) -> None:
    assert parse(b'\xef\xbb\xbf"no\nte","text","label"\n1,x,a\n') == [("x", "a")]


@pytest.mark.parametrize(
    ("row", "found"),
    [("y", "1 field"), ("y,b,c", "3 fields"), ("  ", "1 field"), ("y,b,", "3 fields"), ('"y\n2",b,"c"', "3 fields")],
)
@pytest.mark.parametrize("before", [0, 1, 40], ids="after {} rows".format)
def test_ragged_row_is_told_exactly(row: str, found: str, before: int, small: int) -> None:
    """Blank lines are no rows; a row with line breaks is one."""
    message = refuse(f"{H}\n" + '"x\n\n",a\n\n' * before + f"{row}\nz,c\n")

    start = row[:40]
    assert message == (
        f"mine: row {before + 1} has {found} and the header 2: {start!r}; put texts with separators in quotes"
    )


def test_ragged_row_is_told_in_third_block_of_a_large_file(read: Read, refused: Refused) -> None:
    rows = [f'"row {number},\n{"x" * 100}",a\n' for number in range(1, 30_001)]
    rows[27_000 - 1] = "row 27000, not quoted,a\n"

    assert len("".join(rows)) > 3 << 20
    assert refused("rows.csv", H + "".join(rows)).startswith("row 27000 has 3 fields and the header 2: 'row 27000,")


def test_ragged_row_without_quoting(small: int) -> None:
    message = refuse("text\tlabel\nx\ta\ny\tz\tb\n", separator="\t", quoting="none")

    assert message == r"mine: row 2 has 3 fields and the header 2: 'y\tz\tb'; take separators out of texts"


@pytest.mark.parametrize(
    ("rows", "line"),
    [('"x,a\ny,b\nz,c\n', 2), ('x,a\n"y,b\nz,c\n', 3), ('x,a\n\ny,"b', 4), ('"a\n\nb",a\ny,"b\nz,c\n', 5), ('"', 2)],
    ids=["start", "middle", "end", "label", "lone"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_open_quote_swallows_no_rows(rows: str, line: int, end: str, small: int) -> None:
    assert refuse((H + rows).replace("\n", end)) == (
        f"mine: line {line}: a quote is opened and never closed; close it, or set quoting: none if quotes are "
        "characters"
    )


@pytest.mark.parametrize(
    ("rows", "line", "around"),
    [
        ('x,a\n"y"z,b\n', 3, '"y"z,b\n'),
        ('"y\nz,b\n"w",c\n', 4, '"y\nz,b\n"w",c\n'),
        ('"he said "hi" to me",a\n', 2, '"he said "hi" to me",a\n'),
        ('"x" ,a\n', 2, '"x" ,a\n'),
    ],
    ids=["letter", "lone quote", "quotes in quotes", "space"],
)
def test_quotes_that_join_rows_are_told(rows: str, line: int, around: str) -> None:
    assert refuse(H + rows) == (
        f"mine: line {line}: a quoted field goes on after its closing quote: {around!r}; double the quotes inside "
        "of it, or set quoting: none if quotes are characters"
    )


def test_quote_that_joins_rows_is_told_in_any_block(small: int) -> None:
    message = refuse(H + "x,a\n" * 30 + '"y\tz,b\n"w",c\n')

    assert message.startswith("mine: line 33: a quoted field goes on after its closing quote: ")


@pytest.mark.parametrize("quote", ['5"', '"so', 'so"', '"', '""', '"so" what'])
def test_without_quoting_quotes_are_characters(quote: str, small: int) -> None:
    content = f"text\tlabel\n{quote}\ta\ny\tb\n"

    assert parse(content.encode(), "\t", "none") == [(quote, "a"), ("y", "b")]


def test_row_of_5_mb_is_read(read: Read) -> None:
    text = "a long, long\ntext " * 300_000

    assert read("rows.csv", f'{H}y,b\n"{text}",a\nz,c\n') == [("y", "b"), (text, "a"), ("z", "c")]


@pytest.mark.parametrize(("row", "line"), [("x" * 300 + ",b", 4), ('"x' + ",b\n" * 100, 4)], ids=["long", "open quote"])
def test_endless_row_does_not_fill_memory(monkeypatch: pytest.MonkeyPatch, row: str, line: int) -> None:
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 16)
    monkeypatch.setattr(delimited, "_ROW_BYTES", 64)

    assert refuse(f"{H}x,a\n\n{row}\ny,b\n") == (
        f"mine: the row at line {line} is longer than 0 MB, or a quote is not closed; shorten it, or use Parquet, "
        "or set quoting: none if quotes are characters"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("label", ["a", '"a"'])
def test_many_short_rows_are_no_long_one(monkeypatch: pytest.MonkeyPatch, end: str, label: str) -> None:
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 16)
    monkeypatch.setattr(delimited, "_ROW_BYTES", 64)

    assert parse((H + f"x,{label}\n" * 99).replace("\n", end).encode()) == [("x", "a")] * 99


def test_missing_columns_offer_the_nearest() -> None:
    assert refuse("texts,category\nx,a\n") == (
        "mine: no column 'text' (did you mean 'texts'? (known: texts, category)); "
        "no column 'label' (known: texts, category); name columns with the keys text, label and group"
    )


@pytest.mark.parametrize("separator", [";", "|"])
def test_other_separators_are_read(separator: str) -> None:
    content = write([("a, b", "x"), (f"c{separator}d", "y")], delimiter=separator)
    assert parse(content, separator) == [("a, b", "x"), (f"c{separator}d", "y")]


def test_missing_column_is_told_before_a_ragged_row() -> None:
    assert "no column 'label'" in refuse("text,stars\nx,y,z\n")


def test_column_that_stands_there_twice_is_told() -> None:
    assert refuse("text,text,label\nx,y,a\n").startswith("mine: two columns are called 'text'; ")


@pytest.mark.parametrize(
    ("content", "separator", "advice"),
    [
        ("text;label\nx,y;a\n", ",", 'set separator: ";"'),
        ("text\tlabel\nx\ta\n", ",", 'set separator: "\\t"'),
        ("text,label\nx,a\n", "\t", 'set separator: ","'),
    ],
)
def test_other_separators_are_told(content: str, separator: str, advice: str) -> None:
    header = content.partition("\n")[0]

    told = refuse(content, separator=separator)
    assert told == (
        f"mine: the header is the one field {header!r}, where fields are separated by {json.dumps(separator)}; {advice}"
    )


def test_one_column_may_be_text_and_label() -> None:
    assert parse(b"text\nx\ny\n", columns=Columns(["text"], "text")) == [("x", "x"), ("y", "y")]


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "shift-jis", "big5", "UTF8", "utf-8-sig"]
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_declared_encodings_are_read(read: Read, encoding: str, suffix: str) -> None:
    text = "naïve “café”" if encoding == "cp1252" else "日本"
    content = (H + f"{text},a\n" * 20_000).encode(encoding)

    found = read(f"rows.csv{suffix}", gzip.compress(content) if suffix else content, encoding=encoding)
    assert found == [(text, "a")] * 20_000


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_mark_of_a_named_byte_order_is_no_text(read: Read, encoding: str) -> None:
    assert read("rows.csv", f"\ufeff{H}日,a\n".encode(encoding), encoding=encoding) == [("日", "a")]


@pytest.mark.parametrize("number", [1, 3, 27_000])
@pytest.mark.parametrize("column", ["text", "label"])
def test_row_that_is_no_utf8_is_told_exactly(refused: Refused, number: int, column: str) -> None:
    rows = [f'"row {i},\n{"x" * 100}",label\n\n'.encode() for i in range(1, 30_001)]
    rows[number - 1] = b"na\xefve,label\n" if column == "text" else b"x,na\xefve\n"

    assert refused("rows.csv", H.encode() + b"".join(rows)) == (
        f"column {column!r}: row {number} is not UTF-8; write the file in UTF-8, or set encoding to that of a CSV or "
        "TSV file, such as cp1252"
    )


def test_header_that_is_no_utf8_is_told(refused: Refused) -> None:
    message = refused("rows.csv", "naïve,text,label\n1,x,a\n".encode("cp1252"))

    assert message == "the header is not UTF-8; set encoding to the file's"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("before", [0, 5, 40_000])
def test_line_that_is_not_of_the_declared_encoding_is_told(refused: Refused, before: int, end: str) -> None:
    content = (H + "plain text,a\n" * before + "naïve,a\n" + "plain,b\n" * 9).replace("\n", end)

    assert refused("rows.csv", content, encoding="ascii") == (
        f"line {before + 2} is not ascii (ordinal not in range(128)); set encoding to the file's"
    )


@pytest.mark.parametrize(
    ("content", "encoding", "line"),
    [
        (H.encode(), "utf-16", "line 1 is not utf-16 (UTF-16 stream does not start with BOM)"),
        ((H + "x,a\n").encode("utf-16")[:-1], "utf-16", "line 2 is not utf-16 (truncated data)"),
        ((H + "日本,a\n").encode("shift-jis") + b"\x81", "shift-jis", "line 3 is not shift_jis"),
    ],
    ids=["no mark", "half a character", "cut"],
)
def test_wrong_encoding_is_told_with_its_line(refused: Refused, content: bytes, encoding: str, line: str) -> None:
    assert refused("rows.csv", content, encoding=encoding).startswith(line)


def test_error_ends_the_process_well(tmp_path: Any) -> None:
    """No thread of Arrow's may still be in Python's hands when the interpreter goes down."""
    path = tmp_path / "rows.csv"
    path.write_bytes((H + "naïve,a,b\n" + "plain text,a\n" * 500_000).encode("cp1252"))
    code = (
        "import sys; from pathlib import Path; from hypermix.data.file import open_file; "
        "from hypermix.data.rows import Columns; from hypermix.errors import DataError\n"
        "settings = {'format': None, 'encoding': 'cp1252', 'separator': None, 'quoting': 'csv'}\n"
        "raw = open_file(Path(sys.argv[1]), 'mine', settings, Columns(['text'], 'label'))\n"
        "try: next(raw.batches())\n"
        "except DataError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert (
        done.stderr == "mine: row 1 has 3 fields and the header 2: 'naïve,a,b'; put texts with separators in quotes\n"
    )
