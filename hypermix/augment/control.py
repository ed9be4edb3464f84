"""The controls: what a gain is held against. They ask nobody, and nothing that they make is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Offline, count_rows, one_hot
from hypermix.errors import AugmentError
from hypermix.records import Example, SyntheticRow
from hypermix.seeding import child_generator

EXHAUSTED = "no further row"
"""Why a row of the control `real` is missing: train has no more rows of its label."""

_Pick = Callable[[Material, int], SyntheticRow]
"""Returns the synthetic row that stands at a place of a draw."""


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
    return _control(material, 0.0, duplicate)


@AUGMENTERS.register("duplicate")
def build_duplicate(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the control that repeats real rows: as many rows and steps, and nothing new."""
    return _control(material, settings["multiplier"], duplicate)


@AUGMENTERS.register("shuffle")
def build_shuffle(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the control that repeats real rows with wrong labels: the lower bound.

    Raises:
        AugmentError: If there is no wrong label.
    """
    if len(material.task.labels) < 2:
        raise AugmentError("shuffle gives wrong labels, and the dataset has only one label; leave it out")
    return _control(material, settings["multiplier"], mislabel)


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
    return _control(material, settings["multiplier"], FurtherRows(places, before, counts))


def _control(material: Material, multiplier: float, pick: _Pick) -> Augmenter:
    """Make an augmenter of rows that are picked and not made, so that none is tried twice."""
    return Offline(count_rows(len(material.examples), multiplier), 1, lambda slot: pick(material, slot.row))


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
