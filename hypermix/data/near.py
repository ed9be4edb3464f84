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
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rensa import RMinHash, RMinHashLSH

THRESHOLD = 0.75
"""The least similarity that is near: below it, questions of one pattern about two subjects would match."""

LEAST_THRESHOLD = 0.5
"""Below it, nearly every pair of rows would be a candidate."""

ENOUGH = 20
"""A test row that has met so many near-duplicates keeps the best of them and is compared with equal ones alone."""

_SEED = 42
_SKETCH = 256  # values of a MinHash, less what does not fill a band
_MISSED = 0.001  # most pairs at the threshold that share no band

_CHUNK_ROWS = 8192
_CHUNK_BYTES = 1 << 23
_BLOCK_VALUES = 1 << 18  # a pair has at least 6, so a block has fewer than 65,536 pairs

_HASH_BITS = np.uint64(48)  # the 16 bits above hold the row of a chunk or the pair of a block, fewer than 65,536
_HASH_MASK = np.uint64((1 << 48) - 1)
_RANK_BITS = np.uint64(40)  # a rank is a magnitude of 8 bits and so many bits of a hash
_BUCKET_SHIFT = np.uint64(48 - 20)
_BUCKETS = 1 << 20  # hashes are counted by their first 20 bits, near enough to tell rare from common

_SEPARATORS = r"[^\p{L}\p{M}\p{N} ]+"
_MANY_MARKS = r"(\p{M}{8})\p{M}+"
_LONE_MARKS = r"(^|[^\p{L}\p{M}\p{N}])\p{M}+"
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*)"

_Hashes = npt.NDArray[np.uint64]
_Numbers = npt.NDArray[np.int64]
_Reals = npt.NDArray[np.float64]


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
        for chunk in _chunks(batch):
            index.compare(chunk, first)
            first += len(chunk)
    return index.pairs()


