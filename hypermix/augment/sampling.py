"""Which real rows a prompt shows.

All draws depend on (seed, row, attempt) alone. Their generators have one name for all methods, that of the first one:
two methods that show as many rows show the same ones, so that they differ in what they ask and not in what they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random

import numpy as np
from numpy.typing import NDArray

from hypermix.augment.base import Material, Slot
from hypermix.errors import AugmentError
from hypermix.records import Example
from hypermix.seeding import child_generator

_DECIMALS = 6
"""Of a similarity: the last bits of an embedding differ by machine, and no draw should."""


@dataclass(frozen=True)
class Sampler:
    """Draws the rows of a prompt, without replacement.

    Attributes:
        material: What the draw is made from.
        count: Rows of a prompt.
        way: ``uniform``, ``balanced``, ``closest`` or ``furthest``.
    """

    material: Material
    count: int
    way: str = "uniform"

    def pick(self, slot: Slot, label: str | None = None) -> list[Example]:
        """Return the rows to show, in the order to show them.

        Args:
            slot: Which try at which row, or at which call.
            label: Of which label; None takes all.

        Raises:
            AugmentError: If there are too few.
        """
        if not self.count:
            return []
        places = self._places(label)
        self._check(places, label)
        generator = child_generator(self.material.seed, ("gpt3mix", "examples", *slot))
        if self.way == "balanced":
            return self._balance(generator)
        examples = self.material.examples
        if self.way == "uniform":
            return generator.sample([examples[place] for place in places], self.count)
        chosen = self._alike(generator, places, 1.0 if self.way == "closest" else -1.0)
        return [examples[place] for place in chosen]

    def check(self, labels: Sequence[str | None] = (None,)) -> None:
        """Check before anything is asked that there are rows to show; without any rows there is nothing to check.

        Args:
            labels: The labels of which rows will be shown; None stands for all.

        Raises:
            AugmentError: If there are too few.
        """
        if not self.count or not self.material.examples:
            return
        for label in labels:
            self._check(self._places(label), label)
        if self.way == "balanced":
            self._check_balance()

    def _check(self, places: Sequence[int], label: str | None) -> None:
        if self.count > len(places):
            of_label = "" if label is None else f" of the label {label!r}"
            raise AugmentError(
                f"a prompt of {self.count} examples needs as many rows{of_label}, the subsample has {len(places)}; "
                "lower the augmenter's examples or raise the subsample"
            )

    def _places(self, label: str | None) -> Sequence[int]:
        examples = self.material.examples
        return range(len(examples)) if label is None else self._by_label.get(label, [])

    @cached_property
    def _by_label(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {label: [] for label in self.material.task.labels}
        for place, example in enumerate(self.material.examples):
            found[example.label].append(place)
        return found

    def _balance(self, generator: Random) -> list[Example]:
        """Take as many of each label; the rest, if the labels do not divide them, of labels that are drawn."""
        self._check_balance()
        each, rest = divmod(self.count, len(self._by_label))
        more = generator.sample([*self._by_label], rest)
        chosen = [
            place
            for label, places in self._by_label.items()
            for place in generator.sample(places, each + (label in more))
        ]
        generator.shuffle(chosen)
        return [self.material.examples[place] for place in chosen]

    def _check_balance(self) -> None:
        needed = -(-self.count // len(self._by_label))
        for label, places in self._by_label.items():
            if len(places) < needed:
                raise AugmentError(
                    f"sampling: balanced shows up to {needed} rows of each label in a prompt of {self.count} examples, "
                    f"and the subsample has {len(places)} of {label!r}; lower the augmenter's examples, raise the "
                    "subsample, or set sampling: uniform"
                )

    def _alike(self, generator: Random, places: Sequence[int], sign: float) -> list[int]:
        """Draw an anchor, and the others by the softmax of their similarity to it, or of its negative.

        The similarities of the anchor alone are computed: a table of all pairs would be large.
        """
        vectors = self._vectors[np.asarray(places)] if len(places) < len(self._vectors) else self._vectors
        anchor = generator.randrange(len(places))
        similarity = np.round((vectors @ vectors[anchor]).astype(np.float64), _DECIMALS)
        weights = np.exp(sign * similarity)
        chosen = [anchor]
        while len(chosen) < self.count:
            weights[chosen[-1]] = 0.0
            sums = np.cumsum(weights)
            found = int(np.searchsorted(sums, generator.random() * sums[-1], side="right"))
            chosen.append(found if found < len(sums) else int(np.flatnonzero(weights)[-1]))
        return [places[place] for place in chosen]

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        embed = self.material.tools.embed
        if embed is None:
            raise AugmentError(f"sampling: {self.way} needs embeddings of the rows, and there are none")
        found = np.asarray(embed([example.text for example in self.material.examples]), dtype=np.float32)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return (found / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)


def in_turn(seed: int, what: str, count: int, number: int) -> int:
    """Return which of some things a number stands for: each once before any twice, in a fresh order every time.

    Args:
        seed: The data seed or trial seed.
        what: What they are.
        count: How many there are.
        number: From 0, without end.
    """
    turn, position = divmod(number, count)
    return _round(seed, what, count, turn)[position]


@lru_cache(maxsize=4)
def _round(seed: int, what: str, count: int, turn: int) -> Sequence[int]:
    """Return the order of a round. It is the same for all its numbers, and long for a large subsample."""
    order = list(range(count))
    child_generator(seed, ("in turn", what, turn)).shuffle(order)
    return order
