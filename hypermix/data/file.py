"""Reading files with a text and a label column in batches: Parquet and JSONL here, CSV and TSV in `delimited`."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from hypermix.data.delimited import Opener, read_delimited
from hypermix.data.fetch import fetch, without_secret
from hypermix.data.raw import RawData, RawSplit
from hypermix.data.rows import Columns, canonical_label, check_columns
from hypermix.errors import DataError, accepted
from hypermix.hashing import file_digest
from hypermix.names import is_url

SPLITS = ("train", "validation", "test")
_FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_BATCH_ROWS = 1 << 14
_BATCH_CHARACTERS = 1 << 26
_READ_BYTES = 1 << 16
_SNIFFED_BYTES = 1 << 12
_BOM = "\ufeff"

JSON = {b"cells": b"json"}
"""The metadata of a column whose cells are JSON."""

_HALF = "holds half of a surrogate pair, which is no character; mend it"

_BINARY = {
    b"PAR1": "it looks like Parquet: set format: parquet",
    b"PK\x03\x04": "it looks like a zip archive or an Excel workbook: take the file out of it, or export it as CSV",
    b"\x1f\x8b": "it looks like gzip: let its name end in .gz",
    b"\x28\xb5\x2f\xfd": "it looks like zstd: let its name end in .zst",
    b"\xff\xfe": "it looks like UTF-16: set encoding: utf-16",
    b"\xfe\xff": "it looks like UTF-16: set encoding: utf-16",
}
"""What a file that is no text may be, by its first bytes."""


def open_files(settings: Mapping[str, Any], columns: Columns, cache: Path) -> RawData:
    """Open the files of a dataset.

    Args:
        settings: What `prepare` sees of a dataset of the source ``file``.
        columns: Which columns hold what.
        cache: The folder for what is fetched.

    Raises:
        DataError: If a file is missing, cannot be fetched or is of no known format.
    """
    splits, inputs = {}, {}
    for name in SPLITS:
        if settings[name] is None:
            continue
        path, shown = locate(settings[name], cache)
        if is_url(settings[name]) and shown in inputs:
            shown = f"{shown} ({name})"  # two URLs that differ in their queries alone
        splits[name] = open_file(path, shown, settings, columns)
        inputs[shown] = file_digest(path)
    return RawData(splits, inputs)


def locate(name: str, cache: Path) -> tuple[Path, str]:
    """Return where a file of a dataset lies, fetched if need be, and what it is called.

    Args:
        name: A path or a URL.
        cache: The folder for what is fetched.

    Raises:
        DataError: If it is missing or cannot be fetched.
    """
    if is_url(name):
        return fetch(name, cache / "downloads"), without_secret(name)
    path = Path(name)
    if not path.is_file():
        what = "is a folder and no file" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}; paths are taken from the folder in which snakemake runs")
    return path, name


def open_file(path: Path, shown: str, settings: Mapping[str, Any], columns: Columns | None) -> RawSplit:
    """Choose the reader of one file.

    Args:
        path: Where it lies.
        shown: What it is called in errors and in the provenance.
        settings: ``format`` (None: by the suffix), ``separator`` (None: by the format), ``encoding`` and ``quoting``.
        columns: Which columns to read; None for all. Cells of JSONL are then JSON, whatever they hold.

    Raises:
        DataError: If the suffix names no format, or the file is binary where text is wanted.
    """
    kind, compression = file_format(path, shown, settings["format"])
    opened = partial(_open, path, shown, compression)
    if kind == "parquet":
        return RawSplit(shown, partial(_read_parquet, opened, shown, columns))
    encoding = _check_encoding(settings["encoding"], shown)
    with opened() as stream:
        _refuse_binary(stream.read(_SNIFFED_BYTES), shown, kind, encoding)
    as_text = partial(_open_text, opened, shown, encoding)
    readers: dict[str, Callable[[], Iterator[pa.RecordBatch]]] = {
        "csv": partial(read_delimited, as_text, shown, settings["separator"] or ",", settings["quoting"], columns),
        "tsv": partial(read_delimited, as_text, shown, settings["separator"] or "\t", settings["quoting"], columns),
        "jsonl": partial(_read_jsonl, as_text, shown, columns),
    }
    return RawSplit(shown, readers[kind])


def file_format(path: Path, shown: str, given: str | None) -> tuple[str, str | None]:
    """Tell the format of a file and how it is compressed, by its suffixes.

    Args:
        path: The file; it need not be there.
        shown: What it is called in an error.
        given: The format, if it is known.

    Returns:
        ``csv``, ``tsv``, ``jsonl`` or ``parquet``, and ``gzip``, ``zstd`` or None.

    Raises:
        DataError: If the suffix names no format.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    suffix = "".join((suffixes[:-1] if compression else suffixes)[-1:])
    kind = given or _FORMATS.get(suffix)
    if kind is None:
        what = f"the suffix {suffix!r} names no format" if suffix else "it has no suffix that names a format"
        raise DataError(f"{shown}: {what}; {accepted(suffix, _FORMATS)}, or set format")
    return kind, compression


