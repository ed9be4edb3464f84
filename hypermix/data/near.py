"""Near-duplicates: texts of test that stand in train with a word or two changed.

A text is the set of its words and of its pairs of adjacent words, with a boundary before the first and after the last.
The boundary makes a changed last word cost as much as one in the middle, so that "What is the capital of Peru?" is not
near "What is the capital of Chad?". If no word comes twice, one changed word of n leaves a similarity of (2n-2)/(2n+4):
at the threshold 0.75 it is found from 10 words on, two are found from 21 on, and an added word from 6 on.

MinHash finds the train rows that can be near a test row, their rarest hashes find the test rows. Each pair is then
compared by its sets, so that no pair is reported whose sets do not agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from rensa import RMinHash, RMinHashLSH

from hypermix.data.shingle import (
    BLOCK_VALUES,
    CHUNK_ROWS,
    Hashes,
    Numbers,
    Rarest,
    Reals,
    Sets,
    blocks,
    chunks,
    count_buckets,
    hash_words,
    jaccard,
    magnitudes,
    offsets_of,
    spread,
)

THRESHOLD = 0.75
"""The least similarity that is near: below it, questions of one pattern about two subjects would match."""

LEAST_THRESHOLD = 0.5
"""Below it, nearly every pair of rows would be a candidate."""

ENOUGH = 20
"""A test row that has met so many near-duplicates keeps the best of them and is compared with equal ones alone."""

_SEED = 42
_SKETCH = 256  # values of a MinHash, less what does not fill a band
_MISSED = 0.001  # most pairs at the threshold that share no band


class _Matrix(Protocol):
    """The sketches of many rows, as rensa keeps them."""

    def to_rows(self) -> list[list[int]]: ...


@dataclass(frozen=True)
class NearPair:
    """A test row and the train row that is most like it.

    Attributes:
        train_row: Counted from 0 over all batches of train.
        test_row: Counted from 0.
        similarity: Shared words and pairs of words by all of both texts; 1.0 if they are the same, whatever the case,
            the spaces and the punctuation.
    """

    train_row: int
    test_row: int
    similarity: float


def find_near_duplicates(
    train: Iterator[pa.Array], test: pa.Array | pa.ChunkedArray, threshold: float = THRESHOLD
) -> list[NearPair]:
    """Find the test texts that have a near-duplicate among the train texts.

    Case, spaces, punctuation, symbols and compatibility forms of characters do not count. In scripts without spaces
    each character is a word. A text without a letter or a digit is like none, not even itself; nor is a missing one.

    Args:
        train: Batches of texts.
        test: Texts.
        threshold: Least Jaccard similarity of the sets of words and pairs of words, from 0.5 to 1.

    Returns:
        The best pair of each test row that has one, in the order of the test rows; of equals, the first train row. A
        pair just at the threshold is missed less than once in a thousand times. A test row with more than `ENOUGH`
        near-duplicates gets an equal train row if there is one, else the best of the first `ENOUGH`.

    Raises:
        ValueError: If the threshold is out of its range.
    """
    if not LEAST_THRESHOLD <= threshold <= 1.0:
        raise ValueError(f"threshold: {threshold} is out of range; it may be from {LEAST_THRESHOLD} to 1.0")
    index = _Index(test, threshold)
    first = 0
    for batch in train:
        for chunk in chunks(batch):
            index.compare(chunk, first)
            first += len(chunk)
    return index.pairs()


class _Index:
    """The sets of test, and the best train row that each has met; of equal sets the first stands for all."""

    def __init__(self, test: pa.Array | pa.ChunkedArray, threshold: float) -> None:
        self.threshold = threshold
        self.width = _band_width(threshold)
        self.lsh = RMinHashLSH(threshold, _SKETCH // self.width * self.width, _SKETCH // self.width)
        self.similarity: Reals = np.zeros(len(test))
        self.train_row: Numbers = np.full(len(test), -1)
        self.met: Numbers = np.zeros(len(test), np.int64)
        parts = [Sets(np.zeros(0, np.uint64), np.zeros(1, np.int64))]
        counts = count_buckets(parts[0])
        first = 0
        for chunk in chunks(test):
            parts.append(hash_words(chunk).unique())
            self.lsh.insert_matrix(_sketch(parts[-1], self.width), first)
            counts += count_buckets(parts[-1])
            first += len(chunk)
        sizes = np.concatenate([part.sizes for part in parts])
        self.sets = Sets(np.concatenate([part.values for part in parts]), offsets_of(sizes))
        self.magnitude = magnitudes(counts)
        names = np.concatenate([part.names() for part in parts])
        self.names, self.firsts, inverse = np.unique(names, return_index=True, return_inverse=True)
        self.stands_for = self.firsts[inverse]
        del parts
        rows = np.sort(self.firsts[sizes[self.firsts] > 0])
        self.rarest = Rarest.join([self._rarest(rows[i : i + CHUNK_ROWS]) for i in range(0, len(rows), CHUNK_ROWS)])

    def compare(self, texts: pa.Array, first: int) -> None:
        """Compare a chunk of train, whose first row has this number, with every test set that is not settled."""
        sets = hash_words(texts)
        flags = self.lsh.query_duplicate_flags_matrix_one_shot(_sketch(sets, self.width))
        rows = np.flatnonzero(np.array(flags, dtype=bool) & (sets.sizes > 0))
        sets = sets.take(rows).unique()
        self._keep_equal(rows + first, sets.names())
        rarest = Rarest.of(sets, np.arange(len(rows)), self.magnitude, self.threshold)
        ends = np.cumsum(np.bincount(rarest.rows, weights=self.rarest.count(rarest), minlength=len(rows)))
        for start, stop in blocks(ends, BLOCK_VALUES):
            part = rarest.take(slice(*np.searchsorted(rarest.rows, [start, stop])))
            left, right = self._candidates(part, sets)
            similarity = jaccard(sets, left, self.sets, right)
            near = similarity >= self.threshold
            self._keep(rows[left[near]] + first, right[near], similarity[near])

    def pairs(self) -> list[NearPair]:
        """Return the best pair of each test row that has one."""
        found = np.flatnonzero(self.train_row[self.stands_for] >= 0)
        first = self.stands_for[found]
        columns = (self.train_row[first].tolist(), found.tolist(), self.similarity[first].tolist())
        return [NearPair(*pair) for pair in zip(*columns, strict=True)]

    def _rarest(self, rows: Numbers) -> Rarest:
        return Rarest.of(self.sets.take(rows), rows, self.magnitude, self.threshold)

    def _candidates(self, rarest: Rarest, sets: Sets) -> tuple[Numbers, Numbers]:
        """Return each pair of a train row and a test row that can be near, once, in the order of the train rows."""
        low = np.searchsorted(self.rarest.ranks, rarest.ranks)
        sizes = self.rarest.count(rarest)
        places = spread(low, sizes)
        left, right = np.repeat(rarest.rows, sizes), self.rarest.rows[places]
        # What stands before the first hash in common is not shared, so what is left must be enough.
        most = np.minimum(np.repeat(rarest.left, sizes), self.rarest.left[places])
        enough = self.threshold / (1 + self.threshold) * (sets.sizes[left] + self.sets.sizes[right])
        can = most >= enough - 1e-6
        both = np.unique(left[can] * len(self.met) + right[can])
        return both // len(self.met), both % len(self.met)

    def _keep_equal(self, train_rows: Numbers, names: Hashes) -> None:
        places = np.searchsorted(self.names, names) % max(1, len(self.names))
        equal = np.flatnonzero(self.names[places] == names) if len(self.names) else places
        sets, order = np.unique(self.firsts[places[equal]], return_index=True)
        new = self.similarity[sets] < 1.0
        self.similarity[sets[new]] = 1.0
        self.train_row[sets[new]] = train_rows[equal[order[new]]]
        self._settle(sets[new])

    def _keep(self, train_rows: Numbers, sets: Numbers, similarity: Reals) -> None:
        order = np.lexsort((train_rows, sets))
        train_rows, sets, similarity = train_rows[order], sets[order], similarity[order]
        rank = np.arange(len(sets)) - np.searchsorted(sets, sets)
        wanted = rank + self.met[sets] < ENOUGH
        train_rows, sets, similarity = train_rows[wanted], sets[wanted], similarity[wanted]
        np.add.at(self.met, sets, 1)
        order = np.lexsort((train_rows, -similarity, sets))
        best = order[np.unique(sets[order], return_index=True)[1]]
        best = best[similarity[best] > self.similarity[sets[best]]]
        self.similarity[sets[best]] = similarity[best]
        self.train_row[sets[best]] = train_rows[best]
        self._settle(sets)

    def _settle(self, sets: Numbers) -> None:
        settled = (self.met >= ENOUGH) | (self.similarity == 1.0)
        if settled[sets].any():
            self.rarest = self.rarest.take(~settled[self.rarest.rows])


def _sketch(sets: Sets, width: int) -> _Matrix:
    offsets = sets.offsets.astype(np.uint64)
    return RMinHash.digest_matrix_from_flat_token_hashes(sets.values, offsets, _SKETCH // width * width, _SEED)  # type: ignore[no-any-return]


def _band_width(threshold: float) -> int:
    """Return the most values a band may have for the pairs at the threshold to share one."""
    return max(width for width in range(1, 9) if (1 - threshold**width) ** (_SKETCH // width) <= _MISSED)
