"""Rows that are each a changed copy of one real row, with its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hypermix.augment.base import Augmenter, Material, Offline, Slot, count_rows, one_hot
from hypermix.augment.control import shuffled
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


def derive(material: Material, settings: Mapping[str, Any], change: Change) -> Augmenter:
    """Make an augmenter of changed real rows: each real row once before any is taken twice.

    Args:
        material: What the draw is made from.
        settings: ``multiplier`` and ``attempts``, each of them from the same real row.
        change: Changes a text.
    """

    def make(slot: Slot) -> SyntheticRow:
        source = source_of(material, slot.row)
        return make_row(material, slot, source.example, change(source, slot))

    return Offline(count_rows(len(material.examples), settings["multiplier"]), settings["attempts"], make)


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
