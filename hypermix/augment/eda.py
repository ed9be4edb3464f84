"""EDA (Wei and Zou 2019): synonyms, insertions, swaps and deletions of words.

As in the authors' code, a row is changed by one of the four, n times for n = alpha times its words, rounded down, and
at least once; deletion takes each word with the probability alpha. What is done otherwise than there, and why, stands
in docs/augmenters.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.derived import Source, derive
from hypermix.augment.stopwords import STOP_WORDS
from hypermix.augment.tools import Synonyms
from hypermix.augment.words import Words
from hypermix.errors import AugmentError
from hypermix.seeding import child_generator

_ROUNDING = 1e-9
"""So that 0.29 of 100 words are 29."""

Operation = Callable[[Words, Random], None]
"""Changes words in place; it may find nothing to change."""


def count_changes(share: float, n_words: int) -> int:
    """Return how many words to change: a share, rounded down, and at least one."""
    return max(1, int(share * n_words + _ROUNDING))


def replace(words: Words, draw: Random, *, alpha: float, synonyms: Synonyms) -> None:
    """Replace n words that are no stop words by a synonym each."""
    left = count_changes(alpha, len(words))
    for place in draw.sample(range(len(words)), len(words)):
        found = _look_up(words.words[place], synonyms)
        if found:
            words.replace(place, draw.choice(found))
            left -= 1
        if left == 0:
            return


def insert(words: Words, draw: Random, *, alpha: float, synonyms: Synonyms) -> None:
    """Insert a synonym of a word that is no stop word, n times, anywhere."""
    own = list(words.words)
    for _ in range(count_changes(alpha, len(own))):
        found = next(filter(None, (_look_up(word, synonyms) for word in draw.sample(own, len(own)))), ())
        if not found:
            return
        words.insert(draw.randint(0, len(words)), draw.choice(found))


def swap(words: Words, draw: Random, *, alpha: float) -> None:
    """Exchange two words that differ, n times."""
    for _ in range(count_changes(alpha, len(words))):
        first = draw.randrange(len(words))
        others = [place for place, word in enumerate(words.words) if word != words.words[first]]
        if not others:
            return
        words.swap(first, draw.choice(others))


def delete(words: Words, draw: Random, *, alpha: float) -> None:
    """Delete each word with the probability alpha: at least one, and never all."""
    gone = [place for place in range(len(words)) if draw.random() < alpha] or [draw.randrange(len(words))]
    if len(gone) == len(words):
        gone.remove(draw.choice(gone))
    for place in reversed(gone):
        words.delete(place)


@AUGMENTERS.register("eda")
def build_eda(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter.

    Args:
        settings: ``multiplier``, ``attempts``, and ``alpha_replace``, ``alpha_insert``, ``alpha_swap`` and
            ``alpha_delete``; an operation of 0 is left out.
        material: Its tools have synonyms.

    Raises:
        AugmentError: If there are no synonyms.
    """
    synonyms = material.tools.synonyms
    if synonyms is None:
        raise AugmentError("eda replaces words by synonyms, and none are at hand; give the material its tools")
    alphas = {name: settings[f"alpha_{name}"] for name in ("replace", "insert", "swap", "delete")}
    every: dict[str, Operation] = {
        "replace": partial(replace, alpha=alphas["replace"], synonyms=synonyms),
        "insert": partial(insert, alpha=alphas["insert"], synonyms=synonyms),
        "swap": partial(swap, alpha=alphas["swap"]),
        "delete": partial(delete, alpha=alphas["delete"]),
    }
    operations = [operation for name, operation in every.items() if alphas[name] > 0]

    def change(source: Source, slot: Slot) -> str | None:
        draw = child_generator(material.seed, ("eda", *slot))
        for operation in _in_turn(operations, material.seed, source, slot.attempt):
            words = Words.of(source.example.text)
            if words:
                operation(words, draw)
            if str(words) != source.example.text:
                return str(words)
        return None

    return derive(material, settings, change)


def _in_turn(operations: Sequence[Operation], seed: int, source: Source, attempt: int) -> list[Operation]:
    """Return which operation a row is made by, and which come next where that one finds nothing to change.

    The synthetic rows of one real row take them in turn, in an order of their own for each round of them.
    """
    block, turn = divmod(source.turn, len(operations))
    order = list(operations)
    child_generator(seed, ("eda operations", source.place, block)).shuffle(order)
    first = (turn + attempt) % len(order)
    return order[first:] + order[:first]


def _look_up(word: str, synonyms: Synonyms) -> Sequence[str]:
    small = word.lower().replace("’", "'")
    return () if small in STOP_WORDS or not any(map(str.isalpha, small)) else synonyms(small)
