"""Texts of a label that is asked for, with or without examples of it.

Without examples as ZeroGen (Ye et al. 2022, arXiv 2202.07922); of several candidates the most probable is kept, as
SuperGen (Meng et al. 2022, arXiv 2202.04538) keeps the most probable of many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.desk import Desk
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.lexicon import check_words
from hypermix.augment.reader import LineReader, NumberedReader, Reader
from hypermix.augment.sampling import Sampler
from hypermix.augment.template import label_in_turn
from hypermix.augment.texts import Failure, Plain, Texts, Wanted, check_candidates, packaged_template


@dataclass(frozen=True)
class EachLabel(Plain):
    """Composes a call for each label in turn, with examples of that label."""

    sampler: Sampler

    def compose(self, desk: Desk, call: Slot) -> Dialogue[Wanted | Failure]:
        """Take the label whose turn it is, and draw examples of it."""
        yield from ()
        label = label_in_turn(desk, call)
        shown = self.sampler.pick(call, label)
        return Wanted({"examples": desk.show(shown), "label": desk.show_label(label)}, shown, label, "asked")


def quotation_reader(desk: Desk) -> Reader:
    """Return the reader of a list, or of one text, whose quotation a prompt to go on with opens."""
    count = desk.settings["per_call"]
    return NumberedReader(count) if count > 1 else LineReader(quoted=not desk.abilities.chat)


@AUGMENTERS.register("conditional")
def build_conditional(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter that asks for texts of a label.

    Raises:
        AugmentError: If two labels share a word, a label has too few rows to show, or the most probable text is wanted
            and nothing tells it.
    """
    desk = Desk(material, settings)
    check_words(material.task, chat=True)
    check_candidates(desk)
    reader = quotation_reader(desk)
    sampler = Sampler(material, settings["examples"], settings["sampling"])
    sampler.check(material.task.labels)
    return Texts(desk, EachLabel(sampler), packaged_template("conditional"), reader)
