"""Texts with attributes that are drawn: AttrPrompt (Yu et al. 2023, arXiv 2306.15895).

The values of an attribute are asked once for each label of a dataset: all draws that the model answers share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.conditional import quotation_reader
from hypermix.augment.desk import Asked, Desk, cut
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.lexicon import check_words
from hypermix.augment.reader import NumberedReader
from hypermix.augment.template import label_in_turn
from hypermix.augment.texts import Failure, Texts, Wanted, packaged_template
from hypermix.records import Completion, Example, Request
from hypermix.seeding import child_generator

NO_VALUES = "no attribute values"
_TRIES = 3
"""How often the values of an attribute are asked for until there are two."""

_VALUE_TOKENS = 20
_LONGEST_VALUE = 200
"""Characters: what is longer is no value."""


@dataclass(frozen=True)
class DrawnAttributes:
    """Composes a call for each label in turn, with a value of each attribute.

    Attributes:
        given: The values of each attribute; none where they are asked for.
        count: How many are asked for.
    """

    given: Mapping[str, Sequence[str]]
    count: int

    @property
    def most_requests(self) -> int:
        """One a try for each attribute whose values are asked for."""
        return _TRIES * self.usual_requests

    @property
    def usual_requests(self) -> int:
        """One for each of these attributes."""
        return sum(not values for values in self.given.values())

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - values are short whatever the row is
        """Return a list of values."""
        return "\n".join(f"{number}. value {number}" for number in range(1, self.count + 1))

    def compose(self, desk: Desk, call: Slot) -> Dialogue[Wanted | Failure]:
        """Ask for the values that are not given, and draw one of each attribute."""
        label = label_in_turn(desk, call)
        values, key = dict(self.given), ""
        for attempt in range(_TRIES):
            open_names = [name for name, found in values.items() if not found]
            if not open_names:
                break
            answers = yield [self._ask(desk, label, name, attempt) for name in open_names]
            key = answers[0].key
            values |= {name: self._read(desk, answer) for name, answer in zip(open_names, answers, strict=True)}
        if not all(values.values()):
            return Failure(NO_VALUES, key)
        generator = child_generator(desk.material.seed, ("attributed", *call))
        drawn = {name: generator.choice(list(found)) for name, found in values.items()}
        return Wanted({"label": desk.show_label(label), "attributes": drawn}, (), label, "asked")

    def _ask(self, desk: Desk, label: str, name: str, attempt: int) -> Request:
        """Ask for values: in the same way whatever the seed of the draw, so that they are paid for once."""
        values = {"label": desk.show_label(label), "attribute": name, "count": self.count}
        prompt = desk.render(packaged_template("attributes"), values)
        asked = Asked(prompt, self._stop(desk), _VALUE_TOKENS * self.count, {})
        place = ("values", desk.task.labels.index(label), [*self.given].index(name), attempt)
        return replace(desk, material=replace(desk.material, seed=0)).ask(asked, place, shared=True)

    def _stop(self, desk: Desk) -> Sequence[str]:
        return () if desk.abilities.chat else NumberedReader(self.count).stop

    def _read(self, desk: Desk, answer: Completion) -> list[str]:
        """Read at least two values; one would be the same for all rows."""
        prompt = "" if desk.abilities.chat else "1."
        items = NumberedReader(self.count).read(cut(answer.text, self._stop(desk)), prompt)
        found: dict[str, str] = {}
        for item in items:
            if item.text and len(item.text) <= _LONGEST_VALUE:
                found.setdefault(item.text.casefold(), item.text)
        return list(found.values()) if len(found) > 1 else []


@AUGMENTERS.register("attributed")
def build_attributed(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter that asks for texts with attributes.

    Raises:
        AugmentError: If two labels share a word.
    """
    check_words(material.task, chat=True)
    composer = DrawnAttributes(settings["attributes"], settings["values"])
    desk = Desk(material, settings)
    return Texts(desk, composer, packaged_template("attributed"), quotation_reader(desk))
