"""Reading CSV and TSV in batches: cut into blocks of whole rows here, parsed by Arrow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from hypermix.data.rows import Columns, check_columns
from hypermix.errors import DataError

_BLOCK_BYTES = 1 << 23
"""Bytes that are read at once."""

_ROW_BYTES = 1 << 26
"""Bytes that one row may have, so that a quote that is never closed does not bring a large file into memory."""

_SHOWN_CHARACTERS = 40
_BOM = b"\xef\xbb\xbf"
_SEPARATORS = (",", ";", "\t", "|")

Opener = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class _Dialect:
    where: str
    separator: str
    quoting: Literal["csv", "none"]

    @property
    def quoted(self) -> re.Pattern[bytes]:
        """A quoted field; its second group is empty where the quote is not closed."""
        # A quote opens a field only where the field starts. It stands first, since a literal is found fast.
        return re.compile(rb'"(?<![^%b\r\n]")((?:[^"]++|"")*+)("?)' % self.separator.encode())

    @property
    def hint(self) -> str:
        return ", or set quoting: none if quotes are characters" if self.quoting == "csv" else ""


def read_delimited(
    opened: Opener, where: str, separator: str, quoting: Literal["csv", "none"], columns: Columns | None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV or TSV file in UTF-8.

    Args:
        opened: Opens the file for reading its bytes.
        where: What the file is called in an error.
        separator: What stands between fields.
        quoting: ``csv``: a field in double quotes may hold separators, line breaks and doubled quotes; ``none``: a
            quote is a character like any other.
        columns: Which columns to read; None for all. Their values come as bytes, which the caller decodes.

    Raises:
        DataError: If the header lacks a column, a row has more or fewer fields, or a quote is not closed. Rows are
            counted from 1 after the header, without blank lines; lines from 1 at the start of the file.
    """
    dialect = _Dialect(where, separator, quoting)
    header: list[str] | None = None
    wanted: list[str] = []
    done = 0
    with opened() as stream:
        for block in _blocks(stream, dialect):
            if header is None:
                # Blank lines may be all that there is so far.
                if not block.strip(b"\r\n"):
                    continue
                header = _read_header(block, dialect)
                _check_header(header, columns, dialect)
                wanted = header if columns is None else columns.wanted
                rows = _parse(block, None, dialect, wanted, done)
            else:
                rows = _parse(block, header, dialect, wanted, done)
            yield from rows.combine_chunks().to_batches()
            done += len(rows)
    if header is None:
        raise DataError(f"{where}: is empty; a header and rows are wanted")


def _blocks(stream: IO[bytes], dialect: _Dialect) -> Iterator[bytes]:
    """Cut a file into blocks that end where a row ends."""
    left = stream.read(len(_BOM)).removeprefix(_BOM)
    lines = _Lines()
    while more := stream.read(max(_BLOCK_BYTES, len(left))):
        block = left + more
        end = _last_end(block, dialect, lines)
        if end:
            yield block[:end]
            lines.add(block[:end])
        left = block[end:]
        if len(left) > _ROW_BYTES:
            raise DataError(
                f"{dialect.where}: the row at line {lines.number(b'')} is longer than {_ROW_BYTES >> 20} MB, or a "
                f"quote is not closed; shorten it, or use Parquet{dialect.hint}"
            )
    if left:
        end = _last_end(left + b"\n", dialect, lines)
        if end <= len(left):
            opening = _open_quote(left, dialect)
            raise DataError(
                f"{dialect.where}: line {lines.number(left[:opening])}: a quote is opened and never closed; close it"
                f"{dialect.hint}"
            )
        yield left + b"\n"


class _Lines:
    """Counts lines, whichever character ends them."""

    def __init__(self) -> None:
        self._feeds = self._returns = 0

    def add(self, block: bytes) -> None:
        self._feeds += block.count(b"\n")
        self._returns += block.count(b"\r")

    def number(self, block: bytes) -> int:
        """Return the line that follows a block, which stands after all that was added."""
        # Both are equal where lines end in CR LF.
        return 1 + max(self._feeds + block.count(b"\n"), self._returns + block.count(b"\r"))


def _last_end(block: bytes, dialect: _Dialect, lines: _Lines) -> int:
    """Return where the last whole row of a block ends; 0 if there is none. A block starts where a row does."""
    if dialect.quoting == "none" or b'"' not in block:
        return _after_break(block, 0, len(block))
    data = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(data == ord('"'))
    if not _alternates(data, quotes, dialect):
        return _last_end_by_field(block, dialect, lines)
    last = len(block)
    while end := _after_break(block, 0, last):
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            return end
        last = int(quotes[before - 1])
    return 0


