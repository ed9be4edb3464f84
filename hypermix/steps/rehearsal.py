"""Playing a draw through from the stored answers, without asking: what is free, and what is left to ask at most."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hypermix.augment.base import Augmenter, Slot
from hypermix.augment.dialogue import ask_next, conclude
from hypermix.augment.relabel import Relabeled
from hypermix.llm.answer import read_answer, read_usage
from hypermix.llm.client import Llm
from hypermix.llm.price import FRAME, count_bytes, count_parts, most_completion
from hypermix.llm.store import Question, RequestStore
from hypermix.records import Choice, Completion, Example, Request, SyntheticRow
from hypermix.report.forecast import Amount, Span
from hypermix.steps.augment import Work
from hypermix.steps.rows import Sieve

MOST_BYTES, FEWEST_BYTES = 6.0, 2.0
"""Bytes that a token of a text has at most and at least, over a whole prompt: English has 4 to 5, others fewer."""

_MARGIN = 0.05
"""How far prompts may be from those that were measured."""

_ENOUGH = 5
"""Stored answers from which on their tokens are a measure."""

_UNSENT = ("response_format",)
"""Parts of a request that an endpoint may or may not count as tokens."""


@dataclass
class Load:
    """Requests to one API, before their bytes become tokens.

    Attributes:
        requests: How many there are.
        shown: Bytes of their texts.
        shown_least: The same without what may not be counted.
        framed: Texts, each of which a chat template may add to.
        more: Tokens of texts that are not known yet.
        completion: Tokens of the answers.
    """

    requests: int = 0
    shown: int = 0
    shown_least: int = 0
    framed: int = 0
    more: int = 0
    completion: float = 0.0

    def add(self, question: Question, completion: float, more: int = 0, times: int = 1) -> None:
        """Add a request as often as it is sent.

        Args:
            question: The request.
            completion: Tokens of its answer.
            more: Tokens that its text may have beyond those that it shows.
            times: How often.
        """
        body = question.body
        self.requests += times
        self.shown += times * count_bytes(body)
        self.shown_least += times * count_bytes({name: body[name] for name in body if name not in _UNSENT})
        self.framed += times * count_parts(body)
        self.more += times * more
        self.completion += times * completion


@dataclass
class Count:
    """What one draw takes.

    Attributes:
        rows: Rows that are wanted.
        stored: Answers that the store has.
        followed: Requests of `high` that follow beginnings of label words.
        low: What is left to ask at least, by API.
        high: What is left to ask at most, by API.
    """

    rows: int = 0
    stored: int = 0
    followed: int = 0
    low: defaultdict[str, Load] = field(default_factory=lambda: defaultdict(Load))
    high: defaultdict[str, Load] = field(default_factory=lambda: defaultdict(Load))


@dataclass
class Asked:
    """What all draws of one language model have in common.

    Attributes:
        llm: The language model.
        store: Where its answers are.
        low: Keys of requests that are counted as asked at least.
        high: Keys of requests that are counted as asked at most; two augmenters may ask the same.
        measured: Answers, bytes and tokens of the stored prompts, by API.
    """

    llm: Llm
    store: RequestStore
    low: set[str] = field(default_factory=set)
    high: set[str] = field(default_factory=set)
    measured: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def find(self, question: Question) -> Completion | None:
        """Return the stored answer to a request, and measure its prompt."""
        record = self.store.get(question.key)
        if record is None:
            return None
        tokens = read_usage(record.answer.response).prompt
        if tokens:
            answers, shown, counted = self.measured.get(question.path, (0, 0, 0))
            self.measured[question.path] = answers + 1, shown + count_bytes(question.body), counted + tokens
        return read_answer(question.key, question.path, record.answer.response)

    def rate(self, path: str) -> float | None:
        """Return the measured tokens a byte of an API's prompts; None if too few answers are stored."""
        answers, shown, counted = self.measured.get(path, (0, 0, 0))
        return counted / shown if answers >= _ENOUGH and shown else None

    def amount(self, low: Mapping[str, Load], high: Mapping[str, Load]) -> Amount:
        """Return bounds in tokens for what is left to ask."""
        return Amount(
            Span(sum(load.requests for load in low.values()), sum(load.requests for load in high.values())),
            _whole(
                sum(self._least(path, load) for path, load in low.items()),
                sum(self._most(path, load) for path, load in high.items()),
            ),
            _whole(sum(load.completion for load in low.values()), sum(load.completion for load in high.values())),
        )

    def _least(self, path: str, load: Load) -> float:
        rate = self.rate(path)
        return load.shown_least / MOST_BYTES if rate is None else load.shown * rate * (1 - _MARGIN)

    def _most(self, path: str, load: Load) -> float:
        rate = self.rate(path)
        if rate is None:
            return load.shown / FEWEST_BYTES + FRAME * load.framed + load.more
        return load.shown * rate * (1 + _MARGIN) + load.more


def _whole(low: float, high: float) -> Span:
    return Span(math.floor(low), math.ceil(high))


def rehearse(work: Work, augmenter: Augmenter, sieve: Sieve | None, asked: Asked) -> Count:
    """Play a draw through as `hypermix.steps.rows` does, as far as there are stored answers, and count the rest.

    Args:
        work: What the draw is made from.
        augmenter: Its augmenter.
        sieve: Refuses rows.
        asked: Who is asked; requests that are counted there already are free.
    """
    return _Rehearsal(work, augmenter, sieve, asked).play()


