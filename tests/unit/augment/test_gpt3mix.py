from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.base import Augmenter, Slot
from hypermix.augment.gpt3mix import TOP_LOGPROBS, build_gpt3mix
from hypermix.augment.prompt import render_prompt
from hypermix.errors import AugmentError
from hypermix.records import Completion, Example, Request, SyntheticRow, Task, Token

STEADY = settings(deadline=None, derandomize=True, max_examples=40)
TASK = Task("movie review", "sentiment", {"neg": "negative", "pos": "positive"})
EXAMPLES = [Example(f"row {row}", f"text {row}", ["neg", "pos"][row % 2]) for row in range(8)]
SAMPLING = {"max_tokens": 100, "temperature": 1.0, "top_p": 0.9, "frequency_penalty": 0.01}
SETTINGS: dict[str, Any] = {"examples": 2, "multiplier": 1.0, "labels": "soft", "attempts": 3, **SAMPLING}
LIKELY = ((b" Positive", math.log(0.6)), (b" Negative", math.log(0.2)))
SEEDS = st.integers(0, 2**32 - 1)


def build(task: Task = TASK, **changes: Any) -> Augmenter:
    return build_gpt3mix({**SETTINGS, **changes}, task)


def plan_rows(augmenter: Augmenter, seed: int, attempt: int = 0) -> list[Request]:
    slots = [Slot(row, attempt) for row in range(augmenter.n_rows(len(EXAMPLES)))]
    return augmenter.plan(EXAMPLES, seed, slots)


def harvest(augmenter: Augmenter, text: str, finish_reason: str = "stop", *, tokens: bool = True) -> SyntheticRow:
    """Read one answer of the model; all its tokens have the same likely tokens."""
    pieces = tuple(Token(character.encode(), -1.0, LIKELY) for character in text) if tokens else ()
    (row,) = augmenter.harvest(EXAMPLES, 7, [Slot(3, 1)], [Completion("the key", text, finish_reason, pieces)])
    return row


def test_request_holds_the_whole_body() -> None:
    (request,) = build().plan(EXAMPLES, 7, [Slot(3, 1)])

    assert sorted(request.body) == sorted(["prompt", "stop", "seed", "logprobs", *SAMPLING])
    assert {name: request.body[name] for name in SAMPLING} == SAMPLING
    assert request.body["stop"] == ["\n"]
    assert request.body["logprobs"] == TOP_LOGPROBS == 20
    assert request.sample == "7-3-1"


def test_prompt_shows_rows_of_subsample() -> None:
    prompts = {render_prompt([one, other], TASK) for one in EXAMPLES for other in EXAMPLES if one != other}

    assert all(request.body["prompt"] in prompts for request in plan_rows(build(multiplier=5.0), 1))


def test_first_request_is_pinned() -> None:
    (request,) = build().plan(EXAMPLES, 7, [Slot(0, 0)])

    assert request.body["prompt"].splitlines()[2:4] == [
        "Movie review: text 4 (Sentiment: Negative)",
        "Movie review: text 6 (Sentiment: Negative)",
    ]
    assert request.body["seed"] == 758105567


def test_hard_labels_ask_no_logprobs() -> None:
    (request,) = build(labels="hard").plan(EXAMPLES, 7, [Slot(0, 0)])

    assert "logprobs" not in request.body


@STEADY
@given(SEEDS, st.integers(0, 2))
def test_larger_multiplier_keeps_earlier_requests(seed: int, attempt: int) -> None:
    assert plan_rows(build(multiplier=3.0), seed, attempt)[:8] == plan_rows(build(multiplier=1.0), seed, attempt)


@STEADY
@given(SEEDS)
def test_request_depends_on_its_slot_alone(seed: int) -> None:
    slots = [Slot(row, attempt) for row in range(4) for attempt in range(2)]
    together = build().plan(EXAMPLES, seed, slots)

    assert together == [build().plan(EXAMPLES, seed, [slot])[0] for slot in slots]


def test_attempt_row_and_seed_change_request() -> None:
    places = [(seed, Slot(row, attempt)) for seed in (1, 2) for row in range(8) for attempt in range(3)]
    requests = [build().plan(EXAMPLES, seed, [slot])[0] for seed, slot in places]

    assert len({request.body["seed"] for request in requests}) == len(places)
    assert len({request.sample for request in requests}) == len(places)
    assert len({request.body["prompt"] for request in requests}) > len(places) // 2


