from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.base import Augmenter, Material, Slot
from hypermix.augment.form import MOST_LETTERS
from hypermix.augment.gpt3mix import build_gpt3mix, name_source
from hypermix.augment.prompt import render_prompt
from hypermix.augment.source import MOST_FOLLOWED
from hypermix.errors import AugmentError
from hypermix.hashing import digest
from hypermix.records import CHAT, COMPLETIONS, Abilities, Request, SyntheticRow, Task, Token
from tests.unit.augment import playing
from tests.unit.augment.speaker import EXAMPLES, SENTIMENT, SETTINGS, answered

STEADY = settings(deadline=None, derandomize=True, max_examples=40)
TASK = SENTIMENT
LIKELY = ((b" Positive", math.log(0.6)), (b" Negative", math.log(0.2)))
SEEDS = st.integers(0, 2**32 - 1)


def build(task: Task = TASK, abilities: Abilities | None = None, seed: int = 7, **changes: Any) -> Augmenter:
    return build_gpt3mix({**SETTINGS, **changes}, Material(EXAMPLES, task, seed, abilities))


def plan_slot(augmenter: Augmenter, slot: Slot) -> Request:
    (request,) = playing.plan(augmenter, slot)
    return request


def plan_rows(augmenter: Augmenter, attempt: int = 0) -> list[Request]:
    return [plan_slot(augmenter, Slot(row, attempt)) for row in range(augmenter.n_rows)]


def harvest(augmenter: Augmenter, text: str, finish_reason: str = "stop", *, tokens: bool = True) -> SyntheticRow:
    """Read one answer of the model; its label is one token."""
    before, word, after = text.partition(" Positive")
    pieces = (Token(before.encode(), -1.0, ()), Token(word.encode(), -1.0, LIKELY), Token(after.encode(), -1.0, ()))
    answer = answered(text, pieces if tokens else (), finish_reason, "the key")
    return playing.harvest(augmenter, Slot(3, 1), [answer])


# What is asked.


def test_completions_request_is_whole() -> None:
    request = plan_slot(build(), Slot(0, 0))

    assert request == Request(
        COMPLETIONS,
        {
            "prompt": (
                "Each item in the following list contains a movie review and the respective sentiment. "
                "Sentiment is one of 'negative' or 'positive'.\n"
                "\n"
                "Movie review: text 4 (Sentiment: Negative)\n"
                "Movie review: text 6 (Sentiment: Negative)\n"
                "Movie review:"
            ),
            "stop": ["\n"],
            "seed": 758105567,
            "max_tokens": 100,
            "temperature": 1.0,
            "top_p": 0.9,
            "frequency_penalty": 0.01,
            "logprobs": 20,
        },
        "7-0-0",
    )
    # Stored answers are found by this body: it must not change.
    assert digest(request.body) == "e32f9614b93f8c9855fd678f89c576334240ad1cd4511ecf661a551548d0e4bc"


def test_chat_request_is_whole() -> None:
    request = plan_slot(build(abilities=Abilities(chat=True, structured=True)), Slot(0, 0))
    messages = request.body["messages"]

    assert (request.path, request.sample) == (CHAT, "7-0-0")
    assert {name: value for name, value in request.body.items() if name not in {"messages", "response_format"}} == {
        "seed": 758105567,
        "max_tokens": 100,
        "temperature": 1.0,
        "top_p": 0.9,
        "frequency_penalty": 0.01,
        "logprobs": True,
        "top_logprobs": 20,
    }
    assert messages[1] == {
        "role": "user",
        "content": '{"text": "text 4", "label": "Negative"}\n{"text": "text 6", "label": "Negative"}',
    }
    assert request.body["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("abilities", "missing"),
    [
        ({"stop": False}, {"stop"}),
        ({"seed": False}, {"seed"}),
        ({"sampling": False}, {"temperature", "top_p"}),
        ({"penalties": False}, {"frequency_penalty"}),
        ({"max_tokens": "max_completion_tokens"}, {"max_tokens"}),
    ],
)
def test_settings_that_are_not_taken_are_left_out(abilities: dict[str, Any], missing: set[str]) -> None:
    usual = plan_slot(build(), Slot(0, 0)).body
    body = plan_slot(build(abilities=Abilities(**abilities)), Slot(0, 0)).body

    assert usual.keys() - body.keys() == missing
    assert all(usual[name] == body[name] for name in usual.keys() & body.keys())
    assert body.get("max_completion_tokens", 100) == 100


def test_prompt_shows_rows_of_subsample() -> None:
    prompts = {render_prompt([one, other], TASK) for one in EXAMPLES for other in EXAMPLES if one != other}

    assert all(request.body["prompt"] in prompts for request in plan_rows(build(multiplier=5.0)))


