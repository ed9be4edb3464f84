"""Translation into another language and back by a language model: two calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypermix.augment.base import Slot
from hypermix.augment.desk import Asked, Desk, cut, tell_end
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.prompt import STOP
from hypermix.augment.reader import NO_ITEM, LineReader
from hypermix.augment.texts import packaged_template
from hypermix.templates import one_line

TRANSLATIONS = 2
"""Requests of a text that goes there and back."""


@dataclass(frozen=True)
class Translated:
    """What came back.

    Attributes:
        text: The text; None if there is none.
        key: The stored answer that it was read from.
        reason: Why it cannot be used; None if it can.
    """

    text: str | None
    key: str
    reason: str | None


def translate_by_llm(desk: Desk, text: str, pivot: str, language: str, slot: Slot) -> Dialogue[Translated]:
    """Translate a text into another language and back.

    Args:
        desk: Writes the requests; its settings have `max_tokens` and what is sampled with.
        text: The text; line breaks become spaces.
        pivot: The English name of the other language.
        language: The English name of the text's own.
        slot: Which try at which row.
    """
    there = yield from _translate(desk, text, (language, pivot), (*slot, "there"))
    if there.reason is not None or there.text is None:
        return there
    return (yield from _translate(desk, there.text, (pivot, language), (*slot, "back")))


def _translate(desk: Desk, text: str, way: tuple[str, str], place: Sequence[int | str]) -> Dialogue[Translated]:
    values = {"text": one_line(text), "source": way[0], "target": way[1]}
    prompt = desk.render(packaged_template("translate"), values)
    stop = () if desk.abilities.chat else (STOP,)
    (answer,) = yield [desk.ask(Asked(prompt, stop, desk.settings["max_tokens"], {}), place)]
    choice = answer.choices[0]
    items = LineReader().read(cut(choice.text, stop), "" if desk.abilities.chat else prompt.text)
    ended = tell_end(choice)
    if ended is not None or not items:
        return Translated(None, answer.key, ended or NO_ITEM)
    return Translated(items[0].text, answer.key, items[0].reason)
