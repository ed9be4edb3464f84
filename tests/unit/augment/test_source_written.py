"""The label read from the row itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.score import MISSING, NO_WORD, SHORT, UNCLEAR, ZERO
from hypermix.augment.source import LABEL_FIRST, MOST_FOLLOWED, NEGLIGIBLE
from hypermix.records import COMPLETIONS, Completion, Request, Task, Token
from tests.unit.augment.sources import ITEM, ROW, build, harvest, plan, rejected
from tests.unit.augment.speaker import Speech, answered, plain, talk, token, write_row

STEADY = settings(deadline=None, derandomize=True, max_examples=60)


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
