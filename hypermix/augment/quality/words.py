"""Texts as numbers of words, many at a time: what measures of texts count.

Case and punctuation do not count. In scripts without spaces each character is a word, so that they are measured too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*)"
_SEPARATORS = r"[^\p{L}\p{M}\p{N}]+"
_BLOCK = 8192  # rows whose texts are spread out in memory at a time

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Words:
    """The words of some texts.

    Attributes:
        codes: The number of each word, those of a row together; equal words have equal numbers.
        offsets: Where the words of each row begin, and where those of the last one end.
        vocabulary: How many numbers there may be.
    """

    codes: Numbers
    offsets: Numbers
    vocabulary: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Numbers:
        """The number of words of each row."""
        return np.diff(self.offsets)

    def rows(self, start: int, stop: int) -> Words:
        """Return some rows that stand together."""
        offsets = self.offsets[start : stop + 1]
        return Words(self.codes[offsets[0] : offsets[-1]], offsets - offsets[0], self.vocabulary)

    def first(self, limit: int) -> Words:
        """Return the first words of all; the row that the limit falls into is cut."""
        return Words(self.codes[:limit], np.minimum(self.offsets, limit), self.vocabulary)

    def cut(self, longest: int) -> Words:
        """Return the first words of each row."""
        kept = np.arange(len(self.codes)) - np.repeat(self.offsets[:-1], self.counts) < longest
        counts = np.minimum(self.counts, longest)
        return Words(self.codes[kept], np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), self.vocabulary)

    def row_numbers(self) -> Numbers:
        """Return the row of each word."""
        return np.repeat(np.arange(len(self)), self.counts)

    def ngrams(self, n: int) -> tuple[Numbers, Numbers]:
        """Return a number for each run of n words inside a row, equal for equal runs, and the row of each."""
        rows = self.row_numbers()
        if len(self.codes) < n:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        names = self.codes
        for step in range(1, n):
            names = names[:-1] * self.vocabulary + self.codes[step:]
            if step < n - 1:  # else the next product would be too large a number
                names = pd.factorize(names)[0]
        inside = rows[: len(names)] == rows[n - 1 :]
        return names[inside], rows[: len(names)][inside]


def encode_words(texts: Sequence[str]) -> Words:
    """Number the words of texts, in the order in which they come."""
    blocks = [_split(texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK)]
    counts = np.concatenate([np.zeros(1, np.int64), *[counts for _, counts in blocks]])
    coded = pa.chunked_array([words for words, _ in blocks], pa.large_string()).dictionary_encode()
    codes = [np.zeros(0, np.int64), *[chunk.indices.to_numpy().astype(np.int64) for chunk in coded.chunks]]
    vocabulary = len(coded.chunk(0).dictionary) if coded.num_chunks else 0  # all chunks share it
    return Words(np.concatenate(codes), np.cumsum(counts), max(1, vocabulary))


def _split(texts: Sequence[str]) -> tuple[pa.Array, Numbers]:
    """Return all words of some texts, and how many each has."""
    # Lone surrogates have no UTF-8 form.
    clean = pa.array([text.encode("utf-8", "replace").decode("utf-8") for text in texts], pa.large_string())
    folded = pc.utf8_lower(pc.utf8_normalize(clean, "NFKC"))
    folded = pc.replace_substring_regex(pc.replace_substring_regex(folded, _UNSPACED, r" \1 "), _SEPARATORS, " ")
    lists = pc.split_pattern(folded, " ")
    words = pc.list_flatten(lists)
    filled = pc.not_equal(words, "")
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(pc.list_value_length(lists).to_numpy())])
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(filled.to_numpy(zero_copy_only=False))])
    return words.filter(filled), np.diff(before[ends])