@contextmanager
def _open(path: Path, shown: str, compression: str | None) -> Iterator[pa.NativeFile]:
    """Open a file for reading its bytes; a damaged compressed one is told when it is read."""
    try:
        with pa.OSFile(str(path)) as plain:
            try:
                yield pa.CompressedInputStream(plain, compression) if compression else plain
            except DataError:
                # What is wrong with a row may come from damage that shows at the end of the stream.
                if compression:
                    _read_through(path, compression)
                raise
    except (OSError, EOFError) as error:
        what = f"is no whole {compression} file" if compression else "cannot be read"
        raise DataError(f"{shown}: {what} ({_plain(error)}); fetch or write it anew") from error


def _read_through(path: Path, compression: str) -> None:
    with pa.OSFile(str(path)) as plain, pa.CompressedInputStream(plain, compression) as stream:
        while stream.read(_READ_BYTES):
            pass


@contextmanager
def _open_text(opened: Callable[[], Any], shown: str, encoding: str) -> Iterator[IO[bytes]]:
    """Open a text file for reading it in UTF-8."""
    with opened() as stream:
        yield io.BufferedReader(_Raw(stream) if encoding == "utf-8" else _Recoded(stream, shown, encoding))


class _Raw(io.RawIOBase):
    """Lets Python's readers read what Arrow opened."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return int(self._stream.readinto(buffer))


class _Recoded(io.RawIOBase):
    """Turns text of any encoding into UTF-8 as it is read."""

    def __init__(self, stream: pa.NativeFile, shown: str, encoding: str) -> None:
        self._stream = stream
        self._shown = shown
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left = b""
        self._ended = False
        self._feeds = self._returns = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left and not self._ended:
            raw = self._stream.read(_READ_BYTES)
            self._ended = not raw
            self._left = self._recode(raw)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def _recode(self, raw: bytes) -> bytes:
        before = self._decoder.getstate()
        try:
            recoded = self._decoder.decode(raw, not raw).encode("utf-8")
        except UnicodeError as error:
            self._decoder.setstate(before)
            self._count(self._decode_until_wrong(raw))
            # Both are equal where lines end in CR LF.
            line = 1 + max(self._feeds, self._returns)
            raise DataError(
                f"{self._shown}: line {line} is not {self._encoding} ({getattr(error, 'reason', error)}); set encoding "
                "to the file's"
            ) from None
        self._count(recoded)
        return recoded

    def _decode_until_wrong(self, raw: bytes) -> bytes:
        good = bytearray()
        for position in range(len(raw)):
            try:
                good += self._decoder.decode(raw[position : position + 1]).encode("utf-8")
            except UnicodeError:
                break
        return bytes(good)

    def _count(self, text: bytes) -> None:
        self._feeds += text.count(b"\n")
        self._returns += text.count(b"\r")


def _check_encoding(encoding: str, shown: str) -> str:
    """Return Python's own name of an encoding."""
    try:
        "text".encode(encoding)
        name = codecs.lookup(encoding).name
        codecs.getincrementaldecoder(name)
    except (LookupError, UnicodeError, ValueError):
        raise DataError(
            f"{shown}: encoding: {encoding!r} is no encoding that Python knows; name one, such as utf-8, utf-16, cp1252"
        ) from None
    return "utf-8" if name == "utf-8-sig" else name


def _refuse_binary(head: bytes, shown: str, kind: str, encoding: str) -> None:
    if encoding.startswith(("utf-16", "utf-32")):
        return
    hint = next((hint for magic, hint in _BINARY.items() if head.startswith(magic)), "")
    if hint or b"\0" in head:
        hint = hint or f"it holds NUL bytes: write it as {kind} in UTF-8, without them"
        raise DataError(f"{shown}: is a binary file and no {kind}; {hint}")


