"""Whole rows of a file, with all their columns: read, and written with more columns beside them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hypermix.data.file import JSON, file_format, open_file
from hypermix.data.raw import RawSplit
from hypermix.data.rows import decoded
from hypermix.errors import DataError
from hypermix.files import atomic

_SEPARATORS = {"csv": ",", "tsv": "\t"}
READING: Mapping[str, Any] = {"format": None, "separator": None, "encoding": "utf-8", "quoting": "csv"}
"""How a file is read where nothing else is said; the keys are those of a dataset of files."""

_LINE_END = "\r\n"

Write = Callable[[pa.RecordBatch], None]


def open_whole(path: Path, reading: Mapping[str, Any] = READING) -> RawSplit:
    """Open a file with all its columns.

    Args:
        path: The file.
        reading: See `READING`.

    Raises:
        DataError: If it is missing or of no known format.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: {'is a folder and no file' if path.is_dir() else 'no such file'}; name a file of rows"
        )
    return open_file(path, str(path), {**READING, **reading}, None)


def texts_decoded(batch: pa.RecordBatch, where: str, first_row: int) -> pa.RecordBatch:
    """Return rows whose columns of bytes are strings, as CSV and TSV give them.

    Args:
        batch: The rows.
        where: What the file is called in an error.
        first_row: The number of the first row.

    Raises:
        DataError: If a row is not UTF-8.
    """
    names = batch.schema.names
    if not all(pa.types.is_large_binary(kind) for kind in batch.schema.types):
        return batch
    columns = [decoded(batch[name], f"{where}: column {name!r}", first_row) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=names)


def json_decoded(batch: pa.RecordBatch, names: Sequence[str], where: str, first_row: int) -> pa.RecordBatch:
    """Return rows in which some columns of JSON hold the texts themselves.

    Args:
        batch: The rows.
        names: The columns.
        where: What the file is called in an error.
        first_row: The number of the first row.

    Raises:
        DataError: If a cell is no text.
    """
    for name in names:
        field = batch.schema.field(name)
        if not _is_json(field):
            continue
        cells = [None if cell is None else json.loads(cell) for cell in batch[name].to_pylist()]
        wrong = next((place for place, cell in enumerate(cells) if not isinstance(cell, str | None)), None)
        if wrong is not None:
            raise DataError(f"{where}: row {first_row + wrong}, column {name!r}: holds no text; mend the row")
        place = batch.schema.get_field_index(name)
        try:
            batch = batch.set_column(place, pa.field(name, pa.large_string()), pa.array(cells, pa.large_string()))
        except UnicodeEncodeError:
            raise DataError(
                f"{where}: column {name!r} holds half of a surrogate pair after row {first_row - 1}; mend the row"
            ) from None
    return batch


@contextmanager
def writing(path: Path, reading: Mapping[str, Any] = READING) -> Iterator[Write]:
    """Write rows to a file, whose suffix tells the format; it is there when the block ends well, and not before.

    Args:
        path: The file: CSV, TSV, JSONL or Parquet; all but Parquet may be compressed (``.gz``, ``.zst``).
        reading: How the rows were read: a separator that was given is taken here too.

    Yields:
        What writes some rows. All have the columns of the first.

    Raises:
        DataError: If the suffix names no format, the file cannot be written, or it cannot hold a text.
    """
    kind, compression = file_format(path, str(path), None)
    if kind == "parquet" and compression:
        raise DataError(f"{path}: Parquet is compressed inside; let its name end in .parquet alone")
    try:
        with atomic(path) as temporary, ExitStack() as files:
            yield _open_writer(temporary, kind, compression, reading.get("separator"), files)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}; name another file") from error
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path}: a text holds half of a surrogate pair, which is no character; mend it in the rows, or write JSONL"
        ) from error


def _open_writer(path: Path, kind: str, compression: str | None, separator: str | None, files: ExitStack) -> Write:
    if kind == "parquet":
        return _parquet(path, files)
    sink = files.enter_context(pa.OSFile(str(path), "wb"))
    stream = files.enter_context(pa.CompressedOutputStream(sink, compression)) if compression else sink
    text = files.enter_context(io.TextIOWrapper(io.BufferedWriter(_Raw(stream)), encoding="utf-8", newline=""))
    if kind == "jsonl":
        return lambda batch: text.writelines(_objects(batch))
    return _delimited(text, separator or _SEPARATORS[kind])


class _Raw(io.RawIOBase):
    """Lets Python's writers write to what Arrow opened."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data))
        return len(data)


class _Lines:
    """Ends lines as text files do; the writer of CSV quotes the characters of the ends of lines that it knows alone."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def write(self, row: str) -> int:
        return self._text.write(row.removesuffix(_LINE_END) + "\n")


def _parquet(path: Path, files: ExitStack) -> Write:
    opened: list[pq.ParquetWriter] = []

    def write(batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        batch = pa.RecordBatch.from_arrays([_unwrapped(batch, name) for name in names], names=names)
        if not opened:
            opened.append(files.enter_context(pq.ParquetWriter(path, batch.schema)))
        opened[0].write_batch(batch)

    return write


def _unwrapped(batch: pa.RecordBatch, name: str) -> pa.Array:
    if not _is_json(batch.schema.field(name)):
        return batch[name]
    return pa.array([_word_json(cell) for cell in batch[name].to_pylist()], pa.large_string())


def _delimited(text: io.TextIOWrapper, separator: str) -> Write:
    writer = csv.writer(_Lines(text), delimiter=separator, lineterminator=_LINE_END)
    started: list[bool] = []

    def write(batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        if not started:
            writer.writerow(names)
            started.append(True)
        words = [_word_json if _is_json(batch.schema.field(name)) else _word for name in names]
        columns = [map(word, batch[name].to_pylist()) for name, word in zip(names, words, strict=True)]
        writer.writerows(zip(*columns, strict=True))

    return write


def _objects(batch: pa.RecordBatch) -> Iterator[str]:
    names = batch.schema.names
    told = {name: json.dumps(name, ensure_ascii=False) for name in names}
    plain = {name: _is_json(batch.schema.field(name)) for name in names}
    for row in batch.to_pylist():
        cells = [
            f"{told[name]}: {row[name] if plain[name] else _json(row[name])}"
            for name in names
            if _given(row[name], plain[name])
        ]
        yield f"{{{', '.join(cells)}}}\n"


def _given(cell: object, is_json: bool) -> bool:
    return cell is not None or not is_json  # a row of JSONL may lack a key


def _json(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        value = None  # JSON has no word for it
    return json.dumps(value, ensure_ascii=False, default=_word)


def _word(value: object) -> str:
    """Write a cell of CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=_word)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return repr(value) if isinstance(value, float) else str(value)


def _word_json(cell: str | None) -> str | None:
    """Write a cell of JSON as one of CSV."""
    if cell is None or cell == "null":
        return None
    value = json.loads(cell)
    return value if isinstance(value, str) else cell


def _is_json(field: pa.Field) -> bool:
    return JSON.items() <= (field.metadata or {}).items()
