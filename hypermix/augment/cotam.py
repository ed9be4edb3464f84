"""A row's label flipped in three steps of thought: CoTAM (Peng et al. 2024, arXiv 2307.07099)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.desk import Desk
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.lexicon import check_words
from hypermix.augment.reader import StepReader
from hypermix.augment.sampling import in_turn
from hypermix.augment.texts import Failure, Plain, Texts, Wanted, packaged_template
from hypermix.errors import AugmentError

_LAST_STEP = 3


@dataclass(frozen=True)
class EachFlip(Plain):
    """Composes a call for each row and each label that it has not, in turn."""

    def compose(self, desk: Desk, call: Slot) -> Dialogue[Wanted | Failure]:
        """Take the row and the label whose turn it is."""
        yield from ()
        examples, labels = desk.material.examples, desk.task.labels
        pair = in_turn(desk.material.seed, "flips", len(examples) * (len(labels) - 1), call.row)
        place, flip = divmod(pair, len(labels) - 1)
        example = examples[place]
        target = [label for label in labels if label != example.label][flip]
        values = {"example": desk.show([example])[0], "label": desk.show_label(target)}
        return Wanted(values, [example], target, "asked")


@AUGMENTERS.register("cotam")
def build_cotam(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter that flips labels.

    Raises:
        AugmentError: If there is no other label, or two share a word.
    """
    check_words(material.task, chat=True)
    if len(material.task.labels) < 2:
        raise AugmentError("cotam gives a row another label, and the dataset has only one; leave it out")
    return Texts(Desk(material, settings), EachFlip(), packaged_template("cotam"), StepReader(_LAST_STEP))
