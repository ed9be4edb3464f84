"""The method `template`: an augmenter from the config alone. GPT3Mix is one, but for its soft labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.desk import Desk
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.lexicon import check_words
from hypermix.augment.reader import LineReader, NumberedReader, ObjectReader, PatternReader, Reader
from hypermix.augment.sampling import Sampler, in_turn
from hypermix.augment.texts import Failure, Plain, Texts, Wanted


@dataclass(frozen=True)
class FromSettings(Plain):
    """Composes calls as the settings of a template say."""

    sampler: Sampler

    def compose(self, desk: Desk, call: Slot) -> Dialogue[Wanted | Failure]:
        """Draw rows, and a label if one is asked for."""
        yield from ()
        material, settings = desk.material, desk.settings
        if settings["label"] == "example":
            place = in_turn(material.seed, "rows", len(material.examples), call.row)
            example = material.examples[place]
            values = {"examples": desk.show([example]), "label": desk.show_label(example.label)}
            return Wanted(values, [example], example.label, "example")
        if settings["label"] == "written":
            shown = self.sampler.pick(call)
            return Wanted({"examples": desk.show(shown)}, shown, None, "hard")
        label = label_in_turn(desk, call)
        shown = self.sampler.pick(call, label if settings["examples_of"] == "asked" else None)
        return Wanted({"examples": desk.show(shown), "label": desk.show_label(label)}, shown, label, "asked")


@AUGMENTERS.register("template")
def build_template(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make an augmenter from a template; `settings["template"]` holds its text.

    Raises:
        AugmentError: If two labels share a word, or there are too few rows to show.
    """
    desk = Desk(material, settings)
    check_words(material.task, chat=True)
    sampler = Sampler(material, settings["examples"], settings["sampling"])
    sampler.check(material.task.labels if settings["examples_of"] == "asked" else (None,))
    return Texts(desk, FromSettings(sampler), settings["template"], _reader(desk))


def label_in_turn(desk: Desk, call: Slot) -> str:
    """Return the label that a call asks for: each once before any twice."""
    labels = desk.task.labels
    return labels[in_turn(desk.material.seed, "labels", len(labels), call.row)]


def _reader(desk: Desk) -> Reader:
    settings, task = desk.settings, desk.task
    if settings["parse"] == "line":
        return LineReader()
    if settings["parse"] == "numbered":
        return NumberedReader(settings["per_call"])
    if settings["parse"] == "json":
        return ObjectReader(
            task,
            settings["text_key"],
            settings["label_key"] if settings["label"] == "written" else None,
            settings["json_schema"],
        )
    return PatternReader(task, settings["pattern"])
