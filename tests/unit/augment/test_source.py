from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.base import Augmenter, Slot
from hypermix.augment.gpt3mix import build_gpt3mix
from hypermix.augment.score import MISSING, NO_WORD, SHORT, UNCLEAR, ZERO
from hypermix.augment.source import (
    LABEL_FIRST,
    MOST_FOLLOWED,
    NEGLIGIBLE,
    NO_DECISION,
    NO_ECHO,
    NO_VOTE,
    REFUSED,
    SOURCES,
)
from hypermix.records import (
    CHAT,
    COMPLETIONS,
    DECISIONS,
    Abilities,
    Choice,
    Completion,
    Request,
    SyntheticRow,
    Task,
    Token,
)
from tests.unit.augment.speaker import (
    EXAMPLES,
    SENTIMENT,
    SETTINGS,
    Speech,
    answered,
    plain,
    reply,
    speak,
    talk,
    token,
    write_row,
)

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
SLOT = Slot(3, 1)
ROW = answered(" a fine film (Sentiment: Positive)", key="the row")
ITEM = '{"text": "a fine film", "label": "Positive"}'


def build(source: str, task: Task = SENTIMENT, changes: Mapping[str, Any] | None = None, **abilities: Any) -> Augmenter:
    return build_gpt3mix({**SETTINGS, "label_source": source, **(changes or {})}, task, Abilities(**abilities))


def plan(augmenter: Augmenter, *answers: Completion) -> list[Request]:
    return augmenter.plan(EXAMPLES, 7, SLOT, answers)


def harvest(augmenter: Augmenter, *answers: Completion) -> SyntheticRow:
    return augmenter.harvest(EXAMPLES, 7, SLOT, answers)


def rejected(row: SyntheticRow) -> str | None:
    assert (row.soft_label, row.label_source, row.label_mass, row.text) == (None, None, None, row.text)
    return row.reason


# The label of the row that was written.


def test_words_of_one_token_need_no_more_requests() -> None:
    speech = {"": {" Positive": 0.6, " Negative": 0.3, " Pos": 0.004, " ": 0.003}}
    row, rounds = talk(build("logprobs"), write_row(speech, " Positive"), speech)

    assert [len(requests) for requests in rounds] == [1]
    assert row.soft_label == pytest.approx((1 / 3, 2 / 3))
    assert row.label_mass == pytest.approx(0.9)
    assert (row.label_source, row.request_key, row.kept) == ("logprobs", "the row", True)


def test_word_that_was_not_written_is_followed_to_its_end() -> None:
    speech = {
        "": {" Positive": 0.5, " Neg": 0.4},
        " Neg": {"ative": 0.5, "lect": 0.4, "at": 0.1},
        " Negat": {"ive": 0.8, "ion": 0.2},
    }
    row, rounds = talk(build("logprobs"), write_row(speech, " Positive"), speech)

    assert [len(requests) for requests in rounds] == [1, 1, 1]
    assert row.soft_label == pytest.approx((0.232 / 0.732, 0.5 / 0.732))
    assert row.label_mass == pytest.approx(0.732)


def test_following_request_is_whole() -> None:
    speech = {"": {" Positive": 0.5, " Neg": 0.4}}
    (main,) = plan(build("logprobs"))
    (request,) = plan(build("logprobs"), write_row(speech, " Positive", text=" fine (sentiment :"))

    assert request == Request(
        COMPLETIONS,
        {
            "prompt": f"{main.body['prompt']} fine (sentiment : Neg",
            "max_tokens": 1,
            "logprobs": 20,
            "temperature": 1.0,
            "top_p": 1.0,
            "seed": request.body["seed"],
        },
        "7-3-1-word",
    )


def test_token_that_begins_before_the_label_is_asked_for_whole() -> None:
    first = token(": Positive", (": Positive", 0.5), (": Neg", 0.4))
    answer = answered(" fine é (Sentiment: Positive)", [*plain(" fine é (Sentiment"), first, token(")", (")", 0.9))])
    (main,) = plan(build("logprobs"))
    (request,) = plan(build("logprobs"), answer)

    assert request.body["prompt"] == f"{main.body['prompt']} fine é (Sentiment: Neg"


def test_word_that_was_written_is_followed_for_nothing() -> None:
    speech = {"": {" Posi": 0.5, " Negative": 0.3}, " Posi": {"tive": 0.6, "on": 0.4}}
    row, rounds = talk(build("logprobs"), write_row(speech, " Posi", "tive"), speech)

    assert len(rounds) == 1
    assert row.soft_label == pytest.approx((0.5, 0.5))