def _alternates(data: np.ndarray, quotes: np.ndarray, dialect: _Dialect) -> bool:
    """Tell whether each quote of a block opens or closes a field in turn, or is one of two inside of it.

    Then a place is outside of quotes where their number before it is even, which is many times faster to find than
    field by field.
    """
    edges = np.zeros(256, dtype=bool)
    edges[list(f'{dialect.separator}\r\n"'.encode())] = True
    bounded = np.concatenate(([ord("\n")], data, [ord("\n")]))
    # A quote beside an opening one is the second of two only if it stands right there, which the turn takes care of.
    opened, closed = quotes[::2], quotes[1::2]
    return bool(edges[bounded[opened]].all() and edges[bounded[closed + 2]].all())


def _last_end_by_field(block: bytes, dialect: _Dialect, lines: _Lines) -> int:
    gaps = []
    start = 0
    for field in dialect.quoted.finditer(block):
        gaps.append((start, field.start()))
        start = field.end()
        if not field[2] or start == len(block):  # a quote at the end may be the first of two
            start = len(block)
        elif block[start] not in (dialect.separator + "\r\n").encode():
            around = block[max(field.start(), start - _SHOWN_CHARACTERS // 2) : start + _SHOWN_CHARACTERS // 2]
            raise DataError(
                f"{dialect.where}: line {lines.number(block[:start])}: a quoted field goes on after its closing quote: "
                f"{around.decode('utf-8', 'replace')!r}; double the quotes inside of it{dialect.hint}"
            )
    gaps.append((start, len(block)))
    return next((end for first, last in reversed(gaps) if (end := _after_break(block, first, last))), 0)


def _after_break(block: bytes, first: int, last: int) -> int:
    return max(block.rfind(b"\n", first, last), block.rfind(b"\r", first, last)) + 1


def _open_quote(block: bytes, dialect: _Dialect) -> int:
    return next((field.start() for field in dialect.quoted.finditer(block) if not field[2]), len(block))


def _read_header(block: bytes, dialect: _Dialect) -> list[str]:
    parsing = _parsing(dialect, lambda _row: "skip")
    try:
        names: list[str] = pacsv.read_csv(_source(block), _reading(block, None), parsing).schema.names
    except UnicodeDecodeError:
        raise DataError(f"{dialect.where}: the header is not UTF-8; set encoding to the file's") from None
    return names


def _check_header(header: list[str], columns: Columns | None, dialect: _Dialect) -> None:
    other = next((separator for separator in _SEPARATORS if separator in header[0]), None)
    if len(header) == 1 and (other if columns is None else len(columns.wanted) > 1):
        advice = f"set separator: {json.dumps(other)}" if other else "name the columns in the file's first row"
        raise DataError(
            f"{dialect.where}: the header is the one field {header[0][:_SHOWN_CHARACTERS]!r}, where fields are "
            f"separated by {json.dumps(dialect.separator)}; {advice}"
        )
    check_columns(header, columns, dialect.where)


def _source(block: bytes) -> pa.BufferReader:
    # Arrow takes a mark away, which here is no mark but a text's first character.
    return pa.BufferReader(_BOM + block if block.startswith(_BOM) else block)


def _reading(block: bytes, header: list[str] | None) -> pacsv.ReadOptions:
    # With one thread rows are numbered.
    return pacsv.ReadOptions(use_threads=False, block_size=len(_BOM) + len(block) + 1, column_names=header)


def _parsing(dialect: _Dialect, refuse: Callable[[pacsv.InvalidRow], str]) -> pacsv.ParseOptions:
    quoted = dialect.quoting == "csv"
    return pacsv.ParseOptions(
        delimiter=dialect.separator,
        quote_char='"' if quoted else False,
        newlines_in_values=quoted,
        invalid_row_handler=refuse,
    )


def _parse(block: bytes, header: list[str] | None, dialect: _Dialect, wanted: list[str], done: int) -> pa.Table:
    """Parse a block of whole rows; without `header` its first row is one."""
    ragged: list[pacsv.InvalidRow] = []

    def refuse(row: pacsv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    kinds = pacsv.ConvertOptions(
        column_types=dict.fromkeys(wanted, pa.large_binary()),
        include_columns=wanted,
        strings_can_be_null=False,  # "NA" and "null" are texts
        check_utf8=False,
    )
    try:
        return pacsv.read_csv(_source(block), _reading(block, header), _parsing(dialect, refuse), kinds)
    except pa.ArrowInvalid as error:
        if not ragged:
            raise DataError(f"{dialect.where}: cannot be read after row {done} ({error})") from None
    row = ragged[0]
    number = done + row.number - (1 if header is None else 0)
    fields = "1 field" if row.actual_columns == 1 else f"{row.actual_columns} fields"
    raise DataError(
        f"{dialect.where}: row {number} has {fields} and the header {row.expected_columns}: "
        f"{row.text[:_SHOWN_CHARACTERS]!r}; "
        + ("put texts with separators in quotes" if dialect.quoting == "csv" else "take separators out of texts")
    )
