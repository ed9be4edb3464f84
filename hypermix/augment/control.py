"""The controls: what a gain is held against. They ask nobody, and nothing that they make is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot, count_rows, one_hot
from hypermix.augment.dialogue import Dialogue
from hypermix.errors import AugmentError
from hypermix.records import Example, SyntheticRow
from hypermix.seeding import child_generator

EXHAUSTED = "no further row"
"""Why a row of the control `real` is missing: train has no more rows of its label."""


class _Pick(Protocol):
    """Return the synthetic row that stands at a place of a draw."""

    def __call__(self, material: Material, row: int) -> SyntheticRow: ...


@dataclass(frozen=True)
class Control:
    """Rows that are picked and not made.

    Attributes:
        material: What the draw is made from.
        multiplier: Synthetic rows for each real row; 0 is the control without any.
        pick: Picks them.
        attempts: Nothing is tried twice.
        most_requests: Nobody is asked.
    """

    material: Material
    multiplier: float
    pick: _Pick
    attempts: int = 1
    most_requests: int = 0

    @property
    def n_rows(self) -> int:
        """The multiple of the real rows, rounded."""
        return count_rows(len(self.material.examples), self.multiplier)

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - nobody is asked
        """Return the text, which is all that a copy needs."""
        return example.text

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Pick a row; nothing is asked."""
        yield from ()
        return self.pick(self.material, slot.row)


def duplicate(material: Material, row: int) -> SyntheticRow:
    """Repeat the real rows: each once before any is repeated twice, in an order of its own for each round."""
    turn, position = divmod(row, len(material.examples))
    return _copy(material, row, material.examples[shuffled(material.seed, turn, len(material.examples))[position]])


def mislabel(material: Material, row: int) -> SyntheticRow:
    """Repeat the real rows with wrong labels, each of the other labels as likely."""
    copied, labels = duplicate(material, row), material.task.labels
    others = [label for label in labels if label != copied.label]
    wrong = child_generator(material.seed, ("shuffle", row)).choice(others)
    return replace(copied, label=wrong, soft_label=one_hot(wrong, labels), label_source="shuffled")


@dataclass(frozen=True)
class FurtherRows:
    """Real rows of train that were not drawn, as many of each label as the subsample has.

    Attributes:
        order: The places of the rows of each label in the material's further rows, shuffled.
        before: For each real row, how many real rows of its label stand before it.
        counts: How many real rows each label has.
    """

    order: Mapping[str, Sequence[int]]
    before: Sequence[int]
    counts: Mapping[str, int]

    def __call__(self, material: Material, row: int) -> SyntheticRow:
        """Take the label of the real row in this place, and the next further row of this label."""
        turn, position = divmod(row, len(material.examples))
        label = material.examples[position].label
        number = turn * self.counts[label] + self.before[position]
        if number >= len(self.order.get(label, ())):
            return SyntheticRow(row, None, label, None, None, None, (), None, EXHAUSTED)
        return _copy(material, row, material.further[self.order[label][number]])


@lru_cache(maxsize=2)
def shuffled(seed: int, turn: int, count: int) -> Sequence[int]:
    """Return the order of the real rows in a round. It is the same for all its rows, and long for many."""
    order = list(range(count))
    child_generator(seed, ("duplicate", turn)).shuffle(order)
    return order


@AUGMENTERS.register("none")
def build_none(settings: Mapping[str, Any], material: Material) -> Augmenter:  # noqa: ARG001 - it has none
    """Make the control without synthetic rows."""
    return Control(material, 0.0, duplicate)


@AUGMENTERS.register("duplicate")
def build_duplicate(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the control that repeats real rows: as many rows and steps, and nothing new."""
    return Control(material, settings["multiplier"], duplicate)


@AUGMENTERS.register("shuffle")
def build_shuffle(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the control that repeats real rows with wrong labels: the lower bound.

    Raises:
        AugmentError: If there is no wrong label.
    """
    if len(material.task.labels) < 2:
        raise AugmentError("shuffle gives wrong labels, and the dataset has only one label; leave it out")
    return Control(material, settings["multiplier"], mislabel)


@AUGMENTERS.register("real")
def build_real(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the control of further real rows: the upper bound of what as many synthetic ones can give."""
    places: dict[str, list[int]] = {}
    for place, example in enumerate(material.further):
        places.setdefault(example.label, []).append(place)
    for label, those in places.items():
        child_generator(material.seed, ("real", label)).shuffle(those)
    before, counts = [], Counter[str]()
    for example in material.examples:
        before.append(counts[example.label])
        counts[example.label] += 1
    return Control(material, settings["multiplier"], FurtherRows(places, before, counts))


def _copy(material: Material, row: int, example: Example) -> SyntheticRow:
    return SyntheticRow(
        index=row,
        text=example.text,
        label=example.label,
        soft_label=one_hot(example.label, material.task.labels),
        label_source="real",
        label_mass=1.0,
        source_ids=(example.id,),
        request_key=None,
        reason=None,
    )
