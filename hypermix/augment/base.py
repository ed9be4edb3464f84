"""The contract of an augmenter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from hypermix.augment.dialogue import Dialogue
from hypermix.augment.tools import NO_TOOLS, Tools
from hypermix.records import Abilities, Example, SyntheticRow, Task
from hypermix.registry import Registry


class Slot(NamedTuple):
    """One try at one synthetic row.

    Attributes:
        row: Which row of the draw, from 0.
        attempt: Which try, from 0.
    """

    row: int
    attempt: int


@dataclass(frozen=True)
class Material:
    """What the rows of one draw are made from. Rows of validation and of test are never in it.

    Attributes:
        examples: The rows of the subsample.
        task: The wording of the dataset.
        seed: The data seed or trial seed of the draw.
        abilities: What the endpoint takes; None where no language model is asked.
        further: The rows of train that were not drawn, in their order; empty but for the method `real`.
        tools: What computes here for it, other than a language model.
    """

    examples: Sequence[Example]
    task: Task
    seed: int
    abilities: Abilities | None = None
    further: Sequence[Example] = ()
    tools: Tools = NO_TOOLS


class Augmenter(Protocol):
    """Makes synthetic rows. A row depends on the settings, the material and its slot alone, whatever else is made."""

    @property
    def n_rows(self) -> int:
        """How many rows are wanted."""

    @property
    def attempts(self) -> int:
        """How often a row is tried."""

    @property
    def most_requests(self) -> int:
        """The most requests of one try at a row; those that no answer of `rehearse` leads to want one token each."""

    def rehearse(self, example: Example, turn: int) -> str:
        """Return what an answer says that makes a row like this one, so that costs can be told before it is asked.

        Args:
            example: A row of the subsample.
            turn: How many requests of the slot came before.
        """

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Make one row: plan requests, none or several rounds of them, and harvest the row from their answers.

        It asks nobody itself. What it yields is asked, at once or later, and it is replayed from its beginning when
        answers have come: it must do the same again for the same answers. The row says why it is not used, if so.
        """


Factory = Callable[[Mapping[str, Any], Material], Augmenter]
AUGMENTERS: Registry[Factory] = Registry("augmentation method")
"""Makes an augmenter from its settings in the config and the material of a draw, by its method."""


@dataclass(frozen=True)
class Offline:
    """An augmenter that asks nobody.

    Attributes:
        n_rows: How many rows are wanted.
        attempts: How often a row is tried.
        make: Makes the row of a slot.
        most_requests: None.
    """

    n_rows: int
    attempts: int
    make: Callable[[Slot], SyntheticRow]
    most_requests: int = 0

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - nobody is asked
        """Return the text."""
        return example.text

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Make a row; nothing is asked."""
        yield from ()
        return self.make(slot)


@dataclass(frozen=True)
class Around:
    """The part that all augmenters have that are put around another one.

    Attributes:
        inner: The other augmenter.
    """

    inner: Augmenter

    @property
    def n_rows(self) -> int:
        """As many as the other augmenter wants."""
        return self.inner.n_rows

    @property
    def attempts(self) -> int:
        """As often as the other augmenter tries."""
        return self.inner.attempts


def count_rows(n_examples: int, multiplier: float) -> int:
    """Return the rows that a multiplier asks for, rounded half to even."""
    return round(n_examples * multiplier)


def one_hot(label: str, labels: Sequence[str]) -> tuple[float, ...]:
    """Return the soft label that is sure of one label, in label order."""
    return tuple(1.0 if other == label else 0.0 for other in labels)
