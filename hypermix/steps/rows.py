"""The talks with a language model that make the rows of one draw."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol

from hypermix.augment.base import Augmenter, Slot
from hypermix.augment.dialogue import Ended, resume
from hypermix.augment.relabel import OTHERWISE
from hypermix.errors import AugmentError
from hypermix.llm.client import Client
from hypermix.records import Completion, Request, SyntheticRow

_LOG = logging.getLogger(__name__)
_PROGRESS_SECONDS = 10.0
_SHOWN_ANSWERS = 3
_SHOWN_CHARACTERS = 300
_ENOUGH_TO_GIVE_UP = 10
"""Answers after which asking on is a waste if none of them could be used."""


class Sieve(Protocol):
    """Tells which rows are not trained on. Of the tries at a row, one at a time waits or is kept."""

    def judge(self, row: SyntheticRow) -> str | None:
        """Return why a row is refused by itself, whatever the others are; None if it is not."""

    def compare(self, row: SyntheticRow) -> str | None:
        """Return why a row is refused beside the rows that were kept so far; None if it is not."""

    def wait(self, row: SyntheticRow) -> None:
        """Take a row that nothing speaks against among those that wait until the rows before them are settled."""

    def keep(self, row: SyntheticRow) -> Mapping[int, str]:
        """Take a row, waiting or not, among those that others are compared with.

        Returns:
            Why it speaks against rows that wait, by their indexes; they wait no longer.
        """


@dataclass(frozen=True)
class Draw:
    """What one draw made.

    Attributes:
        rows: All rows by slot, those that are not kept too.
        discarded: Answers that no kept row is made from.
    """

    rows: list[SyntheticRow]
    discarded: int = 0


@dataclass
class _Talk:
    """What was asked and answered for one slot; an answer is None until it comes."""

    answers: list[Completion | None] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return None not in self.answers

    def so_far(self) -> list[Completion]:
        return [answer for answer in self.answers if answer is not None]


@dataclass(frozen=True)
class _Candidate:
    """A row that is kept unless one before it speaks against it.

    Attributes:
        slot: Which try at which row it is.
        row: The row.
    """

    slot: Slot
    row: SyntheticRow


@dataclass(frozen=True)
class _Refused:
    """A first try at a row that is refused by itself, whatever the others are.

    Attributes:
        row: The row.
        answer: The answer that it is made from.
        filtered: Whether the sieve refused it, or its new label.
    """

    row: SyntheticRow
    answer: Completion
    filtered: bool


class Rows:
    """Makes the rows of one draw: asks for every row, and again for those that cannot be used.

    A row is compared with the kept rows before it alone, so that a larger draw begins with the rows of a smaller one.
    Rows are asked for all at once all the same: one that stands waits until those before it are settled.

    Args:
        augmenter: Plans requests and harvests rows.
        sieve: Refuses rows; None keeps all that the augmenter can use.
        client: Who is asked; None if the augmenter asks nobody.
    """

    def __init__(self, augmenter: Augmenter, sieve: Sieve | None, client: Client | None) -> None:
        self._augmenter = augmenter
        self._sieve = sieve
        self._client = client
        self._waiting: deque[Slot] = deque()
        self._talks: dict[Slot, _Talk] = {}
        self._shared = _Shared()
        self._made: dict[Slot, SyntheticRow] = {}
        self._keys: dict[Slot, tuple[str, ...]] = {}
        self._standing: dict[int, _Candidate] = {}
        self._given_up: set[int] = set()
        self._settled = self._kept = 0
        self._unusable: dict[int, _Refused] = {}
        self._useless: set[str] = set()
        """The answers that the first rows were made from at their first tries, as long as none can be used."""
        self._n_useless = 0

    def make(self) -> Draw:
        """Return the rows, which depend on the arguments and the answers alone, and not on the order of the answers.

        Raises:
            AugmentError: If there are answers and none can be used.
            LlmError: If there is no answer. What was answered is stored.
        """
        wanted = self._augmenter.n_rows
        self._waiting.extend(Slot(row, 0) for row in range(wanted))
        progress = _Progress(wanted)
        while self._waiting or self._talks:
            while self._waiting and (not self._talks or (self._client is not None and self._client.room)):
                self._go_on(self._waiting.popleft(), _Talk())
            if self._client is not None and self._talks:
                self._hear(self._client)
                progress.tell(len(self._made), self._kept + len(self._standing))
        self._refuse_hopeless()
        rows = [self._made[slot] for slot in sorted(self._made)]
        of_kept = {key for slot, row in self._made.items() if row.kept for key in self._keys[slot]}
        asked = {key for keys in self._keys.values() for key in keys}
        return Draw(rows, len(asked - of_kept))

    def _hear(self, client: Client) -> None:
        tag, completion = client.take()
        for slot, position in self._shared.give(tag, completion):
            talk = self._talks[slot]
            talk.answers[position] = completion
            if talk.complete:
                self._go_on(slot, talk)

    def _go_on(self, slot: Slot, talk: _Talk) -> None:
        """Ask what is to be asked next for a slot, or make its row."""
        while talk.complete:
            answers = talk.so_far()
            step = resume(self._augmenter.talk(slot), answers)
            if isinstance(step, Ended):
                self._talks.pop(slot, None)
                self._take(slot, step.found, answers)
                return
            if self._client is None:
                raise AugmentError("the augmenter asks a language model, and the config names none; set its llm")
            self._talks[slot] = talk
            for request in step:
                talk.answers.append(self._ask(self._client, slot, len(talk.answers), request))

    def _ask(self, client: Client, slot: Slot, position: int, request: Request) -> Completion | None:
        """Ask, unless another slot asked the same; return the answer if it is known."""
        question = client.llm.question(request)
        tag = question.key if request.shared else (slot, position)
        known = self._shared.find(tag, slot, position)
        if not known.asked:
            client.submit_question(tag, question)
        return known.answer

    def _take(self, slot: Slot, row: SyntheticRow, answers: Sequence[Completion]) -> None:
        """Take what a slot made: a row that stands until the rows before it are settled, or another try."""
        self._keys[slot] = tuple(answer.key for answer in answers)
        judged = None if self._sieve is None or not row.kept else self._sieve.judge(row)
        if judged is not None:
            row = replace(row, reason=judged)
        if row.reason is not None and slot.attempt == 0 and answers:
            blamed = next((answer for answer in answers if answer.key == row.request_key), answers[0])
            self._unusable[slot.row] = _Refused(row, blamed, judged is not None or row.reason == OTHERWISE)
            self._give_up_early()
        elif row.kept and self._sieve is not None:
            row = replace(row, reason=self._sieve.compare(row))
        self._made[slot] = row
        if row.kept:
            self._standing[slot.row] = _Candidate(slot, row)
            if self._sieve is not None and slot.row != self._settled:
                self._sieve.wait(row)
        else:
            self._try_again(slot)
        self._settle()

    def _give_up_early(self) -> None:
        """Fail once enough answers are useless: those of the first rows, not those that came first.

        So a replay in another order ends alike. Several rows may be made from one answer.
        """
        while (refused := self._unusable.get(self._n_useless)) is not None:
            self._useless.add(refused.answer.key)
            self._n_useless += 1
            if len(self._useless) == _ENOUGH_TO_GIVE_UP:
                self._fail(_ENOUGH_TO_GIVE_UP)

    def _try_again(self, slot: Slot) -> None:
        if slot.attempt + 1 < self._augmenter.attempts:
            self._waiting.append(Slot(slot.row, slot.attempt + 1))
        else:
            self._given_up.add(slot.row)

    def _settle(self) -> None:
        """Keep rows in their order, as far as all before are settled; those that one speaks against are tried again."""
        while self._settled in self._standing or self._settled in self._given_up:
            candidate = self._standing.pop(self._settled, None)
            if candidate is not None:
                self._kept += 1
                if self._sieve is not None:
                    self._refuse(self._sieve.keep(candidate.row))
            self._settled += 1

    def _refuse(self, reasons: Mapping[int, str]) -> None:
        for row, reason in sorted(reasons.items()):
            candidate = self._standing.pop(row)
            self._made[candidate.slot] = replace(candidate.row, reason=reason)
            self._try_again(candidate.slot)

    def _refuse_hopeless(self) -> None:
        """Fail if there are answers and none can be used; rows are kept or there is nothing to train on."""
        if any(self._keys.values()) and not self._kept:
            self._fail(len(self._made))

    def _fail(self, count: int) -> NoReturn:
        first = [self._unusable[row] for row in sorted(self._unusable)]
        told = {one.answer.key: f"  {one.answer.text[:_SHOWN_CHARACTERS]!r} ({one.row.reason})" for one in first}
        shown = list(told.values())[:_SHOWN_ANSWERS]
        if all(one.row.reason == "cut off" for one in first):
            advice = "raise the augmenter's max_tokens"
        elif all(one.filtered for one in first):
            advice = "loosen the augmenter's filters, or try more examples or another model"
        else:
            advice = "try more examples, another model, or plainer label words"
        advice += "; stored answers cost nothing again"
        raise AugmentError("\n".join([f"none of {count} answers can be used; the first are", *shown, advice]))


@dataclass(frozen=True)
class _Known:
    """What is known of a question: whether it was asked, and its answer if it is there and shared."""

    asked: bool
    answer: Completion | None = None


class _Shared:
    """Who waits for which question, and the answers that several slots are made from."""

    def __init__(self) -> None:
        self._waiting: dict[object, list[tuple[Slot, int]]] = {}
        self._answers: dict[object, Completion] = {}

    def find(self, tag: object, slot: Slot, position: int) -> _Known:
        """Let a slot wait for a question, unless it is answered."""
        if tag in self._answers:
            return _Known(True, self._answers[tag])
        waiting = self._waiting.setdefault(tag, [])
        waiting.append((slot, position))
        return _Known(len(waiting) > 1)

    def give(self, tag: object, completion: Completion) -> list[tuple[Slot, int]]:
        """Return who waits for an answer; one to a shared question is kept for those to come."""
        if isinstance(tag, str):
            self._answers[tag] = completion
        return self._waiting.pop(tag)


class _Progress:
    """Tells rows done, rate and usable share, at most every few seconds."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._started = self._told = time.perf_counter()

    def tell(self, made: int, kept: int) -> None:
        now = time.perf_counter()
        if made and (now - self._told >= _PROGRESS_SECONDS or kept == self._wanted):
            self._told = now
            rate = 60 * made / max(now - self._started, 1e-9)
            share = kept / made
            _LOG.info("%d of %d rows, %.0f answers a minute, %.0f %% usable", kept, self._wanted, rate, 100 * share)
