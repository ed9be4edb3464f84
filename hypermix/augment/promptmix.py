"""Texts between two labels: PromptMix (Sahu et al. 2023, arXiv 2310.14192).

A text is asked to be of one label to a share above one half and of another one to the rest. Such texts are near the
boundary, and which side they are on is not sure: the method takes the label of the larger share, and is meant to be
relabeled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.desk import Desk, refuse_labels
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.lexicon import check_words
from hypermix.augment.reader import NumberedReader
from hypermix.augment.template import label_in_turn
from hypermix.augment.texts import Failure, Plain, Texts, Wanted, packaged_template
from hypermix.errors import AugmentError
from hypermix.records import Example
from hypermix.seeding import child_generator

_STEP = 5
"""Shares are multiples of it, in percent."""


@dataclass(frozen=True)
class TwoLabels(Plain):
    """Composes a call for each label in turn, mixed with another one."""

    def compose(self, desk: Desk, call: Slot) -> Dialogue[Wanted | Failure]:
        """Draw the other label, the shares and the examples of all labels.

        Raises:
            AugmentError: If a description is of no label.
        """
        yield from ()
        refuse_labels([*desk.settings["descriptions"]], desk.task, "descriptions")
        label, labels = label_in_turn(desk, call), desk.task.labels
        generator = child_generator(desk.material.seed, ("promptmix", *call))
        other = generator.choice([one for one in labels if one != label])
        share = mixing_share(generator.betavariate(5.0, 2.0))
        shown: dict[str, list[Example]] = {}
        for one in labels:
            rows = [example for example in desk.material.examples if example.label == one]
            shown[one] = generator.sample(rows, min(desk.settings["examples"], len(rows)))
        values = {
            "classes": [
                {
                    "label": desk.show_label(one),
                    "description": desk.settings["descriptions"].get(one, ""),
                    "examples": desk.show(shown[one]),
                }
                for one in labels
            ],
            "label": desk.show_label(label),
            "other": desk.show_label(other),
            "share": share,
            "rest": 100 - share,
        }
        return Wanted(values, [example for rows in shown.values() for example in rows], label, "asked")


def mixing_share(beta: float) -> int:
    """Return the share of the first label in percent, 50 to 95, for a draw from a Beta distribution."""
    return min(_STEP * round((50.0 + 50.0 * beta) / _STEP), 100 - _STEP)


@AUGMENTERS.register("promptmix")
def build_promptmix(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter that mixes labels.

    Raises:
        AugmentError: If there are no two labels, or two share a word.
    """
    check_words(material.task, chat=True)
    if len(material.task.labels) < 2:
        raise AugmentError("promptmix mixes two labels, and the dataset has only one; leave it out")
    reader = NumberedReader(settings["per_call"])
    return Texts(Desk(material, settings), TwoLabels(), packaged_template("promptmix"), reader)
