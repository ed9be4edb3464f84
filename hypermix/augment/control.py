"""The controls: no synthetic rows, and the real rows once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Slot, count_rows, one_hot
from hypermix.records import Abilities, Completion, Example, Request, SyntheticRow, Task
from hypermix.seeding import child_generator


@dataclass(frozen=True)
class Duplicates:
    """Real rows repeated: each once before any is repeated twice, in an order of its own for each round.

    Attributes:
        multiplier: Synthetic rows for each real row; 0 is the control without any.
        labels: The label order.
        attempts: A copy needs no second try.
        most_requests: Nobody is asked.
    """

    multiplier: float
    labels: tuple[str, ...]
    attempts: int = 1
    most_requests: int = 0

    def rehearse(self, example: Example) -> str:
        """Return the text, which is all that a copy needs."""
        return example.text

    def n_rows(self, n_examples: int) -> int:
        """Return the multiple of the real rows, rounded."""
        return count_rows(n_examples, self.multiplier)

    def plan(
        self,
        examples: Sequence[Example],  # noqa: ARG002 - nothing is asked
        seed: int,  # noqa: ARG002
        slot: Slot,  # noqa: ARG002
        answers: Sequence[Completion],  # noqa: ARG002
    ) -> list[Request]:
        """Return no request."""
        return []

    def harvest(
        self,
        examples: Sequence[Example],
        seed: int,
        slot: Slot,
        answers: Sequence[Completion],  # noqa: ARG002 - there are none
    ) -> SyntheticRow:
        """Return a copy of a real row."""
        example = self._pick(examples, seed, slot.row)
        return SyntheticRow(
            index=slot.row,
            text=example.text,
            label=example.label,
            soft_label=one_hot(example.label, self.labels),
            label_source="real",
            label_mass=1.0,
            source_ids=(example.id,),
            request_key=None,
            reason=None,
        )

    def _pick(self, examples: Sequence[Example], seed: int, row: int) -> Example:
        turn, position = divmod(row, len(examples))
        order = list(range(len(examples)))
        child_generator(seed, ("duplicate", turn)).shuffle(order)
        return examples[order[position]]


@AUGMENTERS.register("none")
def build_none(settings: Mapping[str, Any], task: Task, abilities: Abilities | None) -> Augmenter:  # noqa: ARG001
    """Make the control without synthetic rows; it has no settings and asks nobody."""
    return Duplicates(0.0, task.labels)


@AUGMENTERS.register("duplicate")
def build_duplicate(settings: Mapping[str, Any], task: Task, abilities: Abilities | None) -> Augmenter:  # noqa: ARG001
    """Make the control that repeats real rows."""
    return Duplicates(settings["multiplier"], task.labels)
