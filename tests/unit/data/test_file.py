from __future__ import annotations

import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypermix.data import file
from hypermix.data.file import open_file, open_files
from hypermix.data.rows import Columns, canonical_label, clean_batches
from hypermix.data.source import open_source, wanted_columns
from hypermix.errors import DataError
from hypermix.hashing import file_digest

Read = Callable[..., list[Any]]
Refused = Callable[..., str]

ONE_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
COLUMNS = Columns(["text"], "label")
LINE = '{"text": "x", "label": "a"}\n'
TEXTS = (
    st.none()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["NA", "\u2028", "\0", "\ufeff", "…"])
)
LABELS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"), max_size=4)
SUFFIXES = ["csv", "tsv", "jsonl", "ndjson", "parquet"]
DATASET = {
    "source": "file",
    "format": None,
    "encoding": "utf-8",
    "separator": None,
    "quoting": "csv",
    "validation": None,
    "test": None,
}


def zstd(content: bytes) -> bytes:
    compressed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return compressed


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def parquet(columns: dict[str, Any], **how: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **how)
    return stream.getvalue()


def encode(kind: str, rows: list[tuple[str, str]]) -> bytes:
    """Write rows whose texts need no quotes."""
    if kind == "parquet":
        return parquet({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    if kind in ("jsonl", "ndjson"):
        return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows).encode()
    separator = {"csv": ",", "tsv": "\t"}[kind]
    return "".join(f"{text}{separator}{label}\n" for text, label in [("text", "label"), *rows]).encode()


ROWS = [(f"text {number * 7919 % 1009}", "ab"[number % 2]) for number in range(4000)]


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kind", SUFFIXES)
def test_suffix_tells_format_and_packing(read: Read, kind: str, packing: str) -> None:
    content = PACK[packing](encode(kind, ROWS))

    assert read(f"rows.v2.{kind}{packing}", content) == ROWS
    assert read(f"ROWS.{kind}{packing}".upper(), content) == ROWS


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", ["rows", "rows.txt", "rows.csv", "rows.gz"])
def test_setting_comes_before_the_suffix(read: Read, kind: str, name: str) -> None:
    content = encode(kind, ROWS)

    assert read(name, gzip.compress(content) if name == "rows.gz" else content, format=kind) == ROWS


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("rows.json", "the suffix '.json' names no format; did you mean '.jsonl'? (known: .csv, .tsv, .jsonl, .ndjson"),
        (
            "rows.xlsx",
            "the suffix '.xlsx' names no format; known: .csv, .tsv, .jsonl, .ndjson, .parquet, or set format",
        ),
        ("rows", "it has no suffix that names a format; known: .csv,"),
        ("rows.gz", "it has no suffix that names a format; known: .csv,"),
        (".csv", "it has no suffix that names a format; known: .csv,"),
    ],
)
def test_unknown_suffix_lists_formats(refused: Refused, name: str, what: str) -> None:
    assert refused(name, "text,label\nx,a\n").startswith(what)


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_part_of_a_packed_file_is_never_read_as_all(refused: Refused, kind: str, packing: str) -> None:
    whole = PACK[packing](encode(kind, ROWS))
    name = f"rows.{kind}{packing}"
    start = f"is no whole {'gzip' if packing == '.gz' else 'zstd'} file ("

    for size in (len(whole) - 1, len(whole) - 4, len(whole) // 2, 10):
        assert refused(name, whole[:size]).startswith(start)
    assert refused(name, encode(kind, ROWS)).startswith(start)
    assert refused(name, whole + b"junk").startswith(start)
    assert refused(name, whole + b"junk").endswith("; fetch or write it anew")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_damage_is_told_and_not_the_row_that_it_broke(refused: Refused, kind: str) -> None:
    """What was stored without packing comes out damaged, and only the sum at its end tells."""
    packed = gzip.compress(encode(kind, ROWS), compresslevel=0)
    damaged = packed.replace(b",a\n", b"aaa", 100) if kind == "csv" else packed.replace(b"{", b"[", 100)

    assert damaged != packed
    assert refused(f"rows.{kind}.gz", damaged).startswith("is no whole gzip file (")


def test_mistake_in_a_whole_packed_file_is_told(refused: Refused) -> None:
    assert refused("rows.jsonl.gz", gzip.compress(b"[]\n")).startswith("line 1: holds no object")


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_all_members_are_read(read: Read, packing: str) -> None:
    pack = PACK[packing]

    assert read(f"rows.csv{packing}", pack(b"text,label\nx,a\n") + pack(b"y,b\n")) == [("x", "a"), ("y", "b")]
    assert read(f"rows.jsonl{packing}", pack(LINE.encode()) * 3) == [("x", "a")] * 3


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("rows.csv", "text,label\nx,a\n")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (archive(), "it looks like a zip archive or an Excel workbook: take the file out of it, or export it as CSV"),
        (encode("parquet", ROWS), "it looks like Parquet: set format: parquet"),
        (gzip.compress(b"text,label\n"), "it looks like gzip: let its name end in .gz"),
        (zstd(b"text,label\n"), "it looks like zstd: let its name end in .zst"),
        ("text,label\n".encode("utf-16"), "it looks like UTF-16: set encoding: utf-16"),
        (codecs.BOM_UTF16_BE + "text,label\n".encode("utf-16-be"), "it looks like UTF-16: set encoding: utf-16"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it holds NUL bytes: write it as {} in UTF-8, without them"),
    ],
    ids=["zip", "parquet", "gzip", "zstd", "utf-16", "utf-16-be", "png"],
)
def test_binary_file_is_told(refused: Refused, kind: str, content: bytes, hint: str) -> None:
    assert refused(f"rows.{kind}", content) == f"is a binary file and no {kind}; {hint.format(kind)}"