def test_words_that_begin_alike_are_told_apart() -> None:
    task = Task("text", "sentiment", {"neg": "World", "pos": "Worldwide"})
    speech = {"": {" World": 0.8, " Worldwide": 0.1}, " World": {")": 0.75, "wide": 0.25}}
    row, rounds = talk(build("logprobs", task), write_row(speech, " Worldwide"), speech)

    assert [len(requests) for requests in rounds] == [1, 1]
    assert row.soft_label == pytest.approx((0.6 / 0.9, 0.3 / 0.9))


def test_space_of_its_own_is_followed() -> None:
    task = Task("text", "sentiment", {"neg": "1", "pos": "10"})
    speech = {"": {" ": 0.9}, " ": {"1": 1.0}, " 1": {"0": 0.25, ")": 0.75}}
    row, rounds = talk(build("logprobs", task), write_row(speech, " ", "1", "0"), speech)

    assert len(rounds) == 1
    assert row.soft_label == pytest.approx((0.75, 0.25))


def test_part_of_a_character_cannot_be_followed() -> None:
    task = Task("text", "sentiment", {"neg": "电", "pos": "影"})
    first = token(" 影", (" 影", 0.5), (" 电".encode()[:3], 0.4))
    row, rounds = talk(
        build("logprobs", task), answered(" fine (Sentiment: 影)", [*plain(" fine (Sentiment:"), first]), {}
    )

    assert (len(rounds), rejected(row)) == (1, UNCLEAR)


def test_answers_without_probabilities_leave_it_unclear() -> None:
    speech = {"": {" Positive": 0.5, " Neg": 0.4}}
    main = write_row(speech, " Positive")

    assert rejected(harvest(build("logprobs"), main, answered("ative"))) == UNCLEAR
    assert rejected(harvest(build("logprobs"), main, answered("ative", [Token(b"ative", 0.0, ())]))) == UNCLEAR


def test_beginning_without_end_is_given_up() -> None:
    speech = {"": {" Positive": 0.3}, **{" " * count: {" ": 0.99} for count in range(1, 200)}}
    speech[""][" "] = 0.6
    row, rounds = talk(build("logprobs"), write_row(speech, " Positive"), speech)

    assert sum(map(len, rounds)) == MOST_FOLLOWED + 1
    assert rejected(row) == UNCLEAR


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        ([], MISSING),
        (plain(" a fine film (Sent"), SHORT),
        ([Token(one.text, 0.0, ()) for one in plain(ROW.text)], ZERO),
        ([*plain(" a fine film (Sentiment:"), Token(b" Positive)", -math.inf, ((b" the", -0.1),))], NO_WORD),
    ],
    ids=["missing", "short", "zero", "none"],
)
def test_unusable_probabilities_reject_the_row(tokens: list[Token], reason: str) -> None:
    row = harvest(build("logprobs"), answered(ROW.text, tokens))

    assert (rejected(row), row.text, row.label) == (reason, "a fine film", "pos")


PIECES = [" N", " P", " Neg", " Pos", " Negative", " Positive", " ", "ative", "itive", "N", "P", "eg", "os", "x"]


@st.composite
def speeches(draw: st.DrawFn) -> Speech:
    speech: dict[str, dict[str, float]] = {}
    waiting = [""]
    while waiting:
        path = waiting.pop()
        pieces = draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4, unique=True))
        weights = [draw(st.floats(0.01, 1.0)) for _ in pieces]
        speech[path] = {piece: weight / sum(weights) for piece, weight in zip(pieces, weights, strict=True)}
        waiting += [path + piece for piece in pieces if len(path) + len(piece) <= 6]
    return speech


def exact(speech: Speech, path: str, word: str) -> float:
    """The probability of a word by trying all ways."""
    total = 0.0
    for piece, share in speech.get(path, {}).items():
        written = (path + piece).strip().lower()
        if written == word:
            total += share
        elif word.startswith(written):
            total += share * exact(speech, path + piece, word)
    return total


@STEADY
@given(speeches())
def test_probabilities_are_those_of_whole_words(speech: Speech) -> None:
    speech = {**speech, "": {**speech[""], " Positive": 0.5}}
    row, rounds = talk(build("logprobs"), write_row(speech, " Positive"), speech)
    truth = [exact(speech, "", word) for word in ("negative", "positive")]

    assert sum(map(len, rounds)) <= MOST_FOLLOWED + 1
    if row.kept:
        assert row.soft_label == pytest.approx([one / sum(truth) for one in truth], abs=0.06)
        assert row.label_mass == pytest.approx(min(sum(truth), 1.0), rel=0.06)
    else:
        assert row.reason == UNCLEAR


