"""Rows beside rows: who is refused, made again and kept, in whatever order answers come."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.base import Offline, Slot
from hypermix.augment.dialogue import Dialogue
from hypermix.config.filter import Filters
from hypermix.errors import AugmentError
from hypermix.llm.client import Llm
from hypermix.llm.store import Question
from hypermix.records import COMPLETIONS, Choice, Completion, Example, Request, SyntheticRow
from hypermix.steps.rows import Draw, Rows
from hypermix.steps.sieve import open_filter

EXAMPLES = [Example(f"e{number}", f"real text number {number}", "ab"[number % 2]) for number in range(4)]
TEXTS = [f"an entirely new text that tells of subject {word}" for word in ("one", "two", "three", "four", "five")]
STEADY = settings(deadline=None, derandomize=True, max_examples=40)


def open_nothing() -> Any:
    raise AssertionError("nobody is asked")


@dataclass
class Shuffled:
    """A client that answers each prompt with itself, the questions that wait in an order of its own."""

    order: random.Random
    most: int = 8
    llm: Llm = field(default_factory=lambda: Llm("tiny", {}, open_nothing))
    waiting: list[tuple[object, Question]] = field(default_factory=list)
    asked: int = 0

    @property
    def room(self) -> bool:
        return len(self.waiting) < self.most

    def submit_question(self, tag: object, question: Question) -> None:
        self.asked += 1
        self.waiting.append((tag, question))

    def take(self) -> tuple[object, Completion]:
        tag, question = self.waiting.pop(self.order.randrange(len(self.waiting)))
        return tag, Completion(question.key, (Choice(str(question.body["prompt"]), "stop", ()),))


@dataclass
class Scripted:
    """An augmenter whose rows are as they are told: a text and a label for each slot, an empty text is no row."""

    n_rows: int
    attempts: int
    texts: Mapping[Slot, tuple[str, str]]
    most_requests: int = 1

    def rehearse(self, example: Example, turn: int) -> str:
        return example.text

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        text, label = self.texts[slot]
        (answer,) = yield [Request(COMPLETIONS, {"prompt": text}, f"{slot.row}-{slot.attempt}")]
        reason = None if answer.text else "no text"
        return SyntheticRow(slot.row, answer.text, label, None, None, None, (), answer.key, reason)


def make(augmenter: Scripted, seed: int, most: int = 8, **filters: Any) -> tuple[Draw, Shuffled]:
    chosen = {"filters": Filters(**{"copies": "exact", "longest": None, **filters}).model_dump()}
    client = Shuffled(random.Random(seed), most)
    return Rows(augmenter, open_filter(chosen, EXAMPLES, 2, None), client).make(), client  # type: ignore[arg-type]


def script(n_rows: int, attempts: int, pick: random.Random, texts: list[str]) -> Scripted:
    slots = [Slot(row, attempt) for row in range(n_rows) for attempt in range(attempts)]
    return Scripted(n_rows, attempts, {slot: (pick.choice(texts), pick.choice("ab")) for slot in slots})


def outcome(augmenter: Scripted, order: int, most: int, **filters: Any) -> list[SyntheticRow] | str:
    """Return the rows, or why there are none."""
    try:
        return make(augmenter, order, most, **filters)[0].rows
    except AugmentError as error:
        return str(error)


# Any order.


@STEADY
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 30), st.sampled_from([None, 1.0, 1.5]))
def test_the_order_of_answers_changes_nothing(what: int, order: int, most: int, quota: float | None) -> None:
    augmenter = script(12, 3, random.Random(what), [*TEXTS, EXAMPLES[0].text, ""])
    assert outcome(augmenter, order, most, quota=quota) == outcome(augmenter, 0, 1, quota=quota)


@STEADY
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_larger_draw_begins_with_the_rows_of_a_smaller_one(what: int, order: int) -> None:
    large = script(16, 2, random.Random(what), [f"{text} and {more}" for text in TEXTS for more in ("this", "that")])
    small = Scripted(9, 2, large.texts)
    rows = make(large, order, quota=1.5)[0].rows
    assert make(small, order, quota=1.5)[0].rows == [row for row in rows if row.index < 9]


def test_rows_settle_in_order_and_are_made_again() -> None:
    one, two, three = ((text, "a") for text in TEXTS[:3])
    texts = {Slot(0, 0): one, Slot(1, 0): one, Slot(2, 0): two, Slot(1, 1): two, Slot(1, 2): three, Slot(2, 1): three}
    draw, client = make(Scripted(3, 3, {**texts, Slot(2, 2): (TEXTS[3], "a")}), 5)
    copy = "copy of a synthetic row"
    assert [(row.index, row.reason) for row in draw.rows] == [
        (0, None),
        (1, copy),
        (1, None),
        (2, copy),
        (2, None),
    ]
    assert (client.asked, draw.discarded) == (5, 2)


# Language models that go wrong.


def test_one_sentence_for_ever_is_kept_once() -> None:
    slots = [Slot(row, attempt) for row in range(8) for attempt in range(3)]
    draw, client = make(Scripted(8, 3, dict.fromkeys(slots, (TEXTS[0], "a"))), 1)
    assert [row.kept for row in draw.rows] == [True, *[False] * 21]
    assert {row.reason for row in draw.rows[1:]} == {"copy of a synthetic row"}
    assert client.asked == 22


def test_one_label_for_ever_stays_short_with_a_quota() -> None:
    slots = [Slot(row, attempt) for row in range(8) for attempt in range(2)]
    texts = {slot: (f"{TEXTS[0]} {slot.row} {slot.attempt}", "a") for slot in slots}
    draw, _ = make(Scripted(8, 2, texts), 1, quota=1.0)
    assert [row.index for row in draw.rows if row.kept] == [0, 1, 4, 5]
    assert [row.reason for row in draw.rows if row.index == 2] == ["class is full"] * 2


def test_a_first_row_that_stands_keeps_the_draw_alive() -> None:
    # The first row comes at its second try, the nine after it are copies of it: refused, but not of no use.
    texts = {Slot(row, attempt): (TEXTS[0], "a") for row in range(12) for attempt in range(2)}
    for order in range(20):
        draw, _ = make(Scripted(12, 2, {**texts, Slot(0, 0): ("", "a")}), order)
        assert [row.index for row in draw.rows if row.kept] == [0]


def test_only_copies_of_real_rows_are_hopeless() -> None:
    slots = [Slot(row, attempt) for row in range(30) for attempt in range(3)]
    with pytest.raises(AugmentError, match="none of 10 answers can be used") as caught:
        make(Scripted(30, 3, dict.fromkeys(slots, (EXAMPLES[0].text, "a"))), 1)
    _, *shown, advice = str(caught.value).splitlines()
    assert shown == [f"  {EXAMPLES[0].text!r} (copy of a train row)"] * 3
    assert advice.startswith("loosen the augmenter's filters, or try more examples or another model;")


# Giving up.


@dataclass
class Calls:
    """An augmenter whose rows are parts of shared answers, none of which can be used before a given call."""

    n_rows: int
    per_call: int
    usable_from: int
    attempts: int = 2
    most_requests: int = 1

    def rehearse(self, example: Example, turn: int) -> str:
        return example.text

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        call = slot.row // self.per_call
        prompt = f"answer {call} at try {slot.attempt}"
        (answer,) = yield [Request(COMPLETIONS, {"prompt": prompt}, f"{call}-{slot.attempt}", shared=True)]
        usable = call >= self.usable_from or slot.attempt > 0
        return SyntheticRow(
            slot.row, f"{prompt}, part {slot.row}", "a", None, None, None, (), answer.key, None if usable else "refused"
        )


def test_one_bad_answer_for_many_rows_is_one_bad_answer() -> None:
    draw = Rows(Calls(24, 12, usable_from=1), None, Shuffled(random.Random(1))).make()  # type: ignore[arg-type]
    assert [row.index for row in draw.rows if row.kept] == [*range(24)]


def test_answers_are_given_up_by_their_number_and_each_is_shown_once() -> None:
    client = Shuffled(random.Random(1))
    with pytest.raises(AugmentError) as error:
        Rows(Calls(600, 3, usable_from=200), None, client).make()  # type: ignore[arg-type]
    told = str(error.value).split("\n")
    assert told[0] == "none of 10 answers can be used; the first are"
    assert [line for line in told if "try 0" in line] == [f"  'answer {call} at try 0' (refused)" for call in range(3)]
    assert client.asked < 40


def test_an_offline_row_is_made_once() -> None:
    made = []
    offline = Offline(5, 1, lambda slot: (made.append(slot), row(slot))[1])
    assert len(Rows(offline, None, None).make().rows) == len(made) == 5


def test_an_augmenter_that_asks_needs_somebody_to_ask() -> None:
    with pytest.raises(AugmentError, match="asks a language model, and the config names none"):
        Rows(Calls(2, 1, usable_from=0), None, None).make()


def row(slot: Slot) -> SyntheticRow:
    return SyntheticRow(slot.row, f"text {slot.row}", "a", (1.0,), "real", 1.0, (), None, None)