def test_binary_file_in_a_packed_one_is_told(refused: Refused) -> None:
    message = refused("rows.csv.gz", gzip.compress(encode("parquet", ROWS)))

    assert message == "is a binary file and no csv; it looks like Parquet: set format: parquet"


@pytest.mark.parametrize("encoding", ["nonsense", "rot13", "base64", "hex", "undefined", "", "a\0b"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_unknown_encoding_is_told(refused: Refused, kind: str, encoding: str) -> None:
    assert refused(f"rows.{kind}", encode(kind, ROWS), encoding=encoding) == (
        f"encoding: {encoding!r} is no encoding that Python knows; name one, such as utf-8, utf-16, cp1252"
    )


# JSONL.


@ONE_FILE
@given(st.lists(st.tuples(TEXTS, LABELS), max_size=8), st.booleans(), st.sampled_from(["\n", "\r\n", "\n \n"]))
def test_any_json_survives(read: Read, rows: list[tuple[Any, Any]], ascii_only: bool, end: str) -> None:
    lines = [json.dumps({"label": label, "text": text}, ensure_ascii=ascii_only) + end for text, label in rows]
    found = read("rows.jsonl", "".join(lines))

    assert found == [((text or "").replace("…", "..."), canonical_label(label)) for text, label in rows]


@ONE_FILE
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.sampled_from([pa.string(), pa.large_string()]))
def test_any_parquet_survives(read: Read, rows: list[tuple[Any, Any]], kind: pa.DataType) -> None:
    columns = {
        "text": pa.array([text for text, _ in rows], kind),
        "label": pa.array([label for _, label in rows], kind),
    }

    wanted = [((text or "").replace("…", "..."), canonical_label(label)) for text, label in rows]
    assert read("rows.parquet", parquet(columns)) == wanted


def test_labels_of_json_have_one_form(read: Read) -> None:
    values = [
        "true",
        "false",
        '"True"',
        "1",
        "1.0",
        '"1"',
        '"1.0"',
        "1e0",
        "-0.0",
        "1.5",
        "12345678901234567890",
        "NaN",
    ]
    values += ["null", '""', '"NA"', '"null"', "Infinity"]
    found = read("rows.jsonl", "".join(f'{{"text": "x", "label": {value}}}\n' for value in values))

    wanted = ["true", "false", "true", "1", "1", "1", "1", "1", "0", "1.5", "12345678901234567890", None, None, None]
    assert [label for _, label in found] == [*wanted, "NA", "null", "inf"]


@pytest.mark.parametrize("content", [LINE[:-1], LINE, f"\n  \n{LINE}\n\n", LINE.replace("\n", "\r\n"), "\ufeff" + LINE])
def test_blank_lines_line_ends_and_marks_are_no_rows(read: Read, content: str) -> None:
    assert read("rows.jsonl", content) == [("x", "a")]


@pytest.mark.parametrize("encoding", ["utf-8", "U8", "utf_8_sig", "utf-16", "utf-16-le", "cp1252", "UTF"])
def test_encodings_of_json_are_read(read: Read, encoding: str) -> None:
    content = ("\ufeff" if encoding == "utf-16-le" else "") + '{"text": "naïve", "label": "a"}\n' * 3

    assert read("rows.jsonl", content.encode(encoding), encoding=encoding) == [("naïve", "a")] * 3


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_empty_json_has_no_rows(read: Read, content: str) -> None:
    assert read("rows.jsonl", content) == []


def test_text_of_json_is_not_changed(read: Read) -> None:
    text = 'two\nlines "quoted" \u2028 \x85 \0 🎬 2020-01-01 '

    assert read("rows.jsonl", json.dumps({"text": text, "label": "a", "more": [1]}) + "\n") == [(text, "a")]
    assert read("rows.jsonl", json.dumps({"text": text, "label": "a"}, ensure_ascii=False).replace("\\u0000", "")) == [
        (text.replace("\0", ""), "a")
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            '{"text": "x", label}',
            "is no JSON (Expecting property name enclosed in double quotes, character 15); write one",
        ),
        ('{"text": "x", "label": "a"', "is no JSON (Expecting ',' delimiter, character 28); write one object a line"),
        (LINE.strip() * 2, "is no JSON (Extra data, character 28); write one object a line"),
        ("text,label", "is no JSON (Expecting value, character 1); write one object a line"),
        ('{"text": "\x01", "label": "a"}', "is no JSON (Invalid control character at, character 11)"),
        ("[" + LINE.strip() + "]", 'holds no object; write one object a line, such as {"text": ..., "label": ...}'),
        ("5", "holds no object; "),
        ('{"text": "x"}', "lacks 'label', which the first row has; mend the row"),
        ("{}", "lacks 'text', 'label', which the first row has; mend the row"),
        ('{"Text": "x", "label": "a"}', "lacks 'text', which the first row has; mend the row"),
        ('{"text": "x", "label": ' + "9" * 5000 + "}", "holds a number or a nesting that is too long to be read; mend"),
        ('{"text": "x", "z": ' + "[" * 99_999 + "]" * 99_999 + "}", "holds a number or a nesting that is too long"),
    ],
)
def test_line_that_is_no_row_is_told(refused: Refused, line: str, what: str) -> None:
    assert refused("rows.jsonl", LINE * 3 + f"\n{line}\n{LINE}").startswith(f"line 5: {what}")


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("text", "5", "5 is no text"),
        ("text", "true", "true is no text"),
        ("text", "NaN", "NaN is no text"),
        ("text", '["é"]', r'["\u00e9"] is no text'),
        ("label", '["a"]', '["a"] is no label'),
        ("label", '{"a": "' + "b" * 99 + '"}', '{"a": "' + "b" * 33 + "... is no label"),
    ],
)
def test_value_of_another_kind_is_told(refused: Refused, column: str, value: str, what: str) -> None:
    line = json.dumps({"text": "x", "label": "a", column: "HERE"}).replace('"HERE"', value)

    assert refused("rows.jsonl", LINE * 6 + line) == f"line 7, column {column!r}: {what}; mend the row"