def test_negligible_beginnings_are_those_together_below_the_limit() -> None:
    each = 0.8 * NEGLIGIBLE / 3
    likely = {" Positive": 0.9 - 3 * each, " Pos": each, " Neg": each, " N": each}
    assert len(talk(build("logprobs"), write_row({"": likely}, " Positive"), {"": likely})[1]) == 1
    likely |= {" P": 3 * each}
    rounds = talk(build("logprobs"), write_row({"": likely}, " Positive"), {"": likely, " P": {"x": 0.9}})[1]
    assert [request.body["prompt"][-2:] for request in rounds[1]] == [" P"]


# Chat.


def chat_row(*pieces: Token, content: str = ITEM) -> Completion:
    place = content.index("Positive")
    return answered(content, [*plain(content[:place]), *pieces, *plain(content[place + 8 :])], key="the row")


def test_label_of_a_chat_row_is_read() -> None:
    row = harvest(build("logprobs", chat=True), chat_row(token("Positive", ("Positive", 0.6), ("Negative", 0.2))))

    assert (row.soft_label, row.label_mass) == (pytest.approx((0.25, 0.75)), pytest.approx(0.8))


def test_schema_decides_what_a_beginning_is() -> None:
    answer = chat_row(token("Positive", ("Positive", 0.6), ("Neg", 0.2)))

    assert harvest(build("logprobs", chat=True, structured=True), answer).soft_label == pytest.approx((0.25, 0.75))
    assert plan(build("logprobs", chat=True), answer) == []
    assert rejected(harvest(build("logprobs", chat=True), answer)) == UNCLEAR


def test_label_before_the_text_says_nothing_of_it() -> None:
    content = '{"label": "Positive", "text": "fine"}'
    answer = chat_row(token("Positive", ("Positive", 0.6)), content=content)

    assert rejected(harvest(build("logprobs", chat=True), answer)) == LABEL_FIRST
    assert harvest(build("hard", chat=True), answer).kept


# The label alone.


def test_label_is_classified_by_a_second_request() -> None:
    speech = {"": {" Negative": 0.7, " Pos": 0.2}, " Pos": {"itive": 0.5}}
    augmenter = build("classify")
    (first,) = plan(augmenter)
    (second,) = plan(augmenter, ROW)
    row, rounds = talk(augmenter, ROW, speech)

    assert "logprobs" not in first.body
    assert second.body["prompt"] == f"{first.body['prompt']} a fine film (Sentiment:"
    assert second.body == {
        "prompt": second.body["prompt"],
        "max_tokens": 10,
        "stop": ["\n"],
        "logprobs": 20,
        "temperature": 1.0,
        "top_p": 1.0,
        "seed": second.body["seed"],
    }
    assert second.sample == "7-3-1-label"
    assert [len(requests) for requests in rounds] == [1, 1, 1]
    assert row.soft_label == pytest.approx((0.875, 0.125))
    # The label is the word that was written, the soft label may be surer of another.
    assert (row.label, row.label_source, row.request_key) == ("pos", "classify", "the row")


def test_chat_is_asked_for_a_letter() -> None:
    augmenter = build("classify", chat=True, structured=True, seed=False, sampling=False)
    (request,) = plan(augmenter, answered(ITEM))
    row = harvest(augmenter, answered(ITEM), answered("A", [token("A", ("A", 0.5), (" B", 0.25), ("The", 0.2))]))

    assert request.path == CHAT
    assert sorted(request.body) == ["logprobs", "max_tokens", "messages", "top_logprobs"]
    assert request.body["max_tokens"] == 1
    assert row.soft_label == pytest.approx((2 / 3, 1 / 3))
    assert row.label_mass == pytest.approx(0.75)


def test_classification_without_probabilities_rejects_the_row() -> None:
    assert rejected(harvest(build("classify"), ROW, answered(" Positive)"))) == MISSING
    assert rejected(harvest(build("classify", chat=True), answered(ITEM), answered(""))) == MISSING


# Votes.


