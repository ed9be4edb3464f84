"""An index of texts that grows and shrinks, and finds those that are near another text.

Near means what it means in `hypermix.data.near`, but nothing is missed: two near texts share one of their rarest
hashes, and these are what texts are found by. Which hashes are rare is counted anew whenever the texts have doubled,
so that a phrase which all new texts begin with soon counts as common and makes no candidates. What is found does not
depend on it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from hypermix.data.near import LEAST_THRESHOLD, THRESHOLD
from hypermix.data.shingle import (
    BLOCK_VALUES,
    CHUNK_ROWS,
    Hashes,
    Numbers,
    Rarest,
    Sets,
    blocks,
    chunks,
    count_buckets,
    count_rarest,
    hash_text,
    hash_words,
    magnitudes,
    offsets_of,
    rank,
    spread,
)

_FEWEST = 1024
"""Texts that are added before the rare hashes are counted anew, however few there were."""

_WORDLESS_BITS = np.uint64((1 << 48) - 1)


def shingle(text: str) -> Hashes:
    """Return the hashes that a text is compared by, each once, in order.

    Those of its words and pairs of words; a text without a letter or a digit, such as one of emoji, has one hash of
    all its characters but spaces, so that it is like itself and no other.
    """
    clean = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no UTF-8 form
    values = np.unique(hash_text(clean).values)
    return values if len(values) else _hash_marks([clean])


class Neighbors:
    """Texts by the order in which they were added, their positions.

    Args:
        threshold: Least Jaccard similarity of the sets of words and pairs of words, from 0.5 to 1.

    Raises:
        ValueError: If the threshold is out of its range.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        if not LEAST_THRESHOLD <= threshold <= 1.0:
            raise ValueError(f"threshold: {threshold} is out of range; it may be from {LEAST_THRESHOLD} to 1.0")
        self._threshold = threshold
        self._count = 0
        self._old = _Counted.of(Sets(np.zeros(0, np.uint64), np.zeros(1, np.int64)), np.zeros(0, np.int64), threshold)
        self._young: dict[int, Hashes] = {}
        self._places: dict[int, list[int]] = {}
        self._added = 0

    def extend(self, texts: Iterable[pa.Array | pa.ChunkedArray]) -> None:
        """Add batches of texts; a missing one is like an empty one."""
        parts = [_hash(chunk) for batch in texts for chunk in chunks(batch)]
        sizes = sum(len(part.sizes) for part in parts)
        positions = np.arange(self._count, self._count + sizes)
        self._count += sizes
        self._count_anew([*parts], positions)

    def add(self, values: Hashes) -> int:
        """Add one text by its hashes; return its position."""
        position, self._count = self._count, self._count + 1
        self._young[position] = values
        for one in self._old.rarest_of(values).tolist():
            self._places.setdefault(one, []).append(position)
        self._added += 1
        if self._added > max(_FEWEST, self._old.n_alive):
            self._count_anew([], np.zeros(0, np.int64))
        return position

    def remove(self, position: int) -> None:
        """Take a text out; one that is not there is no mistake."""
        if self._young.pop(position, None) is None:
            self._old.remove(position)

    def find(self, values: Hashes) -> list[tuple[int, float]]:
        """Return the position and the similarity of each text that is near the one with these hashes, in order."""
        rarest = self._old.rarest_of(values)
        found = self._old.find(values, rarest)
        places = {place for one in rarest.tolist() for place in self._places.get(one, ())}
        young = sorted(place for place in places if place in self._young)
        if young:
            others = _join([self._young[place] for place in young])
            similarity = _compare(values, others, np.arange(len(young)))
            found += [pair for pair in zip(young, similarity.tolist(), strict=True) if pair[1] >= self._threshold]
        return found

    def _count_anew(self, more: list[Sets], positions: Numbers) -> None:
        parts = [self._old.sets.take(np.flatnonzero(self._old.alive)), _join(list(self._young.values())), *more]
        known = [self._old.positions[self._old.alive], np.array([*self._young], np.int64), positions]
        sizes = np.concatenate([part.sizes for part in parts])
        sets = Sets(np.concatenate([part.values for part in parts]), offsets_of(sizes))
        self._old = _Counted.of(sets, np.concatenate(known), self._threshold)
        self._young, self._places, self._added = {}, {}, 0


