"""Texts translated into another language and back (Sennrich et al. 2016; as augmentation Yu et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypermix.augment.backtranslate_llm import TRANSLATIONS, translate_by_llm
from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.derived import Source, derive, make_row, source_of
from hypermix.augment.desk import Desk
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.reader import LineReader
from hypermix.errors import AugmentError
from hypermix.records import Example, SyntheticRow
from hypermix.seeding import child_seed


@AUGMENTERS.register("backtranslate")
def build_backtranslate(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter.

    Args:
        settings: ``multiplier``, ``attempts`` and ``by``: ``marian``, or ``llm`` with the names of ``language`` and
            ``pivot`` and what is sampled with.
        material: With ``marian`` its tools translate.

    Raises:
        AugmentError: If nothing translates.
    """
    if settings["by"] == "llm":
        return ByLlm(Desk(material, settings))
    translate = material.tools.translate
    if translate is None:
        raise AugmentError("backtranslate asks translation models, and none are at hand; give the material its tools")

    def change(source: Source, slot: Slot) -> str | None:
        return translate(source.example.text, child_seed(material.seed, ("backtranslate", *slot), bits=63)) or None

    return derive(material, settings, change)


@dataclass(frozen=True)
class ByLlm:
    """Asks a language model for both translations.

    Attributes:
        desk: Writes requests.
        most_requests: There and back.
    """

    desk: Desk
    most_requests: int = TRANSLATIONS

    @property
    def n_rows(self) -> int:
        """The multiple of the real rows, rounded."""
        return self.desk.n_rows

    @property
    def attempts(self) -> int:
        """How often a row is tried, each time from the same real row."""
        return self.desk.attempts

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - both translations are of one length
        """Return the text in a line."""
        return LineReader().write(example, 1)

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Ask for a translation of the row whose turn it is, and for that back."""
        material, settings = self.desk.material, self.desk.settings
        example = source_of(material, slot.row).example
        found = yield from translate_by_llm(self.desk, example.text, settings["pivot"], settings["language"], slot)
        row = make_row(material, slot, example, found.text, found.key)
        return row if found.reason is None else replace(row, reason=found.reason)