def test_votes_are_counted_with_one_for_each_label() -> None:
    augmenter = build("vote", changes={"votes": 4})
    (request,) = plan(augmenter, ROW)
    texts = [" Positive)", " positive", " Negative) or so", " Mixed)"]
    votes = Completion("votes", tuple(Choice(text, "stop", ()) for text in texts))
    row = harvest(augmenter, ROW, votes)

    assert (request.body["n"], request.body["temperature"], "logprobs" in request.body) == (4, 1.0, False)
    assert row.soft_label == pytest.approx((2 / 5, 3 / 5))
    assert (row.label_mass, row.label_source, row.request_key) == (0.75, "vote", "the row")


def test_votes_come_one_by_one_where_n_is_not_taken() -> None:
    augmenter = build("vote", changes={"votes": 3}, n=False)
    requests = plan(augmenter, ROW)

    assert [request.sample for request in requests] == ["7-3-1-vote-0", "7-3-1-vote-1", "7-3-1-vote-2"]
    assert len({request.body["seed"] for request in requests}) == 3
    assert all("n" not in request.body for request in requests)
    row = harvest(augmenter, ROW, *[answered(text) for text in (" Positive)", " Positive)", "?")])
    assert (row.soft_label, row.label_mass) == (pytest.approx((1 / 4, 3 / 4)), pytest.approx(2 / 3))


def test_row_without_vote_is_rejected() -> None:
    assert rejected(harvest(build("vote"), ROW, answered("?"))) == NO_VOTE


def test_chat_votes_with_letters_and_room_to_think() -> None:
    augmenter = build("vote", chat=True, max_tokens="max_completion_tokens")
    (request,) = plan(augmenter, answered(ITEM))

    assert (request.body["n"], request.body["max_completion_tokens"]) == (20, 100)
    assert harvest(augmenter, answered(ITEM), answered("B")).soft_label == pytest.approx((1 / 3, 2 / 3))


# Decisions.


def test_decision_request_is_whole() -> None:
    augmenter = build("decisions", chat=True)
    (request,) = plan(augmenter, answered(ITEM))
    first, second = (next(one for one in EXAMPLES if one.id == name) for name in harvest_ids(augmenter))
    words = {"neg": "Negative", "pos": "Positive"}

    assert request == Request(
        DECISIONS,
        {
            "input": (
                "Each item in the following list contains a movie review and the respective sentiment. "
                "Sentiment is one of 'negative' or 'positive'.\n\n"
                f'{{"text": "{first.text}", "label": "{words[first.label]}"}}\n'
                f'{{"text": "{second.text}", "label": "{words[second.label]}"}}\n\n'
                "The last one, without its sentiment:\n\na fine film"
            ),
            "questions": [
                {
                    "type": "choice",
                    "instructions": "Which sentiment does the last movie review have?",
                    "choices": [{"value": "Negative"}, {"value": "Positive"}],
                }
            ],
        },
        "7-3-1-decision",
    )


def harvest_ids(augmenter: Augmenter) -> tuple[str, ...]:
    return harvest(augmenter, answered(ITEM), answered("", finish_reason="refusal")).source_ids


def test_decision_is_read_by_its_values() -> None:
    decision = replace(answered("Positive"), probabilities={"Positive": 0.6, "Negative": 0.2, "Other": 0.2})
    row = harvest(build("decisions"), ROW, decision)

    assert (row.soft_label, row.label_mass) == (pytest.approx((0.25, 0.75)), pytest.approx(0.8))
    assert row.label_source == "decisions"


def test_decision_without_label_rejects_the_row() -> None:
    assert rejected(harvest(build("decisions"), ROW, answered("", finish_reason="refusal"))) == REFUSED
    other = replace(answered("x"), probabilities={"Other": 1.0, "Positive": 0.0})
    assert rejected(harvest(build("decisions"), ROW, other)) == NO_DECISION


# Scoring.


def echo(request: Request, logprobs: Mapping[str, float], pieces: list[str]) -> Completion:
    """What an endpoint answers that echoes: the prompt's tokens, then one more."""
    prompt = request.body["prompt"]
    before = prompt.removesuffix("".join(pieces))
    assert before != prompt
    tokens = [Token(before.encode(), math.nan, ()), *(Token(piece.encode(), logprobs[piece], ()) for piece in pieces)]
    return answered(prompt + "\n", [*tokens, Token(b"\n", -0.5, ())])


