"""Rows that are asked for by a template: what its methods have in common.

A method says how a call is composed (`Composer`), in which words (a template) and how its answer is read (a reader).
A call may give several texts. Then each of their rows asks the same, and takes its own part of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Protocol

from hypermix.augment.base import Slot, one_hot
from hypermix.augment.desk import Asked, Desk, cut, tell_end
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.form import response_format
from hypermix.augment.parse import Parsed
from hypermix.augment.reader import NO_ITEM, Reader
from hypermix.augment.score import MISSING
from hypermix.errors import AugmentError
from hypermix.records import Choice, Completion, Example, Request, SyntheticRow
from hypermix.templates import Prompt


@dataclass(frozen=True)
class Wanted:
    """What a call asks for.

    Attributes:
        values: What the template gets beside what all get.
        shown: The rows that its texts are made from.
        label: The label of its texts; None if it is written with each.
        label_source: How the label is had: ``hard`` (written), ``asked``, ``example``.
    """

    values: Mapping[str, Any]
    shown: Sequence[Example]
    label: str | None
    label_source: str


@dataclass(frozen=True)
class Failure:
    """Why a call cannot be composed.

    Attributes:
        reason: Why its rows are not used.
        key: The stored answer that is to blame.
    """

    reason: str
    key: str


class Composer(Protocol):
    """Composes a call; what it needs to know for that it may ask first."""

    @property
    def most_requests(self) -> int:
        """The most requests before that of the texts."""

    @property
    def usual_requests(self) -> int:
        """Those that there are if each answer can be used."""

    def rehearse(self, example: Example, turn: int) -> str:
        """Return an answer to one of those requests, for a row like this one."""

    def compose(self, desk: Desk, call: Slot) -> Dialogue[Wanted | Failure]:
        """Compose a call, which is a slot like that of a row."""


class Plain:
    """The part of a composer that asks nothing before."""

    @property
    def most_requests(self) -> int:
        """None."""
        return 0

    @property
    def usual_requests(self) -> int:
        """None."""
        return 0

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - nothing is asked
        """Return the text."""
        return example.text


@dataclass(frozen=True)
class Texts:
    """An augmenter whose rows are asked for by a template.

    Attributes:
        desk: Writes requests.
        composer: Composes calls.
        template: The words.
        reader: Reads answers.
    """

    desk: Desk
    composer: Composer
    template: str
    reader: Reader

    @property
    def n_rows(self) -> int:
        """The multiple of the real rows, rounded."""
        return self.desk.n_rows

    @property
    def attempts(self) -> int:
        """How often a row is tried."""
        return self.desk.attempts

    @property
    def most_requests(self) -> int:
        """Those before the texts, and one for each text to choose from."""
        return self.composer.most_requests + (1 if self.desk.abilities.n else self._candidates)

    def rehearse(self, example: Example, turn: int) -> str:
        """Return an answer in the form that is wanted."""
        if turn < self.composer.usual_requests:
            return self.composer.rehearse(example, turn)
        return self.reader.write(example, self._per_call)

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Compose the call of a row, ask it, and take the row's part of the answer.

        Raises:
            AugmentError: If the template cannot be filled in, or there are too few rows to show.
        """
        # With each try a row takes another part: an answer that lacks one mostly lacks the last.
        number, part = divmod(slot.row, self._per_call)
        call, part = Slot(number, slot.attempt), (part - slot.attempt) % self._per_call
        wanted = yield from self.composer.compose(self.desk, call)
        if isinstance(wanted, Failure):
            return SyntheticRow(slot.row, None, None, None, None, None, (), wanted.key, wanted.reason)
        prompt = self.desk.render(self.template, {"count": self._per_call, **wanted.values})
        answers = yield self._requests(prompt, call)
        item, key = self._choose(answers, prompt, part)
        label = wanted.label or item.label
        usable = item.reason is None and label is not None
        return SyntheticRow(
            index=slot.row,
            text=item.text,
            label=label,
            soft_label=one_hot(label, self.desk.task.labels) if usable and label else None,
            label_source=wanted.label_source if usable else None,
            label_mass=1.0 if usable else None,
            source_ids=tuple(example.id for example in wanted.shown),
            request_key=key,
            reason=item.reason,
        )

    @property
    def _per_call(self) -> int:
        return int(self.desk.settings.get("per_call", 1))

    @property
    def _candidates(self) -> int:
        return int(self.desk.settings.get("candidates", 1))

    @property
    def _stop(self) -> Sequence[str]:
        chosen = self.desk.settings.get("stop")
        if chosen is not None:
            return tuple(chosen)
        return () if self.desk.abilities.chat else self.reader.stop

    def _requests(self, prompt: Prompt, call: Slot) -> list[Request]:
        more: dict[str, Any] = {}
        if self._candidates > 1:
            more = {"logprobs": True} if self.desk.abilities.chat else {"logprobs": 1}
            if self.desk.abilities.n:
                more["n"] = self._candidates
        schema = self.reader.schema(self._per_call) if self.desk.abilities.structured else None
        if schema is not None and self.desk.abilities.chat:
            more["response_format"] = response_format(schema)
        asked = Asked(prompt, self._stop, self.desk.settings["max_tokens"] * self._per_call, more)
        shared = self._per_call > 1
        if self._candidates == 1 or "n" in more:
            return [self.desk.ask(asked, call, shared=shared)]
        return [self.desk.ask(asked, (*call, number)) for number in range(self._candidates)]

    def _choose(self, answers: Sequence[Completion], prompt: Prompt, part: int) -> tuple[Parsed, str]:
        """Return the item that a row is made of, the most probable one of several, and its answer's key."""
        found = [
            (self._read(choice, prompt, part), answer.key, _mean_logprob(choice))
            for answer in answers
            for choice in answer.choices
        ]
        usable = [one for one in found if one[0].reason is None]
        if not usable or len(found) == 1:
            return found[0][:2]
        item, key, score = max(usable, key=lambda one: one[2])
        return (item, key) if score > -math.inf else (Parsed(item.text, item.label, None, MISSING), key)

    def _read(self, choice: Choice, prompt: Prompt, part: int) -> Parsed:
        answer = cut(choice.text, self._stop)
        begun = "" if self.desk.abilities.chat else prompt.text
        items = self.reader.read(answer, begun)
        ended = tell_end(choice)
        # What would be another text with one more letter is not finished.
        if (
            ended in {"cut off", "filtered"}
            and answer == choice.text
            and items != self.reader.read(f"{answer}x", begun)
        ):
            items = items[:-1]
        if ended == "refused" or part >= len(items):
            return Parsed(None, None, None, ended or NO_ITEM)
        return items[part]


def check_candidates(desk: Desk) -> None:
    """Refuse to choose between texts where nothing tells how probable they are.

    Raises:
        AugmentError: If the endpoint tells no log-probabilities.
    """
    if desk.settings.get("candidates", 1) > 1 and not desk.abilities.logprobs:
        raise AugmentError(
            "candidates: the most probable text is kept, and the endpoint tells no log-probabilities; set candidates: 1"
        )


@cache
def packaged_template(name: str) -> str:
    """Return the words of a method that comes with the library."""
    folder = resources.files("hypermix.augment").joinpath("templates")
    return folder.joinpath(f"{name}.jinja").read_text(encoding="utf-8")


def _mean_logprob(choice: Choice) -> float:
    known = [token.logprob for token in choice.tokens if not math.isnan(token.logprob)]
    return math.fsum(known) / len(known) if known else -math.inf
