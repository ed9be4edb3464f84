"""The talks with a language model that make the rows of one draw."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast

from hypermix.augment.base import Augmenter, Slot
from hypermix.errors import AugmentError
from hypermix.llm.client import Client
from hypermix.records import Completion, Example, SyntheticRow

_LOG = logging.getLogger(__name__)
_PROGRESS_SECONDS = 10.0
_SHOWN_ANSWERS = 3
_SHOWN_CHARACTERS = 300
_ENOUGH_TO_GIVE_UP = 10
"""Rows after which asking on is a waste if none of these could be used at its first try."""


@dataclass
class Draw:
    """What one draw made.

    Attributes:
        rows: All rows by slot, those that cannot be used too.
        asked: Answers behind all rows.
        discarded: Answers behind rows that cannot be used.
    """

    rows: list[SyntheticRow]
    asked: int = 0
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


class Rows:
    """Makes the rows of one draw: asks for every row, and again for those that cannot be used.

    Args:
        augmenter: Plans requests and harvests rows.
        examples: The rows of the subsample.
        seed: The data seed or trial seed of the draw.
        client: Who is asked; None if the augmenter asks nobody.
    """

    def __init__(self, augmenter: Augmenter, examples: Sequence[Example], seed: int, client: Client | None) -> None:
        self._augmenter = augmenter
        self._examples = examples
        self._seed = seed
        self._client = client
        self._waiting: deque[Slot] = deque()
        self._talks: dict[Slot, _Talk] = {}
        self._made: dict[Slot, SyntheticRow] = {}
        self._unusable: dict[Slot, tuple[str, str | None]] = {}
        self._draw = Draw([])
        self._kept = 0

    def make(self) -> Draw:
        """Return the rows, which depend on the arguments and the answers alone, and not on the order of the answers.

        Raises:
            AugmentError: If there are answers and none can be used.
            LlmError: If there is no answer. What was answered is stored.
        """
        wanted = self._augmenter.n_rows(len(self._examples))
        self._waiting.extend(Slot(row, 0) for row in range(wanted))
        progress = _Progress(wanted)
        while self._waiting or self._talks:
            while self._waiting and (not self._talks or (self._client is not None and self._client.room)):
                slot = self._waiting.popleft()
                self._go_on(slot, _Talk())
            if self._client is not None and self._talks:
                self._hear(self._client)
                progress.tell(len(self._made), self._kept)
        self._refuse_hopeless()
        self._draw.rows = [self._made[slot] for slot in sorted(self._made)]
        return self._draw

    def _hear(self, client: Client) -> None:
        tag, completion = client.take()
        slot, position = cast("tuple[Slot, int]", tag)
        talk = self._talks[slot]
        talk.answers[position] = completion
        if talk.complete:
            self._go_on(slot, talk)

    def _go_on(self, slot: Slot, talk: _Talk) -> None:
        """Ask what is to be asked next for a slot, or make its row."""
        answers = talk.so_far()
        requests = self._augmenter.plan(self._examples, self._seed, slot, answers)
        if not requests or self._client is None:
            self._talks.pop(slot, None)
            self._keep(slot, self._augmenter.harvest(self._examples, self._seed, slot, answers), answers)
            return
        self._talks[slot] = talk
        for request in requests:
            talk.answers.append(None)
            self._client.submit((slot, len(talk.answers) - 1), request)

    def _keep(self, slot: Slot, row: SyntheticRow, answers: Sequence[Completion]) -> None:
        self._made[slot] = row
        self._draw.asked += len(answers)
        if row.kept:
            self._kept += 1
            return
        self._draw.discarded += len(answers)
        if answers and slot.row < _ENOUGH_TO_GIVE_UP:
            self._unusable[slot] = answers[0].text, row.reason
        if slot.attempt + 1 < self._augmenter.attempts:
            self._waiting.append(Slot(slot.row, slot.attempt + 1))
        # By the first rows, not by the answers that came first, so that a replay in another order ends alike.
        first = [self._made.get(Slot(number, 0)) for number in range(_ENOUGH_TO_GIVE_UP)]
        if self._unusable and slot.attempt == 0 and all(one is not None and not one.kept for one in first):
            self._fail(_ENOUGH_TO_GIVE_UP)

    def _refuse_hopeless(self) -> None:
        """Fail if there are answers and none can be used; rows are kept or there is nothing to train on."""
        if self._draw.asked and not self._kept:
            self._fail(len(self._made))

    def _fail(self, count: int) -> NoReturn:
        first = [self._unusable[slot] for slot in sorted(self._unusable)[:_SHOWN_ANSWERS]]
        shown = [f"  {text[:_SHOWN_CHARACTERS]!r} ({reason})" for text, reason in first]
        cut = all(reason == "cut off" for _, reason in self._unusable.values())
        advice = (
            "raise the augmenter's max_tokens" if cut else "try more examples, another model, or plainer label words"
        )
        advice += "; stored answers cost nothing again"
        raise AugmentError("\n".join([f"none of {count} answers can be used; the first are", *shown, advice]))


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
