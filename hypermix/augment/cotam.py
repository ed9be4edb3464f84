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
        AugmentError: If there is no other label, two share a word, or at temperature 0 more rows are wanted than there
            are questions.
    """
    check_words(material.task, chat=True)
    others = len(material.task.labels) - 1
    if others < 1:
        raise AugmentError("cotam gives a row another label, and the dataset has only one; leave it out")
    desk = Desk(material, settings)
    if material.examples and settings["temperature"] == 0 and desk.n_rows > others * len(material.examples):
        raise AugmentError(
            f"cotam flips a row to each of {others} other labels, and at temperature 0 a question is answered alike "
            f"each time: multiplier may be up to {others}, it is {settings['multiplier']:g}; lower it or raise the "
            "temperature"
        )
    return Texts(desk, EachFlip(), packaged_template("cotam"), StepReader(_LAST_STEP))