def _read_parquet(opened: Callable[[], Any], shown: str, columns: Columns | None) -> Iterator[pa.RecordBatch]:
    with opened() as stream:
        # Parquet is read from its end, which a compressed stream cannot do.
        source = stream if stream.seekable() else pa.BufferReader(stream.read())
        try:
            file = pq.ParquetFile(source, pre_buffer=False)  # else all of it waits in memory
            check_columns(file.schema_arrow.names, columns, shown)
            wanted = None if columns is None else columns.wanted
            yield from file.iter_batches(_batch_rows(file.metadata), columns=wanted)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{shown}: cannot be read as Parquet ({_plain(error)}); write it anew") from error


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Return how many rows are read at once: fewer where rows are long."""
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    rows: int = _BATCH_CHARACTERS * metadata.num_rows // max(1, size)
    return max(1, min(_BATCH_ROWS, rows))


def _plain(error: Exception) -> str:
    """Return the words of an error in one line, without what a damaged file put into them."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(error)).split()).rstrip(".")


def _read_jsonl(opened: Opener, shown: str, columns: Columns | None) -> Iterator[pa.RecordBatch]:
    schema = None if columns is None else pa.schema([(name, pa.large_string()) for name in columns.wanted])
    rows: list[dict[str, str | None]] = []
    characters, read = 0, False
    with opened() as stream:
        for number, line in enumerate(stream, start=1):
            text = _decode(line, f"{shown}: line {number}", first=number == 1)
            if not text.strip():
                continue
            row = _read_object(text, f"{shown}: line {number}")
            if columns is None:
                schema = schema or _json_schema(row, f"{shown}: line {number}")
                rows.append(_whole_cells(row, f"{shown}: line {number}", schema.names))
            else:
                rows.append(_cells(row, f"{shown}: line {number}", columns, first=not read))
            read = True
            characters += len(text)
            if len(rows) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows, characters = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema)


def _decode(line: bytes, where: str, first: bool) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 ({error.reason}); set encoding to the file's") from None
    return text.removeprefix(_BOM) if first else text


def _read_object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: is no JSON ({error.msg}, character {error.pos + 1}); write one object a line"
        ) from None
    except (ValueError, RecursionError):
        raise DataError(f"{where}: holds a number or a nesting that is too long to be read; mend the row") from None
    if not isinstance(row, dict):
        raise DataError(f'{where}: holds no object; write one object a line, such as {{"text": ..., "label": ...}}')
    return row


def _cells(row: Mapping[str, Any], where: str, columns: Columns, first: bool) -> dict[str, str | None]:
    """Return what the wanted columns hold, texts and labels."""
    wanted = columns.wanted
    if not all(name in row for name in wanted):
        if first:
            check_columns(list(row), columns, where)
        lacking = ", ".join(repr(name) for name in wanted if name not in row)
        raise DataError(f"{where}: lacks {lacking}, which the first row has; mend the row")
    values: dict[str, str | None] = {}
    for name in wanted:
        value = row[name]
        text = name in columns.text
        if isinstance(value, (dict, list)) or (text and not isinstance(value, str | None)):
            raise DataError(
                f"{where}, column {name!r}: {_short(value)} is no {'text' if text else 'label'}; mend the row"
            )
        values[name] = value if text else canonical_label(value)
        if not _encodes(values[name]):
            raise DataError(f"{where}, column {name!r}: {_HALF}")
    return values


def _json_schema(row: Mapping[str, Any], where: str) -> pa.Schema:
    strange = next((name for name in row if not _encodes(name)), None)
    if strange is not None:
        raise DataError(f"{where}, key {_short(strange)}: {_HALF}")
    return pa.schema([pa.field(name, pa.large_string(), metadata=JSON) for name in row])


def _whole_cells(row: Mapping[str, Any], where: str, names: Sequence[str]) -> dict[str, str | None]:
    """Return what all columns hold, as JSON; None where the row lacks one."""
    strange = next((name for name in row if name not in names), None)
    if strange is not None:
        raise DataError(f"{where}: has {strange!r}, which the first row lacks; give all rows the keys of the first")
    return {name: json.dumps(row[name]) if name in row else None for name in names}


def _encodes(value: str | None) -> bool:
    try:
        (value or "").encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 40 else f"{text[:40]}..."