def test_every_word_is_scored_by_its_own_tokens() -> None:
    augmenter = build("scoring", echo=True)
    requests = plan(augmenter, ROW)
    logprobs = {" Neg": -1.0, "ative": -1.0, " Positive": -1.5, ")": -5.0}
    row = harvest(
        augmenter,
        ROW,
        echo(requests[0], logprobs, [" Neg", "ative", ")"]),
        echo(requests[1], logprobs, [" Positive", ")"]),
    )

    assert [request.body["prompt"].rpartition("\n")[2] for request in requests] == [
        "Movie review: a fine film (Sentiment: Negative)",
        "Movie review: a fine film (Sentiment: Positive)",
    ]
    assert [request.sample for request in requests] == ["7-3-1-score-0", "7-3-1-score-1"]
    assert {"echo": True, "logprobs": 1, "max_tokens": 1}.items() <= requests[0].body.items()
    negative, positive = math.exp(-2.0), math.exp(-1.5)
    assert row.soft_label == pytest.approx((negative / (negative + positive), positive / (negative + positive)))
    assert row.label_mass == pytest.approx(negative + positive)
    assert row.label_source == "scoring"


def test_bracket_counts_for_a_word_that_begins_another() -> None:
    augmenter = build("scoring", Task("text", "sentiment", {"neg": "World", "pos": "Worldwide"}), echo=True)
    written = answered(" fine (Sentiment: World)")
    requests = plan(augmenter, written)
    logprobs = {" World": -1.0, "wide": -2.0, ")": -0.5}
    row = harvest(
        augmenter,
        written,
        echo(requests[0], logprobs, [" World", ")"]),
        echo(requests[1], logprobs, [" World", "wide", ")"]),
    )

    assert row.label_mass == pytest.approx(math.exp(-1.5) + math.exp(-3.0))


def test_small_probabilities_are_not_lost() -> None:
    augmenter = build("scoring", echo=True)
    requests = plan(augmenter, ROW)
    row = harvest(
        augmenter,
        ROW,
        echo(requests[0], {" Negative": -900.0, ")": -0.1}, [" Negative", ")"]),
        echo(requests[1], {" Positive": -900.0, ")": -0.1}, [" Positive", ")"]),
    )

    assert row.soft_label == pytest.approx((0.5, 0.5))
    assert row.label_mass == 0.0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered("x"), MISSING),
        (answered("x", [Token(b"x", -1.0, ())]), NO_ECHO),
        (answered("x", [Token(b"x", 0.0, ())]), ZERO),
    ],
    ids=["missing", "no echo", "zero"],
)
def test_prompt_that_was_not_echoed_rejects_the_row(answer: Completion, reason: str) -> None:
    assert rejected(harvest(build("scoring", echo=True), ROW, answer, answer)) == reason


def test_unknown_or_zero_word_rejects_the_row() -> None:
    augmenter = build("scoring", echo=True)
    requests = plan(augmenter, ROW)
    for logprob, reason in ((math.nan, SHORT), (0.0, ZERO)):
        answers = [
            echo(request, {word: logprob, ")": -0.1}, [word, ")"])
            for request, word in zip(requests, (" Negative", " Positive"), strict=True)
        ]
        assert rejected(harvest(augmenter, ROW, *answers)) == reason


# All of them.


def test_hard_labels_ask_nothing() -> None:
    row = harvest(build("hard"), ROW)

    assert plan(build("hard"), ROW) == []
    assert (row.soft_label, row.label_source, row.label_mass) == ((0.0, 1.0), "hard", 1.0)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_unusable_row_asks_no_more(source: str) -> None:
    augmenter = build(source, echo=True)
    unusable = answered(" fine (Sentiment: Mixed)")

    assert plan(augmenter, unusable) == []
    assert harvest(augmenter, unusable).reason == "unknown label"


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_requests_name_their_slot(source: str) -> None:
    augmenter = build(source, echo=True)
    speech = {"": {" Positive": 0.5, " Neg": 0.4}}
    answers = [write_row(speech, " Positive")]
    names = {request.sample for request in [*plan(augmenter), *plan(augmenter, *answers)]}

    assert all(name == "7-3-1" or name.startswith("7-3-1-") for name in names)
    assert plan(augmenter, *answers) == plan(build(source, echo=True), *answers)


def test_model_of_these_tests_answers_what_it_is_asked() -> None:
    request = Request(COMPLETIONS, {"prompt": "x (Sentiment: Neg"}, "")
    speech = {" Neg": {"ative": 0.5, "x": 0.2}}

    assert reply(speech, request).text == "ative"
    assert speak(speech, " Neg", ["ative"])[0].top == ((b"ative", math.log(0.5)), (b"x", math.log(0.2)))