@STEADY
@given(SEEDS)
def test_sampling_seed_is_signed_32_bit(seed: int) -> None:
    assert all(0 <= request.body["seed"] < 2**31 for request in plan_rows(build(), seed))


@STEADY
@given(SEEDS, st.integers(1, 8))
def test_no_row_stands_twice_in_prompt(seed: int, examples: int) -> None:
    (request,) = build(examples=examples).plan(EXAMPLES, seed, [Slot(0, 0)])
    items = request.body["prompt"].splitlines()[2:-1]

    assert len(items) == len(set(items)) == examples


def test_rows_are_drawn_uniformly() -> None:
    slots = [Slot(row, 0) for row in range(2000)]
    requests = build().plan(EXAMPLES, 1, slots)
    pairs = Counter(tuple(request.body["prompt"].splitlines()[2:-1]) for request in requests)

    # 56 ordered pairs, 35.7 expected of each: five standard deviations are 30.
    assert len(pairs) == 56
    assert all(5 < count < 66 for count in pairs.values())


def test_too_many_examples_say_what_to_do() -> None:
    with pytest.raises(AugmentError) as caught:
        build(examples=9).plan(EXAMPLES, 1, [Slot(0, 0)])

    assert str(caught.value) == (
        "a prompt of 9 examples needs as many rows, the subsample has 8; "
        "lower the augmenter's examples or raise the subsample"
    )


@pytest.mark.parametrize(
    "words", [{"a": "good", "b": "good"}, {"a": "Good", "b": "good", "c": "bad"}, {"a": "good ", "b": "good"}], ids=str
)
def test_shared_label_word_names_both(words: dict[str, str]) -> None:
    message = "^the labels 'a' and 'b' share the label word 'good'; give each its own with the dataset's label_words$"
    with pytest.raises(AugmentError, match=message):
        build(replace(TASK, words=words))


def test_attempts_and_rows_follow_settings() -> None:
    augmenter = build(attempts=5, multiplier=1.5)

    assert (augmenter.attempts, augmenter.n_rows(7)) == (5, 10)


def test_usable_answer_becomes_a_row() -> None:
    row = harvest(build(), " a fine film (Sentiment: Positive)")

    assert (row.index, row.text, row.label, row.kept) == (3, "a fine film", "pos", True)
    assert row.soft_label == pytest.approx((0.25, 0.75))
    assert row.label_mass == pytest.approx(0.8)
    assert (row.label_source, row.request_key) == ("logprobs", "the key")


def test_row_names_the_rows_shown() -> None:
    (request,) = build().plan(EXAMPLES, 7, [Slot(3, 1)])
    row = harvest(build(), " fine (Sentiment: Positive)")
    shown = [one for name in row.source_ids for one in EXAMPLES if one.id == name]

    assert request.body["prompt"] == render_prompt(shown, TASK)


def test_written_word_need_not_be_likeliest() -> None:
    row = harvest(build(), " a fine film (Sentiment: Negative)")

    assert row.label == "neg"
    assert row.soft_label == pytest.approx((0.25, 0.75))


def test_hard_label_is_the_written_word() -> None:
    row = harvest(build(labels="hard"), " a fine film (Sentiment: Negative)", tokens=False)

    assert (row.soft_label, row.label_source, row.label_mass, row.kept) == ((1.0, 0.0), "hard", None, True)


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        (" a film that never", "length", "cut off"),
        (" a film without label", "stop", "no label"),
        (" fine (Sentiment: Mixed)", "length", "unknown label"),
        (" (Sentiment: Positive)", "stop", "empty text"),
        ("", "stop", "no label"),
    ],
)
def test_unusable_answer_says_why(text: str, finish_reason: str, reason: str) -> None:
    row = harvest(build(), text, finish_reason)

    assert (row.reason, row.kept) == (reason, False)
    assert (row.soft_label, row.label_source, row.label_mass) == (None, None, None)
    assert row.request_key == "the key"
    assert len(row.source_ids) == 2


def test_whole_row_survives_length_limit() -> None:
    assert harvest(build(), " fine (Sentiment: Positive) and", "length").kept


def test_soft_label_needs_probabilities() -> None:
    row = harvest(build(), " fine (Sentiment: Positive)", tokens=False)

    assert (row.reason, row.text, row.label) == ("no label probabilities", "fine", "pos")


def test_answers_must_match_the_slots() -> None:
    with pytest.raises(ValueError, match="shorter"):
        build().harvest(EXAMPLES, 7, [Slot(0, 0), Slot(1, 0)], [Completion("key", "", "stop", ())])
