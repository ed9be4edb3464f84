"""The controls: no synthetic rows, and the real rows once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Slot, count_rows, one_hot
from hypermix.records import Completion, Example, Request, SyntheticRow, Task
from hypermix.seeding import child_generator


@dataclass(frozen=True)
class Duplicates:
    """Real rows repeated: each once before any is repeated twice, in an order of its own for each round.

    Attributes:
        multiplier: Synthetic rows for each real row; 0 is the control without any.
        labels: The label order.
        attempts: A copy needs no second try.
    """

    multiplier: float
    labels: tuple[str, ...]
    attempts: int = 1

    def n_rows(self, n_examples: int) -> int:
        """Return the multiple of the real rows, rounded."""
        return count_rows(n_examples, self.multiplier)

    def plan(self, examples: Sequence[Example], seed: int, slots: Sequence[Slot]) -> list[Request]:  # noqa: ARG002
        """Return no request."""
        return []

    def harvest(
        self,
        examples: Sequence[Example],
        seed: int,
        slots: Sequence[Slot],
        completions: Sequence[Completion],  # noqa: ARG002 - there are none
    ) -> list[SyntheticRow]:
        """Return a copy of a real row for each slot."""
        return [self._copy(slot.row, self._pick(examples, seed, slot.row)) for slot in slots]

    def _pick(self, examples: Sequence[Example], seed: int, row: int) -> Example:
        turn, position = divmod(row, len(examples))
        order = list(range(len(examples)))
        child_generator(seed, ("duplicate", turn)).shuffle(order)
        return examples[order[position]]

    def _copy(self, row: int, example: Example) -> SyntheticRow:
        return SyntheticRow(
            index=row,
            text=example.text,
            label=example.label,
            soft_label=one_hot(example.label, self.labels),
            label_source="real",
            label_mass=1.0,
            source_ids=(example.id,),
            request_key=None,
            reason=None,
        )


@AUGMENTERS.register("none")
def build_none(settings: Mapping[str, Any], task: Task) -> Augmenter:  # noqa: ARG001 - there are none
    """Make the control without synthetic rows."""
    return Duplicates(0.0, task.labels)


@AUGMENTERS.register("duplicate")
def build_duplicate(settings: Mapping[str, Any], task: Task) -> Augmenter:
    """Make the control that repeats real rows."""
    return Duplicates(settings["multiplier"], task.labels)
