"""Playing an augmenter by hand: what it asks after some answers, and the row that it makes of all."""

from __future__ import annotations

from collections.abc import Sequence

from hypermix.augment.base import Augmenter, Slot
from hypermix.augment.dialogue import ask_next, conclude
from hypermix.records import Completion, Request, SyntheticRow


def plan(augmenter: Augmenter, slot: Slot, answers: Sequence[Completion] = ()) -> list[Request]:
    return ask_next(augmenter.talk(slot), answers)


def harvest(augmenter: Augmenter, slot: Slot, answers: Sequence[Completion] = ()) -> SyntheticRow:
    return conclude(augmenter.talk(slot), answers)


def make_rows(augmenter: Augmenter) -> list[SyntheticRow]:
    """The rows of one that asks nobody."""
    return [harvest(augmenter, Slot(row, 0)) for row in range(augmenter.n_rows)]
