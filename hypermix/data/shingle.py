"""The words of a text as hashes, by which texts are compared, and where in an index its nearest can stand.

A text is the set of its words and of its pairs of adjacent words, with a boundary before the first and after the last.
`hypermix.data.near` compares whole splits by these sets, `hypermix.data.neighbor` one text after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

CHUNK_ROWS = 8192
"""Most rows of a chunk."""

BLOCK_VALUES = 1 << 18
"""Most hashes of pairs that are compared at once; a pair has at least 6, so these are fewer than 65,536 pairs."""

_CHUNK_BYTES = 1 << 23
_HASH_BITS = np.uint64(48)  # the 16 bits above hold the row of a chunk or the pair of a block, fewer than 65,536
_HASH_MASK = np.uint64((1 << 48) - 1)
_RANK_BITS = np.uint64(40)  # a rank is a magnitude of 8 bits and so many bits of a hash
_BUCKET_SHIFT = np.uint64(48 - 20)
_BUCKETS = 1 << 20  # hashes are counted by their first 20 bits, near enough to tell rare from common

_ASCII_WORD = re.compile("[a-z0-9]+")
_SEPARATORS = r"[^\p{L}\p{M}\p{N} ]+"
_MANY_MARKS = r"(\p{M}{8})\p{M}+"
_LONE_MARKS = r"(^|[^\p{L}\p{M}\p{N}])\p{M}+"
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*)"

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sets:
    """Hashes for each row; those of a row stand together."""

    values: Hashes
    offsets: Numbers

    @property
    def sizes(self) -> Numbers:
        """How many hashes each row has."""
        return np.diff(self.offsets)

    def sizes_of(self, rows: Numbers) -> Numbers:
        """Return how many hashes some rows have; the other rows cost nothing."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def take(self, rows: Numbers) -> Sets:
        """Return some rows."""
        sizes = self.sizes_of(rows)
        return Sets(self.values[spread(self.offsets[rows], sizes)], offsets_of(sizes))

    def unique(self) -> Sets:
        """Return each hash of a row once, in order."""
        keys = _label(self.sizes, self.values)
        keys.sort()
        keys = keys[np.diff(keys, prepend=~keys[:1]) != 0]
        sizes = np.bincount((keys >> _HASH_BITS).astype(np.int64), minlength=len(self.sizes))
        return Sets(keys & _HASH_MASK, offsets_of(sizes))

    def names(self) -> Hashes:
        """Return a number for each row of unique hashes that equal sets share and others do not."""
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(self.values, self.values), dtype=np.uint64)])
        return np.diff(sums[self.offsets])


@dataclass(frozen=True)
class Rarest:
    """The rarest hashes of each row, of which two near rows share at least one.

    Near rows share so many hashes that they share one of the rarest, as many as may be missing and one more. So what
    many texts have in common, such as a signature, makes no candidates.

    Attributes:
        ranks: How common a hash is, and a part of the hash: see `rank`.
        rows: The row of each.
        left: How many hashes of the row rank as high or higher.
    """

    ranks: Hashes
    rows: Numbers
    left: Numbers

    @staticmethod
    def of(sets: Sets, rows: Numbers, magnitude: Hashes, threshold: float) -> Rarest:
        """Return those of sets that have these row numbers, in the order of the sets."""
        keys = _label(sets.sizes, rank(sets.values, magnitude))
        keys.sort()
        counts = count_rarest(sets.sizes, threshold)
        places = spread(sets.offsets[:-1], counts)
        ranks = keys[places] & _HASH_MASK
        left = np.repeat(sets.offsets[1:], counts) - places
        return Rarest(ranks, np.repeat(rows, counts), left).take(ranks >> _RANK_BITS > 0)

    @staticmethod
    def join(parts: list[Rarest]) -> Rarest:
        """Return all in the order of the ranks."""
        ranks = np.concatenate([np.zeros(0, np.uint64), *[part.ranks for part in parts]])
        rows = np.concatenate([np.zeros(0, np.int64), *[part.rows for part in parts]])
        left = np.concatenate([np.zeros(0, np.int64), *[part.left for part in parts]])
        return Rarest(ranks, rows, left).take(np.argsort(ranks, kind="stable"))

    def take(self, places: npt.NDArray[np.bool_] | Numbers | slice) -> Rarest:
        """Return the hashes at some places."""
        return Rarest(self.ranks[places], self.rows[places], self.left[places])

    def count(self, other: Rarest) -> Numbers:
        """Return how often each rank of another is here."""
        ends = np.searchsorted(self.ranks, other.ranks, side="right")
        return ends - np.searchsorted(self.ranks, other.ranks)


def count_buckets(sets: Sets) -> Numbers:
    """Count hashes by their first bits, so that the rare can be told from the common."""
    counts: Numbers = np.bincount((sets.values >> _BUCKET_SHIFT).astype(np.int64), minlength=_BUCKETS)
    return counts