@pytest.mark.parametrize("column", ["text", "label"])
def test_half_of_a_surrogate_pair_is_told(refused: Refused, read: Read, column: str) -> None:
    line = json.dumps({"text": "x", "label": "a", column: "\ud83c"}) + "\n"

    assert refused("rows.jsonl", LINE + line) == (
        f"line 2, column {column!r}: holds half of a surrogate pair, which is no character; mend it"
    )
    assert read("rows.jsonl", r'{"text": "\ud83c\udfac", "label": "a"}') == [("🎬", "a")]


@pytest.mark.parametrize("before", [0, 6, 60_000])
def test_line_that_is_no_utf8_is_told_exactly(refused: Refused, before: int) -> None:
    content = LINE.encode() * before + b'{"text": "na\xefve", "label": "a"}\n' + LINE.encode()

    assert refused("rows.jsonl", content) == (
        f"line {before + 1} is not UTF-8 (invalid continuation byte); set encoding to the file's"
    )


def test_line_that_is_not_of_the_declared_encoding_is_told(refused: Refused) -> None:
    content = (LINE * 9000 + LINE.replace("x", "é") + LINE).encode()

    assert refused("rows.jsonl", content, encoding="ascii").startswith("line 9001 is not ascii (")


def test_line_of_5_mb_is_read(read: Read) -> None:
    text = "long text " * 500_000

    assert read("rows.jsonl", json.dumps({"text": text, "label": "a"}) + "\n" + LINE) == [(text, "a"), ("x", "a")]


