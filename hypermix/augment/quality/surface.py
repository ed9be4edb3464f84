"""Measures of the words of texts: how varied they are, and how long.

Variety falls with the number of words, so that two sets of texts are compared on as many: `alike` cuts them.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from hypermix.augment.quality.words import Words

BLEU_ROWS = 100
"""Texts that self-BLEU compares, each with all others: more of them raise it, so the number is fixed."""

MOST_WORDS = 200_000
"""Words of a set of texts that are looked at for how varied they are."""

_BLEU_WORDS = 64  # of each text: the time grows with its square
_LEVEL = 6


def alike(texts: Words, others: Words) -> tuple[Words, Words]:
    """Cut two sets of texts to as many words, `MOST_WORDS` at most."""
    limit = min(len(texts.codes), len(others.codes), MOST_WORDS)
    return texts.first(limit), others.first(limit)


def distinct(words: Words, n: int) -> float | None:
    """Return how many of all runs of n words are different ones, 0 to 1 (Li et al. 2016); None without a run."""
    names, _ = words.ngrams(n)
    return len(np.unique(names)) / len(names) if len(names) else None


def mean_length(words: Words) -> float:
    """Return the mean number of words of a row."""
    return len(words.codes) / len(words)


def join(texts: Sequence[str]) -> bytes:
    """Return texts as the bytes that are compressed, a line each."""
    return "\n".join(texts).encode("utf-8", "replace")


def compression(content: bytes) -> float:
    """Return by how much gzip's method shrinks texts: large where they repeat themselves (Shaib et al. 2024)."""
    return len(content) / len(zlib.compress(content, _LEVEL))


def self_bleu(words: Words, generator: random.Random) -> float | None:
    """Return the mean BLEU-4 of a text against all others (Zhu et al. 2018), 0 to 1: large where texts are alike.

    Args:
        words: The texts; those without a word are left out.
        generator: Draws at most `BLEU_ROWS` of them.

    Returns:
        The mean; None with fewer than two texts.
    """
    filled = np.flatnonzero(words.counts > 0).tolist()
    chosen = generator.sample(filled, min(BLEU_ROWS, len(filled)))
    texts = [" ".join(map(str, words.rows(row, row + 1).codes[:_BLEU_WORDS].tolist())) for row in chosen]
    if len(texts) < 2:
        return None
    metric = BLEU(effective_order=True, tokenize="none")
    scores = [
        metric.sentence_score(text, [*texts[:place], *texts[place + 1 :]]).score for place, text in enumerate(texts)
    ]
    return sum(scores) / len(scores) / 100
