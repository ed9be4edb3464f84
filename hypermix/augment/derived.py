"""Rows that are each a changed copy of one real row, with its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hypermix.augment.base import Material, Slot, count_rows, one_hot
from hypermix.augment.control import shuffled
from hypermix.augment.dialogue import Dialogue
from hypermix.records import Example, SyntheticRow

UNCHANGED = "nothing changed"
"""Why a row is not used: no change of its text was possible, or it came out as it was."""


@dataclass(frozen=True)
class Source:
    """A real row, in its turn.

    Attributes:
        example: The row.
        place: Where it stands among the real rows.
        turn: How many synthetic rows were made from it before.
    """

    example: Example
    place: int
    turn: int


class Change(Protocol):
    """Changes the text of a row."""

    def __call__(self, source: Source, slot: Slot) -> str | None:
        """Return the changed text; None if no change is possible."""


@dataclass(frozen=True)
class Derived:
    """Rows that are changed real rows: each real row once before any is taken twice.

    Attributes:
        material: What the draw is made from.
        multiplier: Synthetic rows for each real row.
        attempts: How often a row is tried, each time from the same real row.
        change: Changes a text.
        most_requests: Nobody is asked.
    """

    material: Material
    multiplier: float
    attempts: int
    change: Change
    most_requests: int = 0

    @property
    def n_rows(self) -> int:
        """The multiple of the real rows, rounded."""
        return count_rows(len(self.material.examples), self.multiplier)

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - nobody is asked
        """Return the text."""
        return example.text

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Change a row; nothing is asked."""
        yield from ()
        source = source_of(self.material, slot.row)
        return make_row(self.material, slot, source.example, self.change(source, slot))


def source_of(material: Material, row: int) -> Source:
    """Return the real row that a synthetic row is made from."""
    turn, position = divmod(row, len(material.examples))
    place = shuffled(material.seed, turn, len(material.examples))[position]
    return Source(material.examples[place], place, turn)


def make_row(
    material: Material, slot: Slot, example: Example, text: str | None, key: str | None = None
) -> SyntheticRow:
    """Return the row that a changed text makes.

    Args:
        material: What the draw is made from.
        slot: Which row it is.
        example: The real row that it comes from.
        text: The changed text; None if there is none.
        key: The stored answer behind it.
    """
    same = text is None or text.split() == example.text.split()
    return SyntheticRow(
        index=slot.row,
        text=text,
        label=example.label,
        soft_label=one_hot(example.label, material.task.labels),
        label_source="source",
        label_mass=1.0,
        source_ids=(example.id,),
        request_key=key,
        reason=UNCHANGED if same else None,
    )