@pytest.mark.parametrize("changes", [{"labels": "hard"}, {"label_source": "hard"}, {"label_source": "vote"}], ids=str)
def test_only_the_written_label_needs_log_probabilities(changes: dict[str, Any]) -> None:
    assert "logprobs" not in plan_slot(build(**changes), Slot(0, 0)).body


@STEADY
@given(SEEDS, st.integers(0, 2))
def test_larger_multiplier_keeps_earlier_requests(seed: int, attempt: int) -> None:
    assert plan_rows(build(seed=seed, multiplier=3.0), attempt)[:8] == plan_rows(
        build(seed=seed, multiplier=1.0), attempt
    )


def test_attempt_row_and_seed_change_request() -> None:
    places = [(seed, Slot(row, attempt)) for seed in (1, 2) for row in range(8) for attempt in range(3)]
    requests = [plan_slot(build(seed=seed), slot) for seed, slot in places]

    assert len({request.body["seed"] for request in requests}) == len(places)
    assert len({request.sample for request in requests}) == len(places)
    assert len({request.body["prompt"] for request in requests}) > len(places) // 2


@STEADY
@given(SEEDS)
def test_sampling_seed_is_signed_32_bit(seed: int) -> None:
    assert all(0 <= request.body["seed"] < 2**31 for request in plan_rows(build(seed=seed)))


@STEADY
@given(SEEDS, st.integers(1, 8))
def test_no_row_stands_twice_in_prompt(seed: int, examples: int) -> None:
    items = plan_slot(build(seed=seed, examples=examples), Slot(0, 0)).body["prompt"].splitlines()[2:-1]

    assert len(items) == len(set(items)) == examples


def test_rows_are_drawn_uniformly() -> None:
    requests = [plan_slot(build(seed=1), Slot(row, 0)) for row in range(2000)]
    pairs = Counter(tuple(request.body["prompt"].splitlines()[2:-1]) for request in requests)

    # 56 ordered pairs, 35.7 expected of each: five standard deviations are 30.
    assert len(pairs) == 56
    assert all(5 < count < 66 for count in pairs.values())


# What cannot be made.


def refusal(task: Task = TASK, abilities: Abilities | None = None, **changes: Any) -> str:
    with pytest.raises(AugmentError) as caught:
        build(task, abilities, **changes)
    return str(caught.value)


def test_too_many_examples_say_what_to_do() -> None:
    with pytest.raises(AugmentError) as caught:
        playing.plan(build(examples=9), Slot(0, 0))

    assert str(caught.value) == (
        "a prompt of 9 examples needs as many rows, the subsample has 8; "
        "lower the augmenter's examples or raise the subsample"
    )


@pytest.mark.parametrize(
    "words", [{"a": "good", "b": "good"}, {"a": "Good", "b": "good", "c": "bad"}, {"a": "good ", "b": "good"}], ids=str
)
def test_shared_label_word_names_both(words: dict[str, str]) -> None:
    message = "the labels 'a' and 'b' share the label word 'good'; give each its own with the dataset's label_words"

    assert refusal(replace(TASK, words=words)) == message


@pytest.mark.parametrize("word", ["so (so)", "one\ntwo", " "], ids=ascii)
def test_word_that_cannot_stand_in_a_prompt_is_named(word: str) -> None:
    message = refusal(replace(TASK, words={"a": word, "b": "fine"}))

    assert message == (
        f"[{word!r}] cannot stand in a prompt; give these labels words with letters and without brackets in label_words"
    )


def test_chat_takes_words_with_brackets() -> None:
    task = replace(TASK, words={"a": "so (so)", "b": "fine"})

    assert build(task, Abilities(chat=True)).attempts == 3
    assert "cannot stand" in refusal(replace(TASK, words={"a": "\t", "b": "fine"}), Abilities(chat=True))


def test_source_that_the_endpoint_cannot_serve_names_others() -> None:
    silent, spoken = Abilities(logprobs=0), Abilities(chat=True, echo=True)
    needs = "needs log-probabilities, and the endpoint tells none; set label_source to vote, decisions or hard"
    echo = "needs the log-probabilities of prompts, and the endpoint tells none; set label_source:"

    assert refusal(abilities=silent) == f"label_source: logprobs {needs}"
    assert refusal(abilities=silent, label_source="classify") == f"label_source: classify {needs}"
    assert refusal(label_source="scoring") == f"label_source: scoring {echo} classify"
    assert refusal(abilities=spoken, label_source="scoring") == f"label_source: scoring {echo} classify"
    assert refusal(abilities=silent, label_source="scoring") == f"label_source: scoring {echo} vote"
    for source in ("vote", "decisions", "hard"):
        assert build(abilities=silent, label_source=source).n_rows == 8


def many(count: int) -> Task:
    return replace(TASK, words={f"{place:03}": f"word {place}" for place in range(count)})


