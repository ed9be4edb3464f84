"""What a row of any source becomes: clean text, one form for each label, a stable id."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hypermix.data.ahead import ahead
from hypermix.data.raw import RawSplit
from hypermix.errors import DataError, accepted

TEXT = pa.large_string()
"""Texts of one batch may hold more than the 2 GB that 32-bit offsets reach."""

SCHEMA = pa.schema([("text", TEXT), ("label", TEXT), ("group", TEXT)])
_BINARY_KINDS = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_WHOLE_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.0+")  # not 007.0, which is a code


@dataclass(frozen=True)
class Columns:
    """Which columns hold what.

    Attributes:
        text: The columns whose texts are joined with a space.
        label: The column with the labels.
        group: The column with the groups; None if there is none.
        names: Other names for labels.
    """

    text: Sequence[str]
    label: str
    group: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> list[str]:
        """All columns that are read, each once."""
        return list(dict.fromkeys([*self.text, self.label, *([self.group] if self.group else [])]))


def check_columns(found: Sequence[str], columns: Columns | None, where: str) -> None:
    """Check that a source has the columns that are wanted.

    Args:
        found: The columns that are there.
        columns: Those that the config names; None for all.
        where: What the source is called in an error.

    Raises:
        DataError: If one is missing or stands there twice.
    """
    wanted = list(dict.fromkeys(found)) if columns is None else columns.wanted
    mistakes = [f"no column {name!r} ({accepted(name, found)})" for name in wanted if name not in found]
    mistakes += [f"two columns are called {name!r}" for name in wanted if list(found).count(name) > 1]
    if mistakes:
        advice = (
            "give each column a name of its own"
            if columns is None
            else "name columns with the keys text, label and group"
        )
        raise DataError(f"{where}: {'; '.join(mistakes)}; {advice}")


def clean_batches(raw: RawSplit, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a split in their one form.

    The reference's clean-up: the character U+2026 becomes three dots. Nothing else is changed in a text; a missing one
    becomes an empty one. Labels become strings, see `canonical_label`, then take their other names.

    Args:
        raw: The split.
        columns: Which columns hold what.

    Yields:
        Batches with the columns ``text``, ``label`` (null where there is none) and ``group`` (null without groups).

    Raises:
        DataError: If a column is missing or holds what is no text or no label, or a label has two other names.
    """
    names = _canonical_names(columns.names, raw.where)
    first_row = 1
    for batch in ahead(raw.batches()):
        check_columns(batch.schema.names, columns, raw.where)
        texts = clean_texts(batch, columns.text, raw.where, first_row)
        labels = _labels(batch[columns.label], f"{raw.where}: column {columns.label!r}", first_row, "label", names)
        groups = pa.nulls(len(batch), TEXT)
        if columns.group is not None:
            groups = _labels(batch[columns.group], f"{raw.where}: column {columns.group!r}", first_row, "group", {})
        yield pa.RecordBatch.from_arrays([texts, labels, groups], schema=SCHEMA)
        first_row += len(batch)


def clean_texts(batch: pa.RecordBatch, names: Sequence[str], where: str, first_row: int) -> pa.Array:
    """Return the texts of some rows as a classifier is shown them, see `clean_batches`.

    Args:
        batch: The rows.
        names: The columns whose texts are joined with a space.
        where: What the rows are called in an error.
        first_row: The number of the first of them.

    Raises:
        DataError: If a column holds what is no text.
    """
    return _join([decoded(batch[name], f"{where}: column {name!r}", first_row) for name in names])


def _canonical_names(names: Mapping[str, str], where: str) -> dict[str, str]:
    canonical: dict[str, str] = {}
    for label, name in names.items():
        form = canonical_label(label) or label
        if canonical.setdefault(form, name) != name:
            raise DataError(f"{where}: labels names {form!r} twice, {canonical[form]!r} and {name!r}; name it once")
    return canonical


