"""Which columns are taken where nobody names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypermix.data.guess import guess_columns, guess_text
from hypermix.data.source import find_columns
from hypermix.data.whole import open_whole
from hypermix.errors import DataError

ROWS = [
    {
        "id": f"row-{number}",
        "Review Text": f"A longer sentence of many words about the thing number {number}",
        "title": f"Short one {number}",
        "hotel": ("Astra", "Bellevue", "Capri")[number % 3],
        "Stars": number % 2 * 4 + 1,
        "nights": number,
    }
    for number in range(12)
]


def write(folder: Path, rows: list[dict[str, Any]], suffix: str = ".csv") -> Path:
    path = folder / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    return path


def settings(path: Path, **given: Any) -> dict[str, Any]:
    how = {"format": None, "separator": None, "encoding": "utf-8", "quoting": "csv"}
    named = {"text": ["text"], "label": "label", "group": None, "labels": {}}
    return {"source": "file", "train": str(path), "validation": None, "test": None, **how, **named, **given}


def without(*names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in ROWS]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_names_tell_the_columns(tmp_path: Path, suffix: str) -> None:
    split = open_whole(write(tmp_path, ROWS, suffix))

    assert guess_columns(split, text=True, label=True) == ("Review Text", "Stars")
    assert guess_columns(split, text=False, label=True) == (None, "Stars")


def test_contents_tell_them_where_no_name_does(tmp_path: Path) -> None:
    rows = [{"q7": row["Review Text"], "q8": row["title"], "q9": row["hotel"], "q1": row["id"]} for row in ROWS]

    assert guess_columns(open_whole(write(tmp_path, rows)), text=True, label=True) == ("q7", "q9")


def test_one_of_several_like_columns_is_no_guess(tmp_path: Path) -> None:
    rows = [
        {"q1": row["Review Text"], "q2": row["Review Text"] + ".", "a": row["hotel"], "b": row["Stars"]} for row in ROWS
    ]

    assert guess_columns(open_whole(write(tmp_path, rows)), text=True, label=True) == (None, None)


def test_a_label_stands_in_two_rows_on_average(tmp_path: Path) -> None:
    """Else numbers that count something would be classes."""
    rows = [{"text": row["Review Text"], "rating": row["nights"]} for row in ROWS]

    assert guess_columns(open_whole(write(tmp_path, rows)), text=True, label=True) == ("text", None)


def test_an_empty_label_does_not_lead_elsewhere(tmp_path: Path) -> None:
    """Who reads the rows tells which has no label; another column would be wrong without a word."""
    rows = [{**row, "Stars": "" if number == 3 else row["Stars"]} for number, row in enumerate(ROWS)]

    assert guess_columns(open_whole(write(tmp_path, rows)), text=True, label=True) == ("Review Text", "Stars")


def test_a_name_that_does_not_fit_its_column_leaves_no_guess(tmp_path: Path) -> None:
    """A review of one word, or a class a row: no other column is taken in their place."""
    rows = [
        {"review": f"bad{row['nights']}", "address": row["Review Text"], "rating": row["nights"], "hotel": row["hotel"]}
        for row in ROWS
    ]

    assert guess_columns(open_whole(write(tmp_path, rows)), text=True, label=True) == (None, None)


def test_a_column_with_gaps_is_no_label_without_a_name(tmp_path: Path) -> None:
    rows = [{"q7": row["Review Text"], "q9": row["hotel"] if row["nights"] else ""} for row in ROWS]

    assert guess_columns(open_whole(write(tmp_path, rows)), text=True, label=True) == ("q7", None)


def test_the_order_of_columns_changes_nothing(tmp_path: Path) -> None:
    rows = [dict(reversed(row.items())) for row in ROWS]

    assert guess_columns(open_whole(write(tmp_path, rows)), text=True, label=True) == ("Review Text", "Stars")


def test_words_of_a_name_count(tmp_path: Path) -> None:
    rows = [{"reviewText": row["Review Text"], "userComment_2": f"see above number {row['nights']}"} for row in ROWS]

    assert guess_text(open_whole(write(tmp_path, rows))) == "reviewText"


def test_default_columns_are_taken_where_they_are(tmp_path: Path) -> None:
    rows = [
        {"review": row["Review Text"], "text": row["hotel"], "stars": row["Stars"], "label": row["id"]} for row in ROWS
    ]
    columns, told = find_columns(settings(write(tmp_path, rows)), tmp_path)

    assert (columns.text, columns.label, told) == (["text"], "label", "")


def test_what_is_guessed_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    columns, told = find_columns(settings(path), tmp_path)

    assert (columns.text, columns.label) == (["Review Text"], "Stars")
    assert told == f"train: text: 'Review Text' and label: 'Stars' are guessed from the columns of {path}"


def test_a_column_that_the_user_names_is_never_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    columns, told = find_columns(settings(path, text=["title"]), tmp_path)

    assert (columns.text, columns.label) == (["title"], "Stars")
    assert "label: 'Stars' is guessed" in told
    assert find_columns(settings(path, text=["titel"]), tmp_path)[1] == ""
    assert find_columns(settings(path, text=["title"], label="hotel"), tmp_path)[1] == ""


def test_half_a_guess_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, without("Stars", "hotel"))
    columns, told = find_columns(settings(path), tmp_path)

    assert (columns.text, columns.label, told) == (["text"], "label", "")


def test_a_group_is_no_label(tmp_path: Path) -> None:
    columns, _ = find_columns(settings(write(tmp_path, without("Stars")), group="hotel"), tmp_path)

    assert columns.label == "label"


def test_a_damaged_file_is_told_by_whoever_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n"never closed,1\n', encoding="utf-8")

    assert find_columns(settings(path), tmp_path)[1] == ""
    with pytest.raises(DataError, match="no such file"):
        find_columns(settings(tmp_path / "gone.csv"), tmp_path)
