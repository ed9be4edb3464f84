"""The contract of an augmenter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from hypermix.records import Abilities, Completion, Example, Request, SyntheticRow, Task
from hypermix.registry import Registry


class Slot(NamedTuple):
    """One try at one synthetic row.

    Attributes:
        row: Which row of the draw, from 0.
        attempt: Which try, from 0.
    """

    row: int
    attempt: int


class Augmenter(Protocol):
    """Makes rows from the rows of a subsample. What it makes depends on its arguments alone."""

    @property
    def attempts(self) -> int:
        """How often a row is tried."""

    @property
    def most_requests(self) -> int:
        """The most requests of one try at a row; those that no answer of `rehearse` leads to want one token each."""

    def rehearse(self, example: Example) -> str:
        """Return what an answer says that makes a row like this one, so that costs can be told before it is asked."""

    def n_rows(self, n_examples: int) -> int:
        """Return how many synthetic rows a subsample of this many rows gets."""

    def plan(self, examples: Sequence[Example], seed: int, slot: Slot, answers: Sequence[Completion]) -> list[Request]:
        """Return what to ask next for a slot.

        Args:
            examples: The rows of the subsample.
            seed: The data seed or trial seed of the draw.
            slot: Which try at which row.
            answers: What was answered so far to this slot, in the order of the requests.

        Returns:
            Requests that may be asked at once; none if nothing is left to ask, so that the slot can be harvested.
        """

    def harvest(
        self, examples: Sequence[Example], seed: int, slot: Slot, answers: Sequence[Completion]
    ) -> SyntheticRow:
        """Return the row of a slot, kept or not, from all its answers in the order of their requests."""


Factory = Callable[[Mapping[str, Any], Task, Abilities | None], Augmenter]
AUGMENTERS: Registry[Factory] = Registry("augmentation method")
"""Makes an augmenter from its settings in the config, the wording of its dataset and what its endpoint takes, by its
method. There are no abilities where no language model is asked."""


def count_rows(n_examples: int, multiplier: float) -> int:
    """Return the rows that a multiplier asks for, rounded half to even."""
    return round(n_examples * multiplier)


def one_hot(label: str, labels: Sequence[str]) -> tuple[float, ...]:
    """Return the soft label that is sure of one label, in label order."""
    return tuple(1.0 if other == label else 0.0 for other in labels)