def decoded(column: pa.Array, where: str, first_row: int) -> pa.Array:
    """Return a column of strings, or of their bytes in UTF-8, as strings.

    Args:
        column: Its values.
        where: What it is called in an error.
        first_row: The number of the first row.

    Raises:
        DataError: If it holds what is no text, or a row is not UTF-8.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_null(kind):
        return column.cast(TEXT)
    if not _is_text(kind):
        raise DataError(f"{where} holds {kind} and not texts; name another column with the key text")
    # Over bytes: a cast from one kind of string to another does not look at them.
    data = column.cast(pa.large_binary())
    try:
        return data.cast(TEXT)
    except pa.ArrowInvalid:
        position = next(i for i, value in enumerate(data) if not _decodes(value.as_py()))
        raise _not_utf8(where, first_row + position) from None


def _not_utf8(where: str, row: int) -> DataError:
    return DataError(
        f"{where}: row {row} is not UTF-8; write the file in UTF-8, or set encoding to that of a CSV or TSV file, such "
        "as cp1252"
    )


def _is_text(kind: pa.DataType) -> bool:
    strings = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in (*strings, *_BINARY_KINDS))


def _decodes(value: bytes | None) -> bool:
    try:
        (value or b"").decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _join(texts: Sequence[pa.Array]) -> pa.Array:
    joined = texts[0]
    if len(texts) > 1:
        blank = pa.scalar(None, TEXT)
        present = [pc.if_else(pc.equal(text, ""), blank, text) for text in texts]
        # A row of nulls alone would be left out of what Arrow joins.
        present[0] = pc.if_else(pc.is_null(pc.coalesce(*present)), pa.scalar("", TEXT), present[0])
        joined = pc.binary_join_element_wise(*present, pa.scalar(" ", TEXT), null_handling="skip")
    joined = pc.fill_null(joined, "")
    return pc.replace_substring(joined, "…", "...") if may_hold(joined, "…") else joined


def may_hold(texts: pa.Array, needle: str) -> bool:
    """Tell from the bytes behind some texts whether one may hold a string; many times faster than asking each text."""
    data = texts.buffers()[-1]
    if data is None:
        return False
    letters = np.frombuffer(data, dtype=np.uint8)
    first, *rest = needle.encode()
    starts = np.flatnonzero(letters[: len(letters) - len(rest)] == first)
    for place, letter in enumerate(rest, start=1):
        starts = starts[letters[starts + place] == letter]
    return len(starts) > 0


def _labels(column: pa.Array, where: str, first_row: int, key: str, names: Mapping[str, str]) -> pa.Array:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    values = _label_values(kind)
    if values is None:
        raise DataError(f"{where} holds {kind}, which is no {key}; name another column with the key {key}")
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    found = []
    for position, value in enumerate(values(encoded.dictionary)):
        try:
            found.append(canonical_label(value.decode("utf-8") if isinstance(value, bytes) else value))
        except UnicodeDecodeError:
            row = pc.index(encoded.indices, position).as_py()
            raise _not_utf8(where, first_row + row) from None
    renamed = pa.array([names.get(label, label) if label is not None else None for label in found], TEXT)
    return renamed.take(encoded.indices)


def _label_values(kind: pa.DataType) -> Callable[[pa.Array], list[Any]] | None:
    """Return how labels of a type are read; None if it is no type of labels."""
    if _is_text(kind):
        return lambda labels: labels.cast(pa.large_binary()).to_pylist()
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        # The shortest form that is the same number in this precision: 0.1, not 0.10000000149011612.
        return lambda labels: [v if v is None else float(str(kind.to_pandas_dtype()(v))) for v in labels.to_pylist()]
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null)
    return pa.Array.to_pylist if any(check(kind) for check in numbers) else None


def canonical_label(value: object) -> str | None:
    """Return the one form of a label, so that 1, 1.0, "1" and "1.0" are one class.

    Args:
        value: What stands in the label column.

    Returns:
        Whole numbers without a point, booleans as ``true`` and ``false``, strings without spaces around them; None for
        what is missing, NaN or blank. "NA" and "null" are labels like any other.
    """
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    if _WHOLE_FLOAT.fullmatch(text):
        text = text.partition(".")[0]
        return "0" if text == "-0" else text
    return text or None


def content_numbers(texts: Iterable[str | None], labels: Iterable[str | None]) -> np.ndarray:
    """Return for each row the part of its id that its content decides, as uint64.

    It is the start of a SHA-256 over label and text, each with its length before it, so that no two rows read alike.
    """
    contents = (_sized(label) + _sized(text) for text, label in zip(texts, labels, strict=True))
    starts = [sha256(content.encode("utf-8", "surrogatepass")).digest()[:8] for content in contents]
    return np.frombuffer(b"".join(starts), dtype=">u8").astype(np.uint64)


def row_id(content: int, occurrence: int) -> str:
    """Return the id of a row, such as ``3f0c1a9be4d27765-0``, from its content's number and its occurrence number."""
    return f"{content:016x}-{occurrence}"


def _sized(value: str | None) -> str:
    return "-" if value is None else f"{len(value)}:{value}"


def row_ids(texts: Iterable[str | None], labels: Iterable[str | None]) -> list[str]:
    """Return a stable id for each row: a digest of text and label, and its occurrence number.

    Args:
        texts: The text of each row.
        labels: The label of each row.

    Returns:
        Ids such as ``3f0c1a9be4d27765-0``; an equal row has the same id elsewhere, its copy in one file ends in ``-1``.
    """
    seen: Counter[int] = Counter()
    ids = []
    for content in content_numbers(texts, labels).tolist():
        ids.append(row_id(content, seen[content]))
        seen[content] += 1
    return ids