@pytest.mark.parametrize(("name", "limit"), [("_BATCH_ROWS", 3), ("_BATCH_CHARACTERS", 60)])
def test_batches_of_json_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int) -> None:
    monkeypatch.setattr(file, name, limit)
    path = tmp_path / "rows.jsonl"
    path.write_text(LINE * 7, encoding="utf-8")
    split = open_file(path, "mine", DATASET, COLUMNS)

    assert [len(batch) for batch in split.batches()] == [3, 3, 1]


# Parquet.


@pytest.mark.parametrize("how", [{"row_group_size": 7}, {"compression": "zstd"}, {"use_dictionary": False}], ids=str)
def test_parquet_is_read_however_it_was_written(read: Read, how: dict[str, Any]) -> None:
    columns = {"id": [1] * 4000, "label": [label for _, label in ROWS], "text": [text for text, _ in ROWS]}

    assert read("rows.parquet", parquet(columns, **how)) == ROWS


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()], ids=str
)
def test_texts_of_parquet_may_have_many_types(read: Read, kind: pa.DataType) -> None:
    columns = {"text": pa.array(["電影", None], kind), "label": pa.array(["a", None], kind)}

    assert read("rows.parquet", parquet(columns)) == [("電影", "a"), ("", None)]


def test_dictionaries_and_names_of_parquet_are_read(read: Read) -> None:
    columns = {
        "my.text": pa.array(["x", "y", "x"]).dictionary_encode(),
        "stars": pa.array([1.0, None, 2.0]).dictionary_encode(),
        "my": [{"text": "z"}] * 3,
        "author": pa.array([7, 8, None]),
    }
    names = Columns(["my.text"], "stars", "author", {"1": "bad"})

    assert read("rows.parquet", parquet(columns), names) == [("x", "bad", "7"), ("y", None, "8"), ("x", "2", None)]


def test_parquet_without_rows_has_none(read: Read) -> None:
    assert read("rows.parquet", parquet({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())})) == []


@pytest.mark.parametrize(("characters", "rows"), [(10_000, 9), (1, 1), (1 << 26, 40)])
def test_long_rows_of_parquet_come_few_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, characters: int, rows: int
) -> None:
    monkeypatch.setattr(file, "_BATCH_CHARACTERS", characters)
    path = tmp_path / "rows.parquet"
    columns = {"text": [f"{number:01000}" for number in range(40)], "label": ["a"] * 40}
    path.write_bytes(parquet(columns, use_dictionary=False, compression="none"))
    sizes = [len(batch) for batch in open_file(path, "mine", DATASET, COLUMNS).batches()]

    assert (max(sizes), sum(sizes)) == (rows, 40)