class _Rehearsal:
    def __init__(self, work: Work, augmenter: Augmenter, sieve: Sieve | None, asked: Asked) -> None:
        self._work = work
        self._augmenter = augmenter
        self._sieve = sieve
        self._asked = asked
        self._count = Count(augmenter.n_rows)
        self._typical = _middle(work.examples)
        self._open = False
        """Whether an earlier row is not known yet, so that what later ones are refused beside is a guess."""

    def play(self) -> Count:
        for row in range(self._count.rows):
            self._play_row(row)
        return self._count

    def _play_row(self, row: int) -> None:
        """Go through the tries at a row up to the first one that lacks an answer."""
        sure = True
        for attempt in range(self._augmenter.attempts):
            slot, answers = Slot(row, attempt), list[Completion]()
            while requests := self._plan(slot, answers):
                found = [self._asked.find(self._question(request)) for request in requests]
                self._count.stored += sum(answer is not None for answer in found)
                if None in found:
                    self._leave_open(slot, answers, requests, found, sure=sure)
                    return
                answers += [answer for answer in found if answer is not None]
            made = conclude(self._augmenter.talk(slot), answers)
            if not made.kept or (self._sieve is not None and self._sieve.judge(made) is not None):
                continue
            if self._sieve is None or self._sieve.compare(made) is None:
                self._keep(made, slot)
                return
            sure = sure and not self._open  # a row before it may turn out otherwise, and then this one is kept

    def _keep(self, row: SyntheticRow, slot: Slot) -> None:
        if self._sieve is None:
            return
        self._sieve.keep(row)
        if self._open:
            self._count_later(slot)  # a row before it may turn out to be its like

    def _leave_open(
        self,
        slot: Slot,
        answers: Sequence[Completion],
        requests: Sequence[Request],
        found: Sequence[Completion | None],
        *,
        sure: bool,
    ) -> None:
        """Count what is left of a row: at least the rest of this try, if it is surely made, at most all tries."""
        self._open = True
        missing = [self._question(request) for request, answer in zip(requests, found, strict=True) if answer is None]
        imagined = [
            self._imagine(request, len(answers)) if answer is None else answer
            for request, answer in zip(requests, found, strict=True)
        ]
        follow = self._follow(slot, [*answers, *imagined])
        length = len(self._augmenter.rehearse(self._typical, 0).encode()) / MOST_BYTES
        for question in self._unasked(missing, self._asked.low) if sure else ():
            shortest = min(length, most_completion(question.body)) if not answers else _fewest(question)
            self._count.low[question.path].add(question, shortest)
        for question in self._unasked(follow, self._asked.low) if sure else ():
            self._count.low[question.path].add(question, _fewest(question))
        self._count_most(slot, missing, follow, len(answers) + len(requests))
        self._count_later(slot)

    def _count_later(self, slot: Slot) -> None:
        """Count the most that the tries after this one can take."""
        for attempt in range(slot.attempt + 1, self._augmenter.attempts):
            later = Slot(slot.row, attempt)
            first = self._plan(later, [])
            lacking = [
                question for question in map(self._question, first) if self._asked.store.get(question.key) is None
            ]
            self._count_most(
                later, lacking, self._follow(later, [self._imagine(request, 0) for request in first]), len(first)
            )

    def _count_most(self, slot: Slot, missing: Sequence[Question], follow: Sequence[Question], asked: int) -> None:
        """Count the most that one try can take.

        Args:
            slot: The try.
            missing: Requests that are known and lack an answer.
            follow: Requests that came after stand-ins for the answers.
            asked: How many come before those.
        """
        planned = self._plan(slot, [])
        if not planned:
            return
        row = self._question(planned[0])
        longest = most_completion(row.body)  # a text that is not written yet may come in a later prompt
        for question in self._unasked(missing, self._asked.high):
            self._count.high[question.path].add(question, most_completion(question.body))
        for question in self._unasked(follow, self._asked.high):
            self._count.high[question.path].add(question, most_completion(question.body), longest)
        others = self._augmenter.most_requests - asked - len(follow)
        if others > 0:
            self._count.followed += others
            largest = max([row, *follow], key=lambda question: count_bytes(question.body))
            fewest = self._augmenter.label_tokens if isinstance(self._augmenter, Relabeled) else 1
            self._count.high[largest.path].add(largest, fewest, longest, others)

    def _follow(self, slot: Slot, answers: list[Completion]) -> list[Question]:
        """Return what would be asked after these answers, if each goes on with a stand-in."""
        found: list[Question] = []
        while requests := self._plan(slot, answers):
            found += map(self._question, requests)
            answers = [*answers, *(self._imagine(request, len(answers)) for request in requests)]
        return found

    def _imagine(self, request: Request, turn: int) -> Completion:
        text = self._augmenter.rehearse(self._typical, turn)
        return Completion("", (Choice(text, "stop", ()),) * int(request.body.get("n", 1)))

    def _plan(self, slot: Slot, answers: Sequence[Completion]) -> list[Request]:
        return ask_next(self._augmenter.talk(slot), answers)

    def _question(self, request: Request) -> Question:
        return self._asked.llm.question(request)

    def _unasked(self, questions: Iterable[Question], counted: set[str]) -> list[Question]:
        fresh = [question for question in questions if question.key not in counted]
        counted.update(question.key for question in fresh)
        return fresh


def _middle(examples: Sequence[Example]) -> Example:
    """Return the row of the middle length."""
    by_length = sorted(examples, key=lambda example: (len(example.text.encode()), example.id))
    return by_length[len(by_length) // 2]


def _fewest(question: Question) -> int:
    """Return the fewest tokens that the answers to a request have: one each, where there are any."""
    return min(most_completion(question.body), int(question.body.get("n", 1)))
