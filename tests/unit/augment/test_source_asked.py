"""The label asked for apart: by a second request, by votes, by a decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hypermix.augment.base import Augmenter
from hypermix.augment.score import MISSING
from hypermix.augment.source import NO_DECISION, NO_VOTE, REFUSED
from hypermix.records import CHAT, DECISIONS, Choice, Completion, Request
from tests.unit.augment.sources import ITEM, ROW, build, harvest, plan, rejected
from tests.unit.augment.speaker import EXAMPLES, answered, talk, token

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
