from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.rows import normalize
from hypermix.data.source import read_rows
from hypermix.errors import DataError

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
SUFFIXES = [".csv", ".tsv", ".jsonl", ".parquet"]
NOTHING_WORDS = ["NA", "null", "nan", "None", "N/A", "", "#N/A", "-nan"]

Read = Callable[[str, str | bytes], pd.DataFrame]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a file and reads its columns text and label."""

    def write_and_read(name: str, content: str | bytes) -> pd.DataFrame:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_rows(path, "text", "label")

    return write_and_read


def write(path: Path, frame: pd.DataFrame) -> Path:
    """Write a frame in the format that the suffix names."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_csv(path, sep={".csv": ",", ".tsv": "\t"}[path.suffix], index=False)
    return path


def parquet(tmp_path: Path, texts: Any, labels: Any) -> pd.DataFrame:
    path = write(tmp_path / "rows.parquet", pd.DataFrame({"text": texts, "label": labels}))
    return read_rows(path, "text", "label")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_texts_come_back_whole(tmp_path: Path, suffix: str) -> None:
    texts = [
        'say "yes", she said',
        "two\nlines",
        "a\ttab",
        "电影 🎬 …",
        " spaces ",
        "(Sentiment: Positive)",
        "1.0",
        "007",
    ]
    path = write(tmp_path / f"rows{suffix}", pd.DataFrame({"text": texts, "label": "a"}))

    assert read_rows(path, "text", "label")["text"].tolist() == texts


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_words_for_nothing_stay_texts(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"rows{suffix}", pd.DataFrame({"text": NOTHING_WORDS, "label": NOTHING_WORDS}))
    rows = read_rows(path, "text", "label")

    assert rows["text"].tolist() == NOTHING_WORDS
    assert rows["label"].tolist() == NOTHING_WORDS


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("labels", "names"), [([1, 0], ["1", "0"]), (["1", "0"], ["1", "0"]), (["1.0", "a"], ["1.0", "a"])]
)
def test_number_labels_become_names(tmp_path: Path, suffix: str, labels: list[Any], names: list[str]) -> None:
    path = write(tmp_path / f"rows{suffix}", pd.DataFrame({"text": ["x", "y"], "label": labels}))

    assert read_rows(path, "text", "label")["label"].tolist() == names


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_boolean_labels_become_names(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"rows{suffix}", pd.DataFrame({"text": ["x", "y"], "label": [True, False]}))

    assert read_rows(path, "text", "label")["label"].tolist() == ["True", "False"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_named_columns_are_read(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"stars": ["5", "1"], "id": [7, 8], "review": ["fine", "bad"]})
    rows = read_rows(write(tmp_path / f"rows{suffix}", frame), "review", "stars")

    assert rows.to_dict("list") == {"text": ["fine", "bad"], "label": ["5", "1"]}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([1.0, 2.0], ["1", "2"]),
        ([1.0, None], ["1", None]),
        ([1.5, -0.0], ["1.5", "0"]),
        (pd.array([1, None], dtype="Int64"), ["1", None]),
        (pd.array([True, None], dtype="boolean"), ["True", None]),
        (pd.Categorical(["a", None]), ["a", None]),
        (["a", None], ["a", None]),
    ],
    ids=str,
)
def test_parquet_labels_become_names(tmp_path: Path, labels: Any, names: list[str | None]) -> None:
    rows = parquet(tmp_path, ["x", "y"], labels)

    assert [None if pd.isna(label) else label for label in rows["label"]] == names


def test_nothing_is_told_with_row_numbers(tmp_path: Path) -> None:
    rows = parquet(tmp_path, ["x", None, "y"], pd.array([1, 2, None], dtype="Int64"))

    with pytest.raises(DataError) as caught:
        normalize(rows, "mine")
    assert str(caught.value).splitlines() == [
        "mine: an empty text in row 2; fill it in or take the row away",
        "mine: no label in row 3; fill it in or take the row away",
    ]


def test_json_null_is_nothing(read: Read) -> None:
    rows = read("rows.jsonl", '{"text": null, "label": 1}\n{"text": "x", "label": null}\n{"text": "y", "label": 2}\n')

    assert rows["text"].isna().tolist() == [True, False, False]
    assert rows["label"].isna().tolist() == [False, True, False]
    assert rows["label"].tolist()[::2] == ["1", "2"]


