"""Rows that go through whole: read with all columns, written with all columns."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypermix.data.whole import json_decoded, open_whole, texts_decoded, writing
from hypermix.errors import DataError

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | CELLS | st.lists(st.integers(0, 3), max_size=2)
ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def passed(source: Path, target: Path, **reading: Any) -> Path:
    """Read a file and write its rows to another one."""
    split, row = open_whole(source, reading), 1
    with writing(target, reading) as write:
        for batch in split.batches():
            write(texts_decoded(batch, split.where, row))
            row += len(batch)
    return target


def csv_rows(path: Path, delimiter: str = ",") -> list[list[str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as stream:
        return [*csv.reader(stream, delimiter=delimiter)]


@ONE_FOLDER
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4))
def test_cells_of_csv_come_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    source = tmp_path / "in.csv"
    with source.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("a", "b, c"), *rows])
    for name in ("out.csv", "out.tsv.gz"):
        found = csv_rows(passed(source, tmp_path / name), "\t" if "tsv" in name else ",")
        assert found == [["a", "b, c"], *map(list, rows)]


@ONE_FOLDER
@given(st.lists(st.fixed_dictionaries({"x": VALUES}, optional={"y": VALUES}), min_size=1, max_size=4))
def test_objects_of_jsonl_come_back(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows = [{"x": 1, "y": "all keys"}, *rows]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = passed(source, tmp_path / "out.jsonl")

    assert [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]] == rows


def test_types_of_parquet_come_back(tmp_path: Path) -> None:
    table = pa.table({"n": [1, None], "t": ["a", None], "l": [[0.5], []], "b": [True, False]})
    pq.write_table(table, tmp_path / "in.parquet")

    assert pq.read_table(passed(tmp_path / "in.parquet", tmp_path / "out.parquet")).equals(table)
    assert csv_rows(passed(tmp_path / "in.parquet", tmp_path / "out.csv")) == [
        ["n", "t", "l", "b"],
        ["1", "a", "[0.5]", "true"],
        ["", "", "[]", "false"],
    ]


def test_jsonl_becomes_plain_cells_elsewhere(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"t": "ä, \\"b\\"", "n": 1.50, "z": null, "o": {"k": [1]}}\n', encoding="utf-8")

    assert csv_rows(passed(source, tmp_path / "out.csv")) == [["t", "n", "z", "o"], ['ä, "b"', "1.5", "", '{"k": [1]}']]
    table = pq.read_table(passed(source, tmp_path / "out.parquet"))
    assert table.to_pylist() == [{"t": 'ä, "b"', "n": "1.5", "z": None, "o": '{"k": [1]}'}]


def test_other_encodings_and_separators_are_read(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes("größe;text\nklein;schön\n".encode("cp1252"))

    assert csv_rows(passed(source, tmp_path / "out.csv", encoding="cp1252", separator=";"), ";") == [
        ["größe", "text"],
        ["klein", "schön"],
    ]
    with pytest.raises(DataError, match=r"in\.csv: the header is not UTF-8; set encoding to the file's"):
        passed(source, tmp_path / "out.csv", separator=";")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b\nx,y\n\xff,y\n", "column 'a': row 2 is not UTF-8"),
        (b"a,b\nx,y\nz\n", "row 2 has 1 field and the header 2"),
        (b"a,a\nx,y\n", "two columns are called 'a'; give each column a name of its own"),
        (b"a;b\nx;y\n", 'set separator: ";"'),
    ],
)
def test_mistakes_are_told_with_their_row_and_nothing_is_left(tmp_path: Path, content: bytes, told: str) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    with pytest.raises(DataError) as error:
        passed(source, tmp_path / "out.csv")

    assert told in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_mistakes_of_jsonl_are_told(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"t": "a"}\n{"t": "b", "u": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: has 'u', which the first row lacks"):
        passed(source, tmp_path / "out.jsonl")

    source.write_text('{"t": "a"}\n{"t": 7}\n', encoding="utf-8")
    (batch,) = open_whole(source).batches()
    with pytest.raises(DataError, match=r"in\.jsonl: row 12, column 't': holds no text; mend the row"):
        json_decoded(batch, ["t"], "in.jsonl", 11)


@pytest.mark.parametrize(
    ("name", "told"),
    [("out.txt", "the suffix '.txt' names no format"), ("out.parquet.gz", "Parquet is compressed inside")],
)
def test_a_format_that_cannot_be_written_is_told(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(DataError, match=told), writing(tmp_path / name):
        pass


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_half_a_character_is_told(tmp_path: Path, name: str) -> None:
    """JSON can hold one, in a column that nobody reads."""
    source = tmp_path / "in.jsonl"
    source.write_text('{"t": "a", "u": "\\ud83d"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="holds half of a surrogate pair"):
        passed(source, tmp_path / name)

    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize("name", ["a.csv", "file/out.csv", f"{'a' * 250}.csv"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    source = tmp_path / "in.jsonl"
    source.write_text('{"t": "a"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"cannot be written: .*; name another file"):
        passed(source, tmp_path / name)