class _Counted:
    """Texts whose hashes were counted.

    Attributes:
        sets: Their hashes.
        positions: Their positions, rising.
        alive: Which of them were not removed.
        n_alive: How many.
    """

    def __init__(self, sets: Sets, positions: Numbers, threshold: float, magnitude: Hashes, rarest: Rarest) -> None:
        self.sets = sets
        self.positions = positions
        self.alive: npt.NDArray[np.bool_] = np.ones(len(positions), bool)
        self.n_alive = len(positions)
        self._threshold = threshold
        self._magnitude = magnitude
        self._rarest = rarest

    @staticmethod
    def of(sets: Sets, positions: Numbers, threshold: float) -> _Counted:
        magnitude = magnitudes(count_buckets(sets))
        starts = range(0, len(positions), CHUNK_ROWS)
        rows = [np.arange(start, min(start + CHUNK_ROWS, len(positions))) for start in starts]
        rarest = Rarest.join([Rarest.of(sets.take(part), part, magnitude, threshold) for part in rows])
        return _Counted(sets, positions, threshold, magnitude, rarest)

    def rarest_of(self, values: Hashes) -> Hashes:
        """Return the ranks of the rarest hashes of a text, of which all that are near have one."""
        ranks = rank(values, self._magnitude)
        ranks.sort()
        return ranks[: int(count_rarest(np.array([len(values)]), self._threshold)[0])]

    def find(self, values: Hashes, rarest: Hashes) -> list[tuple[int, float]]:
        low = np.searchsorted(self._rarest.ranks, rarest)
        high = np.searchsorted(self._rarest.ranks, rarest, side="right")
        met = np.flatnonzero(high > low)
        if not len(met):
            return []
        places = spread(low[met], high[met] - low[met])
        rows = self._rarest.rows[places]
        sizes = self.sets.sizes_of(rows)
        # What stands before the first hash in common is not shared, so what is left must be enough.
        left = np.minimum(np.repeat(len(values) - met, high[met] - low[met]), self._rarest.left[places])
        enough = self._threshold / (1 + self._threshold) * (len(values) + sizes)
        fits = np.minimum(len(values), sizes) >= self._threshold * np.maximum(len(values), sizes) - 1e-6
        rows = np.unique(rows[self.alive[rows] & fits & (left >= enough - 1e-6)])
        if not len(rows):
            return []
        similarity = _compare(values, self.sets, rows)
        near = similarity >= self._threshold
        return list(zip(self.positions[rows[near]].tolist(), similarity[near].tolist(), strict=True))

    def remove(self, position: int) -> None:
        row = int(np.searchsorted(self.positions, position))
        if row < len(self.positions) and self.positions[row] == position and self.alive[row]:
            self.alive[row] = False
            self.n_alive -= 1


def _hash(texts: pa.Array) -> Sets:
    """Return the hashes of each text of a chunk; each has one at least."""
    sets = hash_words(texts).unique()
    empty = np.flatnonzero(sets.sizes == 0)
    if not len(empty):
        return sets
    hashes = _hash_marks(texts.take(pa.array(empty)).to_pylist())
    return Sets(np.insert(sets.values, sets.offsets[empty], hashes), offsets_of(np.maximum(sets.sizes, 1)))


def _hash_marks(texts: list[str]) -> Hashes:
    marks = ["".join(unicodedata.normalize("NFKC", text).split()) for text in texts]
    hashes = pd.util.hash_array(np.array(marks, dtype=object), categorize=False)
    return hashes.astype(np.uint64) & _WORDLESS_BITS


def _join(values: list[Hashes]) -> Sets:
    return Sets(np.concatenate([np.zeros(0, np.uint64), *values]), offsets_of(np.array([*map(len, values)], np.int64)))


def _compare(values: Hashes, others: Sets, rows: Numbers) -> npt.NDArray[np.float64]:
    """Return the similarity of one text and some others."""
    similarity = np.empty(len(rows))
    for start, end in blocks(np.cumsum(others.sizes_of(rows)), BLOCK_VALUES):
        part = others.take(rows[start:end])
        places = np.minimum(np.searchsorted(values, part.values), len(values) - 1)
        shared = np.add.reduceat((values[places] == part.values).astype(np.int64), part.offsets[:-1])
        similarity[start:end] = shared / (len(values) + part.sizes - shared)
    return similarity
