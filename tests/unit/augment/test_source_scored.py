"""The label by the score of each of its words."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from hypermix.augment.score import MISSING, SHORT, ZERO
from hypermix.augment.source import NO_ECHO
from hypermix.records import Completion, Request, Task, Token
from tests.unit.augment.sources import ROW, build, harvest, plan, rejected
from tests.unit.augment.speaker import answered


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