def test_number_of_labels_is_bounded_by_the_source() -> None:
    chat = Abilities(chat=True)

    assert refusal(many(1), label_source="decisions") == (
        "label_source: decisions takes 2 to 255 labels, the dataset has 1; set label_source: classify"
    )
    assert "takes 2 to 255 labels, the dataset has 256" in refusal(many(256), label_source="decisions")
    assert "takes at most 20 labels" in refusal(many(21), chat, label_source="classify")
    assert "takes at most 5 labels" in refusal(many(6), replace(chat, logprobs=5), label_source="classify")
    assert f"takes at most {MOST_LETTERS} labels" in refusal(many(27), chat, label_source="vote")
    for task, abilities, source in (
        (many(255), None, "decisions"),
        (many(20), chat, "classify"),
        (many(26), chat, "vote"),
        (many(300), None, "classify"),
        (many(300), chat, "logprobs"),
    ):
        assert build(task, abilities, label_source=source).attempts == 3


# What comes back.


def test_attempts_and_rows_follow_settings() -> None:
    augmenter = build(attempts=5, multiplier=1.5)

    assert (augmenter.attempts, augmenter.n_rows) == (5, 12)


@pytest.mark.parametrize(
    ("changes", "abilities", "most"),
    [
        ({}, {}, 1 + MOST_FOLLOWED),
        ({}, {"chat": True}, 1),
        ({"label_source": "classify"}, {}, 2 + MOST_FOLLOWED),
        ({"label_source": "classify"}, {"chat": True}, 2),
        ({"label_source": "scoring"}, {"echo": True}, 3),
        ({"label_source": "decisions"}, {}, 2),
        ({"label_source": "vote"}, {}, 2),
        ({"label_source": "vote"}, {"n": False}, 21),
        ({"labels": "hard"}, {}, 1),
    ],
    ids=str,
)
def test_most_requests_of_a_row_are_known(changes: dict[str, Any], abilities: dict[str, Any], most: int) -> None:
    augmenter = build(abilities=Abilities(**abilities), **changes)

    assert augmenter.most_requests == most  # type: ignore[attr-defined]


def test_usable_answer_becomes_a_row() -> None:
    row = harvest(build(), " a fine film (Sentiment: Positive)")

    assert (row.index, row.text, row.label, row.kept) == (3, "a fine film", "pos", True)
    assert row.soft_label == pytest.approx((0.25, 0.75))
    assert row.label_mass == pytest.approx(0.8)
    assert (row.label_source, row.request_key) == ("logprobs", "the key")


def test_row_names_the_rows_shown() -> None:
    row = harvest(build(), " fine (Sentiment: Positive)")
    shown = [one for name in row.source_ids for one in EXAMPLES if one.id == name]

    assert plan_slot(build(), Slot(3, 1)).body["prompt"] == render_prompt(shown, TASK)


def test_hard_label_is_the_written_word() -> None:
    row = harvest(build(labels="hard"), " a fine film (Sentiment: Negative)", tokens=False)

    assert (row.soft_label, row.label_source, row.label_mass, row.kept) == ((1.0, 0.0), "hard", 1.0, True)


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        (" a film that never", "length", "cut off"),
        (" a film that", "content_filter", "filtered"),
        ("I cannot do that", "refusal", "refused"),
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


def test_chat_answer_without_object_says_why() -> None:
    chat = build(abilities=Abilities(chat=True))

    assert [harvest(chat, "dull", end).reason for end in ("stop", "length", "refusal")] == [
        "no item",
        "cut off",
        "refused",
    ]
    assert harvest(chat, '{"text": "fine", "label": "Positive"}', "refusal").reason == "refused"


def test_whole_row_survives_length_limit() -> None:
    assert harvest(build(), " fine (Sentiment: Positive) and", "length").kept


def test_soft_label_needs_probabilities() -> None:
    row = harvest(build(), " fine (Sentiment: Positive)", tokens=False)

    assert (row.reason, row.text, row.label) == ("no log-probabilities", "fine", "pos")


def test_row_needs_its_answers() -> None:
    with pytest.raises(ValueError, match="1 more answers are needed"):
        playing.harvest(build(), Slot(0, 0))


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"labels": "soft"}, "logprobs"),
        ({"labels": "hard"}, "hard"),
        ({"labels": "soft", "label_source": None}, "logprobs"),
        ({"labels": "soft", "label_source": "vote"}, "vote"),
    ],
    ids=str,
)
def test_labels_name_their_source(changes: dict[str, Any], source: str) -> None:
    assert name_source(changes) == source


@STEADY
@given(st.text(), st.booleans(), st.sampled_from(["logprobs", "hard"]))
def test_any_text_has_row_or_reason(text: str, chat: bool, source: str) -> None:
    row = harvest(build(abilities=Abilities(chat=chat), label_source=source), text)

    assert row.kept == (row.soft_label is not None) == (row.label_source is not None)