def magnitudes(counts: Numbers) -> Hashes:
    """Return the magnitude of each count of `count_buckets`: 0 for none, 1 for one, 2 for two and three, ..."""
    found = np.zeros(len(counts), np.uint64)
    filled = np.flatnonzero(counts)  # of few texts, few are
    found[filled] = np.frexp(counts[filled])[1]
    return found


def rank(values: Hashes, magnitude: Hashes) -> Hashes:
    """Return a number for each hash that puts the rare before the common; two hashes may have the same one."""
    common = magnitude[(values >> _BUCKET_SHIFT).astype(np.int64)]
    return common << _RANK_BITS | values >> _HASH_BITS - _RANK_BITS


def count_rarest(sizes: Numbers, threshold: float) -> Numbers:
    """Return of how many of the rarest hashes of a set a near set has one: as many as may be missing, and one."""
    fewest: Numbers = sizes - np.ceil(sizes * threshold - 1e-6).astype(np.int64) + (sizes > 0)
    return fewest


def chunks(texts: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Cut texts into parts that bound the memory of all that follows; a long text is a part of its own."""
    for part in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        array = pc.fill_null(part.cast(pa.large_string()), "")
        ends = np.cumsum(pc.binary_length(array).to_numpy())
        for start, stop in blocks(ends, _CHUNK_BYTES):
            for row in range(start, stop, CHUNK_ROWS):
                yield array[row : min(row + CHUNK_ROWS, stop)]


def blocks(ends: npt.NDArray[np.number], limit: int) -> Iterator[tuple[int, int]]:
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


def hash_words(texts: pa.Array) -> Sets:
    """Return the hashes of the words and of the pairs of adjacent words of each text."""
    split = pc.split_pattern(_fold(texts), " ")
    coded = pc.list_flatten(split).dictionary_encode()
    known = coded.dictionary.to_numpy(zero_copy_only=False)
    codes = coded.indices.to_numpy()
    filled = (known != "")[codes]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(filled)])
    counts = np.diff(before[offsets_of(pc.list_value_length(split).to_numpy())])
    words = pd.util.hash_array(known, categorize=False).astype(np.uint64)[codes[filled]]
    return _hash_lines(words, counts)


def hash_text(text: str) -> Sets:
    """Return what `hash_words` returns for one text, without the cost of a table for one in ASCII."""
    if not text.isascii():
        return hash_words(pa.array([text], pa.large_string()))
    words = np.array(_ASCII_WORD.findall(text.lower()), dtype=object)
    hashes = pd.util.hash_array(words, categorize=False).astype(np.uint64)
    return _hash_lines(hashes, np.array([len(words)], np.int64))


def _hash_lines(words: Hashes, counts: Numbers) -> Sets:
    """Return the hashes of words and of pairs of them; ``counts`` tells how many words each row has."""
    # Boundary, words, boundary, words, ..., boundary: each neighboring two are a pair of one row.
    worded = counts[counts > 0]
    bounds = np.zeros(len(words) + len(worded) + 1, bool)
    bounds[offsets_of(worded + 1)] = True
    line = np.zeros(len(bounds), np.uint64)
    line[~bounds] = words
    hashes = np.stack([_mix(line[:-1], line[1:]), line[1:]], axis=1).ravel()
    wanted = np.stack([np.ones(len(line) - 1, bool), ~bounds[1:]], axis=1).ravel()
    return Sets(hashes[wanted] & _HASH_MASK, offsets_of(np.where(counts > 0, 2 * counts + 1, 0)))


def _mix(first: Hashes, second: Hashes) -> Hashes:
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    return mixed


def jaccard(ours: Sets, left: Numbers, theirs: Sets, right: Numbers) -> Reals:
    """Return how much of two sets is shared, for pairs of rows of unique hashes.

    Args:
        ours: Some sets.
        left: The row of each pair in these.
        theirs: Other sets.
        right: The row of each pair in those.
    """
    sizes = ours.sizes_of(left) + theirs.sizes_of(right)
    similarity = np.empty(len(left))
    for start, end in blocks(np.cumsum(sizes), BLOCK_VALUES):
        first, second = ours.take(left[start:end]), theirs.take(right[start:end])
        keys = np.concatenate([_label(part.sizes, part.values) for part in (first, second)])
        keys.sort()
        twice = keys[1:][keys[1:] == keys[:-1]] >> _HASH_BITS
        shared = np.bincount(twice.astype(np.int64), minlength=end - start)
        similarity[start:end] = shared / (sizes[start:end] - shared)
    return similarity


def _label(sizes: Numbers, values: Hashes) -> Hashes:
    """Put the number of its row above each hash."""
    return np.repeat(np.arange(len(sizes), dtype=np.uint64) << _HASH_BITS, sizes) | values


def offsets_of(sizes: Numbers) -> Numbers:
    """Return where the rows of these sizes begin, and the end of the last."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def spread(starts: Numbers, sizes: Numbers) -> Numbers:
    """Return start, start + 1, ... for each start, as many as its size says."""
    return np.arange(int(sizes.sum())) - np.repeat(offsets_of(sizes)[:-1] - starts, sizes)