def test_json_key_that_lacks_is_nothing(read: Read) -> None:
    rows = read("rows.jsonl", '{"text": "x", "label": "a"}\n{"text": "y"}\n')

    assert rows["label"].isna().tolist() == [False, True]


def test_json_texts_are_no_dates_or_numbers(read: Read) -> None:
    rows = read("rows.jsonl", '{"text": "2020-01-01", "label": "1"}\n{"text": "7e3", "label": "01"}\n')

    assert rows.to_dict("list") == {"text": ["2020-01-01", "7e3"], "label": ["1", "01"]}


def test_column_called_date_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"date": "2020-01-01", "modified_at": "1577836800"}\n', encoding="utf-8")

    assert read_rows(path, "date", "modified_at").to_dict("list") == {"text": ["2020-01-01"], "label": ["1577836800"]}


def test_csv_quotes_hold_line_breaks(read: Read) -> None:
    rows = read("rows.csv", 'text,label\r\n"a ""fine"",\nlong film",pos\r\nbad,neg\r\n')

    assert rows.to_dict("list") == {"text": ['a "fine",\nlong film', "bad"], "label": ["pos", "neg"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [("r.csv", "text,label\nx,a\n"), ("r.tsv", "text\tlabel\nx\ta\n"), ("r.jsonl", '{"text": "x", "label": "a"}\n')],
)
def test_byte_order_mark_is_no_text(read: Read, name: str, content: str) -> None:
    assert read(name, "\ufeff" + content).to_dict("list") == {"text": ["x"], "label": ["a"]}


def test_short_csv_row_lacks_its_label(read: Read) -> None:
    rows = read("rows.csv", "text,label\nx,a\nonly a text\n")

    with pytest.raises(DataError, match="mine: no label in row 2;"):
        normalize(rows, "mine")


def test_long_csv_row_names_its_line(read: Read) -> None:
    with pytest.raises(
        DataError, match=r"rows\.csv: cannot be read as csv in UTF-8: .*Expected 2 fields in line 3, saw 3"
    ):
        read("rows.csv", "text,label\nx,a\ngood, very good,pos\n")


@pytest.mark.parametrize("last", ["bad,neg", "bad,very bad,neg"])
def test_comma_moves_no_text_into_labels(read: Read, last: str) -> None:
    message = r"rows\.csv: cannot be read as csv in UTF-8: a row has more fields than the header; put texts with sep"
    with pytest.raises(DataError, match=message):
        read("rows.csv", f"text,label\ngood, very good,pos\n{last}\n")


def test_header_alone_has_no_rows(read: Read) -> None:
    with pytest.raises(DataError, match="mine: has no rows"):
        normalize(read("rows.csv", "text,label\n"), "mine")


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_empty_file_is_an_error(read: Read, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be read as .sv in UTF-8: No columns to parse from file"):
        read(name, "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_broken_file_is_named(read: Read, suffix: str) -> None:
    with pytest.raises(DataError, match=rf"rows\{suffix}: cannot be read as {suffix[1:]} in UTF-8: "):
        read(f"rows{suffix}", b'{"text\tlabel": "\xff"}\ntext,label\n\xff,a\n')


def test_missing_file_tells_the_folder(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"gone\.csv: no such file; paths are taken from the folder in which snakemake runs"
    ):
        read_rows(tmp_path / "gone.csv", "text", "label")


def test_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()

    with pytest.raises(DataError, match=r"rows\.csv: no such file"):
        read_rows(tmp_path / "rows.csv", "text", "label")


def test_unknown_suffix_lists_formats() -> None:
    with pytest.raises(
        DataError, match=r"the suffix '\.json' names no format; did you mean '\.jsonl'\? \(known: \.csv, \.tsv"
    ):
        read_rows(Path("rows.json"), "text", "label")


def test_missing_columns_offer_the_nearest(read: Read) -> None:
    with pytest.raises(DataError) as caught:
        read("rows.csv", "texts,category\nx,a\n")

    assert str(caught.value).endswith(
        "rows.csv: no column 'text' (did you mean 'texts'? (known: texts, category)); "
        "no column 'label' (known: texts, category); name it with the keys text and label of the dataset"
    )


@STEADY
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1), min_size=1, max_size=5))
def test_any_text_survives_a_csv(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = write(tmp_path_factory.mktemp("rows") / "rows.csv", pd.DataFrame({"text": texts, "label": "a"}))

    assert read_rows(path, "text", "label")["text"].tolist() == texts
