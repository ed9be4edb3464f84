"""Reading a user's files: CSV, TSV, JSONL and Parquet with a text and a label column."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from hypermix.errors import DataError, accepted


def _read_csv(path: Path) -> pd.DataFrame:
    return _read_separated(path, ",")


def _read_tsv(path: Path) -> pd.DataFrame:
    return _read_separated(path, "\t")


def _read_separated(path: Path, separator: str) -> pd.DataFrame:
    frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas takes the fields that a header does not name for row names, and so moves texts into other columns.
        raise ValueError("a row has more fields than the header; put texts with separators in quotes")
    return frame


def _read_jsonl(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype=False, encoding="utf-8-sig")


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".parquet": pd.read_parquet,
}


def read_rows(path: Path, text: str, label: str) -> pd.DataFrame:
    """Read the texts and labels of one file.

    Args:
        path: A file whose suffix tells its format.
        text: The column with the texts.
        label: The column with the labels; whole numbers and booleans become their names.

    Returns:
        The columns ``text`` and ``label``, strings or missing, in file order.

    Raises:
        DataError: If the file is missing, unreadable, of an unknown format, or lacks a column.
    """
    if path.suffix not in _READERS:
        raise DataError(f"{path}: the suffix {path.suffix!r} names no format; {accepted(path.suffix, _READERS)}")
    if not path.is_file():
        raise DataError(f"{path}: no such file; paths are taken from the folder in which snakemake runs")
    try:
        frame = _READERS[path.suffix](path)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]} in UTF-8: {error}") from error
    names = [str(name) for name in frame.columns]
    missing = [f"no column {column!r} ({accepted(column, names)})" for column in (text, label) if column not in names]
    if missing:
        raise DataError(f"{path}: {'; '.join(missing)}; name it with the keys text and label of the dataset")
    return pd.DataFrame({"text": frame[text].map(_to_text), "label": frame[label].map(_to_text)}, dtype="str")


def _to_text(value: object) -> str | None:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
