"""The method `custom`: an augmenter of another package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypermix.augment.base import AUGMENTERS, Around, Augmenter, Material, Slot
from hypermix.augment.dialogue import Dialogue
from hypermix.errors import AugmentError
from hypermix.plugins import load_plugin
from hypermix.records import Example, SyntheticRow

_NEEDED = ("n_rows", "attempts", "most_requests", "rehearse", "talk")
_TOLERANCE = 1e-3  # probabilities often come from float16 or float32


@dataclass(frozen=True)
class Checked(Around):
    """An augmenter whose rows are checked, so that a mistake in it is told before a classifier meets it.

    Attributes:
        name: That of its entry point.
        labels: The labels of the dataset, in label order.
    """

    name: str
    labels: Sequence[str]

    @property
    def most_requests(self) -> int:
        """Those of the augmenter."""
        return self.inner.most_requests

    def rehearse(self, example: Example, turn: int) -> str:
        """Return what the augmenter says."""
        return self.inner.rehearse(example, turn)

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Make a row, and check it if it is kept.

        Raises:
            AugmentError: If something of it is missing or impossible.
        """
        row = yield from self.inner.talk(slot)
        faults = [*_find_faults(row, slot, self.labels)]
        if faults:
            raise AugmentError(
                f"the augmenter {self.name!r} made row {slot.row} with {'; '.join(faults)}; ask its makers"
            )
        # No file holds half of a surrogate pair.
        return row if row.text is None else replace(row, text=row.text.encode("utf-8", "replace").decode("utf-8"))


def _find_faults(row: SyntheticRow, slot: Slot, labels: Sequence[str]) -> Iterator[str]:
    if row.index != slot.row:
        yield f"the index {row.index}"
    if not row.kept:
        return
    if not isinstance(row.text, str):
        yield f"the text {row.text!r}, it must be a string"
    if row.label not in labels:
        yield f"the label {row.label!r}, it must be one of {list(labels)}"
    shares = row.soft_label
    if shares is None or len(shares) != len(labels):
        yield f"the soft label {shares!r}, it must hold {len(labels)} probabilities in label order"
    elif not (all(share >= 0 for share in shares) and abs(sum(shares) - 1) <= _TOLERANCE):
        yield f"the soft label {shares!r}, which must not be negative and must sum to 1"
    if not isinstance(row.label_source, str):
        yield f"the label source {row.label_source!r}, it must be a string"


@AUGMENTERS.register("custom")
def build_custom(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make an augmenter by the factory of another package, which gets its own settings and the material.

    Raises:
        AugmentError: If no installed package has it, or what it makes is no augmenter.
    """
    name = settings["name"]
    made: Augmenter = load_plugin(name)(settings["settings"], material)
    lacking = [part for part in _NEEDED if not hasattr(made, part)]
    if lacking:
        raise AugmentError(
            f"the augmenter {name!r} lacks {', '.join(lacking)} of hypermix.augment.base.Augmenter; ask its makers"
        )
    return Checked(made, name, material.task.labels)