@pytest.mark.parametrize("column", ["text", "label"])
@pytest.mark.parametrize("number", [1, 20_001])
def test_row_of_parquet_that_is_no_utf8_is_told_exactly(refused: Refused, column: str, number: int) -> None:
    values = pa.array([b"x"] * (number - 1) + [b"\xff", b"y"], pa.binary())
    columns = {"text": ["x"] * len(values), "label": ["a"] * len(values)}
    columns[column] = pa.Array.from_buffers(pa.string(), len(values), values.buffers())

    assert refused("rows.parquet", parquet(columns)).startswith(f"column {column!r}: row {number} is not UTF-8; write ")


def test_columns_of_parquet_are_checked(refused: Refused) -> None:
    nested = parquet({"row": [{"text": "x", "label": "a"}]})
    twice = pa.Table.from_arrays([pa.array(["x"])] * 3, names=["text", "text", "label"])
    stream = io.BytesIO()
    pq.write_table(twice, stream)

    assert refused("rows.parquet", nested).startswith("no column 'text' (known: row); no column 'label' (known: row)")
    assert refused("rows.parquet", stream.getvalue()).startswith("two columns are called 'text'")
    assert refused("rows.parquet", parquet({"text": [1], "label": ["a"]})) == (
        "column 'text' holds int64 and not texts; name another column with the key text"
    )


def test_damaged_parquet_is_told(refused: Refused) -> None:
    whole = encode("parquet", ROWS)
    start = "cannot be read as Parquet ("

    for content in (b"", b"text,label\nx,a\n", whole[:-10], b"PAR1" + b"x" * 99 + b"PAR1"):
        assert refused("rows.parquet", content).startswith(start)
    for first, last in ((200, 260), (len(whole) - 60, len(whole) - 40)):
        damaged = bytearray(whole)
        damaged[first:last] = b"\xff" * (last - first)
        assert refused("rows.parquet", bytes(damaged)).startswith(start)
        assert refused("rows.parquet.gz", gzip.compress(bytes(damaged))).startswith(start)
    assert refused("rows.parquet", b"").endswith("; write it anew")


# The files of a dataset.


def open_all(tmp_path: Path, **splits: str | None) -> Any:
    return open_files({**DATASET, **splits}, COLUMNS, tmp_path / "cache")


def test_splits_and_digests_are_of_the_files(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.jsonl"
    train.write_text("text,label\nx,a\n", encoding="utf-8")
    test.write_text(LINE, encoding="utf-8")
    data = open_all(tmp_path, train=str(train), test=str(test))

    assert list(data.splits) == ["train", "test"]
    assert data.inputs == {str(train): file_digest(train), str(test): file_digest(test)}
    assert {split.where for split in data.splits.values()} == set(data.inputs)


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("packing", PACK)
def test_batches_come_again(tmp_path: Path, kind: str, packing: str) -> None:
    path = tmp_path / f"rows.{kind}{packing}"
    path.write_bytes(PACK[packing](encode(kind, ROWS)))
    split = open_all(tmp_path, train=str(path)).splits["train"]
    next(clean_batches(split, COLUMNS))
    first = list(clean_batches(split, COLUMNS))

    assert sum(map(len, first)) == len(ROWS)
    assert list(clean_batches(split, COLUMNS)) == first


@pytest.mark.parametrize(("name", "what"), [("gone.csv", "no such file"), ("folder.csv", "is a folder and no file")])
def test_missing_file_tells_the_folder(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(DataError) as caught:
        open_all(tmp_path, train=str(tmp_path / name))
    assert str(caught.value) == (f"{tmp_path / name}: {what}; paths are taken from the folder in which snakemake runs")


def test_source_is_opened_by_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("title,body,stars,by\nx,y,1,7\n", encoding="utf-8")
    named = {"text": ["title", "body"], "label": "stars", "group": "by", "labels": {"1": "bad"}}
    given_settings = {**DATASET, **named, "train": str(path)}
    columns = wanted_columns(given_settings)

    assert columns == Columns(["title", "body"], "stars", "by", {"1": "bad"})
    batches = list(clean_batches(open_source(given_settings, tmp_path).splits["train"], columns))
    assert [batch.to_pylist() for batch in batches] == [[{"text": "x y", "label": "bad", "group": "7"}]]
