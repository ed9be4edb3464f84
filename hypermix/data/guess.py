"""Which columns of a file hold the texts and the labels, where nobody said it and it is plain to see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from hypermix.data.file import JSON
from hypermix.data.raw import RawSplit
from hypermix.data.rows import canonical_label
from hypermix.errors import DataError

TEXT_NAMES = (
    "text",
    "review",
    "sentence",
    "comment",
    "content",
    "body",
    "message",
    "utterance",
    "tweet",
    "post",
    "question",
    "description",
    "document",
    "feedback",
)
LABEL_NAMES = (
    "label",
    "class",
    "category",
    "sentiment",
    "stars",
    "rating",
    "intent",
    "topic",
    "target",
    "polarity",
    "emotion",
)
_FEW = 50
"""Most labels that a column which is called after labels may have."""

_VERY_FEW = 20
"""Likewise of one that is not."""

_ROWS = 5000
_LABEL_CHARACTERS = 40
_WORDS = 2.0
_LONGER = 2.0
"""How many times as long as any other column the texts are, where no name tells them."""


@dataclass(frozen=True)
class _Column:
    """What the first rows of a column show.

    Attributes:
        name: Its name.
        texts: Its cells that are texts; None if another kind of value stands there.
        labels: Its values in the one form of labels, without empty ones; None if one can be no label.
        has_gaps: Whether a label is missing.
    """

    name: str
    texts: Sequence[str] | None
    labels: Sequence[str] | None
    has_gaps: bool

    @property
    def characters(self) -> float:
        """The mean length of its texts."""
        return sum(map(len, self.texts or ())) / max(1, len(self.texts or ()))

    @property
    def is_text(self) -> bool:
        """Whether it holds texts of several words, most of them different."""
        if not self.texts:
            return False
        words = sum(len(text.split()) for text in self.texts) / len(self.texts)
        return words >= _WORDS and 2 * len(set(self.texts)) > len(self.texts)

    def is_label(self, most: int) -> bool:
        """Tell whether it holds labels: at least two, each for two rows on average.

        Args:
            most: Most labels that it may have.
        """
        found = set(self.labels or ())
        short = max(map(len, found), default=0) <= _LABEL_CHARACTERS
        return short and 2 <= len(found) <= most and 2 * len(found) <= len(self.labels or ())


def guess_text(split: RawSplit) -> str | None:
    """Return the column of a file that obviously holds the texts; None if there is no such.

    It is the one that is called after texts (`TEXT_NAMES`), else the one whose texts are by far the longest; none if a
    column of such a name holds something else. The first rows decide, so that it is a function of the file alone.

    Args:
        split: The file with all its columns.
    """
    return _pick_text(_look(split))


def guess_columns(split: RawSplit, text: bool, label: bool) -> tuple[str | None, str | None]:
    """Return the columns of a file that obviously hold the texts and the labels.

    The labels are in the one column that is called after labels (`LABEL_NAMES`), even if some are missing: who reads
    the rows tells that. Else they are in the only one with few different values; in none if a column that is called
    after labels has too many of them.

    Args:
        split: The file with all its columns.
        text: Whether the column of texts is wanted.
        label: Whether that of labels is.

    Returns:
        The column of the texts and that of the labels; None for what is not wanted or not obvious.
    """
    columns = _look(split)
    texts = _pick_text(columns)
    labels = _pick_label([column for column in columns if column.name != texts])
    return texts if text else None, labels if label else None


def column_names(split: RawSplit) -> list[str]:
    """Return the names of the columns of a file that is opened with all of them.

    Args:
        split: The file.

    Raises:
        DataError: If it cannot be read.
    """
    first = next(split.batches(), None)
    return [] if first is None else list(first.schema.names)


def _look(split: RawSplit) -> list[_Column]:
    try:
        batches = list(_first_rows(split))
    except DataError:
        return []  # whoever reads the file for its rows tells what is wrong with it
    if not batches:
        return []
    return [_describe(name, [batch[name] for batch in batches], batches[0].schema) for name in batches[0].schema.names]


def _first_rows(split: RawSplit) -> Iterator[pa.RecordBatch]:
    left = _ROWS
    for batch in split.batches():
        yield batch.slice(0, left)
        left -= len(batch)
        if left <= 0:
            return


def _describe(name: str, parts: Sequence[pa.Array], schema: pa.Schema) -> _Column:
    read = _reader(schema.field(name).metadata or {})
    cells = [read(value) for value in islice((value for part in parts for value in part.to_pylist()), _ROWS)]
    texts = [cell for cell in cells if isinstance(cell, str)]
    whole = all(isinstance(cell, str | None) for cell in cells)
    possible = all(isinstance(cell, str | int | float | None) for cell in cells)
    labels = [label for cell in cells if possible and (label := canonical_label(cell)) is not None]
    return _Column(name, texts if whole else None, labels if possible else None, has_gaps=len(labels) < len(cells))


def _reader(metadata: Mapping[bytes, bytes]) -> Callable[[Any], Any]:
    if JSON.items() <= metadata.items():
        return lambda value: None if value is None else json.loads(value)
    return lambda value: value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _pick_text(columns: Sequence[_Column]) -> str | None:
    candidates = [column for column in columns if column.is_text]
    called = _called(candidates, TEXT_NAMES)
    if not called and any(_words(column.name) in [[own] for own in TEXT_NAMES] for column in columns):
        return None
    ranked = sorted(called or candidates, key=lambda column: -column.characters)
    if len(ranked) > 1 and ranked[0].characters < _LONGER * ranked[1].characters:
        return None
    return ranked[0].name if ranked else None


def _pick_label(columns: Sequence[_Column]) -> str | None:
    candidates = _called([column for column in columns if column.is_label(_FEW)], LABEL_NAMES)
    if not candidates and not _called(columns, LABEL_NAMES):
        candidates = [column for column in columns if column.is_label(_VERY_FEW) and not column.has_gaps]
    return candidates[0].name if len(candidates) == 1 else None


def _called(columns: Sequence[_Column], names: Sequence[str]) -> list[_Column]:
    """Return the columns with one of some names; where there is none, those with such a word in their name."""
    words = {column.name: _words(column.name) for column in columns}
    whole = [column for column in columns if words[column.name] in [[name] for name in names]]
    return whole or [column for column in columns if set(words[column.name]) & set(names)]


def _words(name: str) -> list[str]:
    """Return the words of a name: those of ``reviewText_2`` are review, text and 2."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
