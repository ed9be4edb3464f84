"""Which rows are not trained on, and why.

A row is judged by itself and against what is there before any row is made: train rows and test rows. Then it is
compared with the kept rows before it. The reason that it gets is that of the first kept row that speaks against it, so
that the order in which answers come changes no reason.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hypermix.records import Example, SyntheticRow

EMPTY = "empty"
TEST_ROW = "test row"
NEAR_TEST_ROW = "near a test row"
COPY_OF_EXAMPLE = "copy of a prompt example"
NEAR_EXAMPLE = "near copy of a prompt example"
COPY_OF_TRAIN = "copy of a train row"
NEAR_TRAIN = "near copy of a train row"
TOO_LONG = "too long"
WRONG_LANGUAGE = "wrong language"
LOW_MASS = "label mass too low"
COPY_OF_SYNTHETIC = "copy of a synthetic row"
NEAR_SYNTHETIC = "near copy of a synthetic row"
CLASS_FULL = "class is full"
"""Why a row is refused, in the order in which it is looked at."""

_INVISIBLE = ("C", "Z")
"""Categories of characters that show nothing: controls, formats and spaces."""

Words = npt.NDArray[np.uint64]
"""What a text is compared by."""

Found = Sequence[tuple[int, float]]
"""The position of each text that was found, and its similarity; 1.0 if it is the same."""


class Index(Protocol):
    """Texts in which copies are looked for; positions are counted from 0 as texts are added."""

    def add(self, values: Words, /) -> int:
        """Add a text; return its position."""

    def remove(self, position: int, /) -> None:
        """Take a text out."""

    def find(self, values: Words, /) -> Found:
        """Return the copies of a text, in the order of their positions."""


@dataclass(frozen=True)
class Grounds:
    """What rows are compared with and asked about; None where nobody looks.

    Attributes:
        shingle: Returns what a text is compared by.
        train: The train rows of the subsample, in their order.
        test: The test rows.
        kept: Nothing yet: for the rows that are kept.
        waiting: Nothing yet: for the rows that wait until those before them are settled.
        foreign: Tells whether a text is in another language than the wanted one.
    """

    shingle: Callable[[str], Words]
    train: Index | None = None
    test: Index | None = None
    kept: Index | None = None
    waiting: Index | None = None
    foreign: Callable[[str], bool] | None = None


class Filter:
    """Refuses rows as the filters of an augmenter say; `hypermix.steps.rows` tells who asks what when.

    Args:
        settings: The section `filters` of the augmenter.
        examples: The rows of the subsample.
        n_labels: How many labels the dataset has.
        grounds: What rows are compared with.
    """

    def __init__(
        self, settings: Mapping[str, Any], examples: Sequence[Example], n_labels: int, grounds: Grounds
    ) -> None:
        self._grounds = grounds
        self._ids = [example.id for example in examples]
        longest = settings["longest"]
        self._longest = (
            math.inf if longest is None else longest * max((len(example.text) for example in examples), default=0)
        )
        self._least_mass = settings["least_mass"]
        self._quotas = _Quotas(settings["quota"], len(examples), n_labels)
        self._words: dict[int, tuple[str, Words]] = {}
        self._n_kept = 0
        self._waiting: dict[int, SyntheticRow] = {}
        self._rows: dict[int, int] = {}
        self._positions: dict[int, int] = {}

    def judge(self, row: SyntheticRow) -> str | None:
        """Return why a row is refused by itself, whatever the others are; None if it is not."""
        text = row.text or ""
        if all(unicodedata.category(character)[0] in _INVISIBLE for character in text):
            return EMPTY
        copied = self._find_copied(row)
        if copied is not None:
            return copied
        if len(text) > self._longest:
            return TOO_LONG
        if self._grounds.foreign is not None and self._grounds.foreign(text):
            return WRONG_LANGUAGE
        if row.label_mass is not None and row.label_mass < self._least_mass:
            return LOW_MASS
        return None

    def compare(self, row: SyntheticRow) -> str | None:
        """Return why a row is refused beside the rows that were kept so far; None if it is not."""
        found: list[tuple[int, str]] = []
        if self._grounds.kept is not None:
            copies = self._grounds.kept.find(self._shingle(row))
            found += [(order, _by_likeness(alike, COPY_OF_SYNTHETIC, NEAR_SYNTHETIC)) for order, alike in copies[:1]]
        filled = self._quotas.filled_by(row)
        if filled is not None:
            found.append((filled, CLASS_FULL))
        return min(found, key=lambda pair: pair[0])[1] if found else None

    def wait(self, row: SyntheticRow) -> None:
        """Take a row among those that wait, until one that is kept speaks against it or it is kept itself."""
        self._waiting[row.index] = row
        if self._grounds.waiting is not None:
            position = self._grounds.waiting.add(self._shingle(row))
            self._rows[position] = row.index
            self._positions[row.index] = position

    def keep(self, row: SyntheticRow) -> Mapping[int, str]:
        """Take a row among those that others are compared with.

        Returns:
            Why it speaks against rows that wait, by their indexes; they wait no longer.
        """
        self._forget(row.index)
        refused: dict[int, str] = {}
        if self._grounds.waiting is not None:
            for position, alike in self._grounds.waiting.find(self._shingle(row)):
                refused[self._rows[position]] = _by_likeness(alike, COPY_OF_SYNTHETIC, NEAR_SYNTHETIC)
        if self._quotas.count(row, self._n_kept):
            for other in self._waiting.values():
                if self._quotas.filled_by(other) == self._n_kept:
                    refused.setdefault(other.index, CLASS_FULL)
        if self._grounds.kept is not None:
            self._grounds.kept.add(self._shingle(row))
        self._n_kept += 1
        for index in refused:
            self._forget(index)
        self._words.pop(row.index, None)
        return refused

    def _find_copied(self, row: SyntheticRow) -> str | None:
        grounds = self._grounds
        leaked = grounds.test.find(self._shingle(row)) if grounds.test is not None else []
        if leaked:
            return _by_likeness(max(alike for _, alike in leaked), TEST_ROW, NEAR_TEST_ROW)
        copied = grounds.train.find(self._shingle(row)) if grounds.train is not None else []
        if not copied:
            return None
        best = max(alike for _, alike in copied)
        shown = {self._ids[place] for place, alike in copied if alike == best} & {*row.source_ids}
        if shown:
            return _by_likeness(best, COPY_OF_EXAMPLE, NEAR_EXAMPLE)
        return _by_likeness(best, COPY_OF_TRAIN, NEAR_TRAIN)

    def _forget(self, index: int) -> None:
        self._waiting.pop(index, None)
        position = self._positions.pop(index, None)
        if position is not None and self._grounds.waiting is not None:
            del self._rows[position]
            self._grounds.waiting.remove(position)

    def _shingle(self, row: SyntheticRow) -> Words:
        text = row.text or ""
        known = self._words.get(row.index)
        if known is None or known[0] != text:
            known = self._words[row.index] = text, self._grounds.shingle(text)
        return known[1]


class _Quotas:
    """How many kept rows each class has of each round.

    A round is as many rows as the subsample has, counted by the rows' indexes: so more rounds change no earlier one.
    """

    def __init__(self, quota: float | None, n_rows: int, n_labels: int) -> None:
        self._size = max(n_rows, 1)
        self._most = math.inf if quota is None else math.ceil(round(quota * n_rows / max(n_labels, 1), 9))
        self._kept: dict[tuple[int, str | None], int] = {}
        self._filled: dict[tuple[int, str | None], int] = {}

    def count(self, row: SyntheticRow, order: int) -> bool:
        """Count a kept row; tell whether its class is full now."""
        key = self._key(row)
        self._kept[key] = self._kept.get(key, 0) + 1
        if self._kept[key] != self._most:
            return False
        self._filled[key] = order
        return True

    def filled_by(self, row: SyntheticRow) -> int | None:
        """Return which kept row, counted from 0, was the last that the class of a row had room for, if it is full."""
        return self._filled.get(self._key(row))

    def _key(self, row: SyntheticRow) -> tuple[int, str | None]:
        return row.index // self._size, row.label


def _by_likeness(alike: float, same: str, near: str) -> str:
    return same if alike == 1.0 else near