@dataclass(frozen=True)
class _Sets:
    """Hashes for each row; those of a row stand together."""

    values: _Hashes
    offsets: _Numbers

    @property
    def sizes(self) -> _Numbers:
        return np.diff(self.offsets)

    def take(self, rows: _Numbers) -> _Sets:
        sizes = self.sizes[rows]
        return _Sets(self.values[_spread(self.offsets[rows], sizes)], _offsets(sizes))

    def unique(self) -> _Sets:
        """Return each hash of a row once, in order."""
        keys = _label(self.sizes, self.values)
        keys.sort()
        keys = keys[np.diff(keys, prepend=~keys[:1]) != 0]
        sizes = np.bincount((keys >> _HASH_BITS).astype(np.int64), minlength=len(self.sizes))
        return _Sets(keys & _HASH_MASK, _offsets(sizes))

    def names(self) -> _Hashes:
        """Return a number for each row of unique hashes that equal sets share and others do not."""
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(self.values, self.values), dtype=np.uint64)])
        return np.diff(sums[self.offsets])

    def sketch(self, width: int) -> _Matrix:
        offsets = self.offsets.astype(np.uint64)
        return RMinHash.digest_matrix_from_flat_token_hashes(self.values, offsets, _SKETCH // width * width, _SEED)  # type: ignore[no-any-return]


class _Index:
    """The sets of test, and the best train row that each has met; of equal sets the first stands for all."""

    def __init__(self, test: pa.Array | pa.ChunkedArray, threshold: float) -> None:
        self.threshold = threshold
        self.width = _band_width(threshold)
        self.lsh = RMinHashLSH(threshold, _SKETCH // self.width * self.width, _SKETCH // self.width)
        self.similarity: _Reals = np.zeros(len(test))
        self.train_row: _Numbers = np.full(len(test), -1)
        self.met: _Numbers = np.zeros(len(test), np.int64)
        parts = [_Sets(np.zeros(0, np.uint64), np.zeros(1, np.int64))]
        counts = np.zeros(_BUCKETS, np.int64)
        first = 0
        for chunk in _chunks(test):
            parts.append(_hash_words(chunk).unique())
            self.lsh.insert_matrix(parts[-1].sketch(self.width), first)
            counts += np.bincount((parts[-1].values >> _BUCKET_SHIFT).astype(np.int64), minlength=_BUCKETS)
            first += len(chunk)
        sizes = np.concatenate([part.sizes for part in parts])
        self.sets = _Sets(np.concatenate([part.values for part in parts]), _offsets(sizes))
        self.magnitude = np.frexp(counts)[1].astype(np.uint64)
        names = np.concatenate([part.names() for part in parts])
        self.names, self.firsts, inverse = np.unique(names, return_index=True, return_inverse=True)
        self.stands_for = self.firsts[inverse]
        del parts
        rows = np.sort(self.firsts[sizes[self.firsts] > 0])
        self.rarest = _Rarest.join([self._rarest(rows[i : i + _CHUNK_ROWS]) for i in range(0, len(rows), _CHUNK_ROWS)])

    def compare(self, texts: pa.Array, first: int) -> None:
        """Compare a chunk of train, whose first row has this number, with every test set that is not settled."""
        sets = _hash_words(texts)
        flags = self.lsh.query_duplicate_flags_matrix_one_shot(sets.sketch(self.width))
        rows = np.flatnonzero(np.array(flags, dtype=bool) & (sets.sizes > 0))
        sets = sets.take(rows).unique()
        self._keep_equal(rows + first, sets.names())
        rarest = _Rarest.of(sets, np.arange(len(rows)), self.magnitude, self.threshold)
        ends = np.cumsum(np.bincount(rarest.rows, weights=self.rarest.count(rarest), minlength=len(rows)))
        for start, stop in _blocks(ends, _BLOCK_VALUES):
            part = rarest.take(slice(*np.searchsorted(rarest.rows, [start, stop])))
            left, right = self._candidates(part, sets)
            similarity = _jaccard(sets, left, self.sets, right)
            near = similarity >= self.threshold
            self._keep(rows[left[near]] + first, right[near], similarity[near])

    def pairs(self) -> list[NearPair]:
        """Return the best pair of each test row that has one."""
        found = np.flatnonzero(self.train_row[self.stands_for] >= 0)
        first = self.stands_for[found]
        columns = (self.train_row[first].tolist(), found.tolist(), self.similarity[first].tolist())
        return [NearPair(*pair) for pair in zip(*columns, strict=True)]

    def _rarest(self, rows: _Numbers) -> _Rarest:
        return _Rarest.of(self.sets.take(rows), rows, self.magnitude, self.threshold)

    def _candidates(self, rarest: _Rarest, sets: _Sets) -> tuple[_Numbers, _Numbers]:
        """Return each pair of a train row and a test row that can be near, once, in the order of the train rows."""
        low = np.searchsorted(self.rarest.ranks, rarest.ranks)
        sizes = self.rarest.count(rarest)
        places = _spread(low, sizes)
        left, right = np.repeat(rarest.rows, sizes), self.rarest.rows[places]
        # What stands before the first hash in common is not shared, so what is left must be enough.
        most = np.minimum(np.repeat(rarest.left, sizes), self.rarest.left[places])
        enough = self.threshold / (1 + self.threshold) * (sets.sizes[left] + self.sets.sizes[right])
        can = most >= enough - 1e-6
        both = np.unique(left[can] * len(self.met) + right[can])
        return both // len(self.met), both % len(self.met)

    def _keep_equal(self, train_rows: _Numbers, names: _Hashes) -> None:
        places = np.searchsorted(self.names, names) % max(1, len(self.names))
        equal = np.flatnonzero(self.names[places] == names) if len(self.names) else places
        sets, order = np.unique(self.firsts[places[equal]], return_index=True)
        new = self.similarity[sets] < 1.0
        self.similarity[sets[new]] = 1.0
        self.train_row[sets[new]] = train_rows[equal[order[new]]]
        self._settle(sets[new])

    def _keep(self, train_rows: _Numbers, sets: _Numbers, similarity: _Reals) -> None:
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

    def _settle(self, sets: _Numbers) -> None:
        settled = (self.met >= ENOUGH) | (self.similarity == 1.0)
        if settled[sets].any():
            self.rarest = self.rarest.take(~settled[self.rarest.rows])


@dataclass(frozen=True)
class _Rarest:
    """The rarest hashes of each row, of which two near rows share at least one.

    Near rows share so many hashes that they share one of the rarest, as many as may be missing and one more. So what
    many texts have in common, such as a signature, makes no candidates.

    Attributes:
        ranks: How common a hash is in test and a part of the hash: a number that orders all hashes.
        rows: The row of each.
        left: How many hashes of the row rank as high or higher.
    """

    ranks: _Hashes
    rows: _Numbers
    left: _Numbers

    @staticmethod
    def of(sets: _Sets, rows: _Numbers, magnitude: _Hashes, threshold: float) -> _Rarest:
        """Return those of sets that have these row numbers, in the order of the sets."""
        ranks = magnitude[(sets.values >> _BUCKET_SHIFT).astype(np.int64)] << _RANK_BITS
        keys = _label(sets.sizes, ranks | sets.values >> _HASH_BITS - _RANK_BITS)
        keys.sort()
        counts = sets.sizes - np.ceil(sets.sizes * threshold - 1e-6).astype(np.int64) + (sets.sizes > 0)
        places = _spread(sets.offsets[:-1], counts)
        ranks = keys[places] & _HASH_MASK
        left = np.repeat(sets.offsets[1:], counts) - places
        return _Rarest(ranks, np.repeat(rows, counts), left).take(ranks >> _RANK_BITS > 0)

    @staticmethod
    def join(parts: list[_Rarest]) -> _Rarest:
        """Return all in the order of the ranks."""
        ranks = np.concatenate([np.zeros(0, np.uint64), *[part.ranks for part in parts]])
        rows = np.concatenate([np.zeros(0, np.int64), *[part.rows for part in parts]])
        left = np.concatenate([np.zeros(0, np.int64), *[part.left for part in parts]])
        return _Rarest(ranks, rows, left).take(np.argsort(ranks, kind="stable"))

    def take(self, places: npt.NDArray[np.bool_] | _Numbers | slice) -> _Rarest:
        return _Rarest(self.ranks[places], self.rows[places], self.left[places])

    def count(self, other: _Rarest) -> _Numbers:
        """Return how often each rank of another is here."""
        ends = np.searchsorted(self.ranks, other.ranks, side="right")
        return ends - np.searchsorted(self.ranks, other.ranks)


def _chunks(texts: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Cut texts into parts that bound the memory of all that follows; a long text is a part of its own."""
    for part in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        array = pc.fill_null(part.cast(pa.large_string()), "")
        ends = np.cumsum(pc.binary_length(array).to_numpy())
        for start, stop in _blocks(ends, _CHUNK_BYTES):
            for row in range(start, stop, _CHUNK_ROWS):
                yield array[row : min(row + _CHUNK_ROWS, stop)]


def _blocks(ends: npt.NDArray[np.number], limit: int) -> Iterator[tuple[int, int]]:
    """Cut rows into blocks of at most this size, or of one row; ``ends`` are the sizes of the rows, summed."""
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + limit, side="right")))
        yield start, stop
        start = stop


def _fold(texts: pa.Array) -> pa.Array:
    """Return the words of each text in one form, with spaces between them."""
    if pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        return pc.replace_substring_regex(pc.ascii_lower(texts), r"[^a-z0-9 ]+", " ")
    texts = pc.replace_substring_regex(texts, _MANY_MARKS, r"\1")  # sorting a long run of marks takes its square
    texts = pc.utf8_normalize(texts, "NFKC")
    texts = pc.utf8_lower(pc.utf8_upper(texts))  # by way of upper case, two forms of a letter become one
    texts = pc.replace_substring_regex(texts, _LONE_MARKS, " ")  # an acute for an apostrophe is a space and a mark
    texts = pc.replace_substring_regex(texts, _UNSPACED, r" \1 ")
    return pc.replace_substring_regex(texts, _SEPARATORS, " ")


def _hash_words(texts: pa.Array) -> _Sets:
    """Return the hashes of the words and of the pairs of adjacent words of each text."""
    split = pc.split_pattern(_fold(texts), " ")
    coded = pc.list_flatten(split).dictionary_encode()
    known = coded.dictionary.to_numpy(zero_copy_only=False)
    codes = coded.indices.to_numpy()
    filled = (known != "")[codes]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(filled)])
    counts = np.diff(before[_offsets(pc.list_value_length(split).to_numpy())])
    words = pd.util.hash_array(known, categorize=False).astype(np.uint64)[codes[filled]]

    # Boundary, words, boundary, words, ..., boundary: each neighboring two are a pair of one row.
    worded = counts[counts > 0]
    bounds = np.zeros(len(words) + len(worded) + 1, bool)
    bounds[_offsets(worded + 1)] = True
    line = np.zeros(len(bounds), np.uint64)
    line[~bounds] = words
    hashes = np.stack([_mix(line[:-1], line[1:]), line[1:]], axis=1).ravel()
    wanted = np.stack([np.ones(len(line) - 1, bool), ~bounds[1:]], axis=1).ravel()
    return _Sets(hashes[wanted] & _HASH_MASK, _offsets(np.where(counts > 0, 2 * counts + 1, 0)))


def _mix(first: _Hashes, second: _Hashes) -> _Hashes:
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    return mixed


def _band_width(threshold: float) -> int:
    """Return the most values a band may have for the pairs at the threshold to share one."""
    return max(width for width in range(1, 9) if (1 - threshold**width) ** (_SKETCH // width) <= _MISSED)


def _jaccard(ours: _Sets, left: _Numbers, theirs: _Sets, right: _Numbers) -> _Reals:
    sizes = ours.sizes[left] + theirs.sizes[right]
    similarity = np.empty(len(left))
    for start, end in _blocks(np.cumsum(sizes), _BLOCK_VALUES):
        first, second = ours.take(left[start:end]), theirs.take(right[start:end])
        keys = np.concatenate([_label(part.sizes, part.values) for part in (first, second)])
        keys.sort()
        twice = keys[1:][keys[1:] == keys[:-1]] >> _HASH_BITS
        shared = np.bincount(twice.astype(np.int64), minlength=end - start)
        similarity[start:end] = shared / (sizes[start:end] - shared)
    return similarity


def _label(sizes: _Numbers, values: _Hashes) -> _Hashes:
    """Put the number of its row above each hash."""
    return np.repeat(np.arange(len(sizes), dtype=np.uint64) << _HASH_BITS, sizes) | values


def _offsets(sizes: _Numbers) -> _Numbers:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def _spread(starts: _Numbers, sizes: _Numbers) -> _Numbers:
    """Return start, start + 1, ... for each start, as many as its size says."""
    return np.arange(int(sizes.sum())) - np.repeat(_offsets(sizes)[:-1] - starts, sizes)
