"""What is no answer, and is refused before it is stored."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.answer import check_answer
from hypermix.records import CHAT, COMPLETIONS, DECISIONS
from tests.integration.llm.answers import CHATTED, LEGACY, PATHS, decided, refused, said, texts
from tests.loopback import completion


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("response", "problem"),
    [
        ("", "is no JSON"),
        ("<html><body>Bad gateway</body></html>", "is no JSON"),
        ('{"choices": [{"text": "cut o', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no object"),
        ("null", "is no object"),
        ('"choices"', "is no object"),
        ('{"error": {"message": "the model is loading", "code": 503}}', "tells an error"),
        ('{"error": "busy", "choices": [{"text": "x"}]}', "tells an error"),
    ],
    ids=lambda value: ascii(value[:20]),
)
def test_no_answer_is_refused_and_shown(path: str, response: str, problem: str) -> None:
    assert refused(path, response) == problem


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize(
    ("response", "problem"),
    [
        ("{}", "has no choice"),
        ('{"choices": []}', "has no choice"),
        ('{"choices": {}}', "has no choice"),
        ('{"choices": null}', "has no choice"),
        ('{"choices": [null]}', "has a choice that is no object"),
        ('{"choices": [{"text": null, "message": null}]}', "has a choice without a text"),
        ('{"choices": [{"text": 7, "message": {"content": 7}}]}', "has a choice without a text"),
        ('{"choices": [{"index": 1, "text": "x"}]}', "does not number its choices from 0 to 0"),
        ('{"choices": [{"index": true, "text": "x"}]}', "does not number its choices from 0 to 0"),
    ],
)
def test_choices_without_a_text_are_refused(path: str, response: str, problem: str) -> None:
    assert refused(path, response) == problem


def test_answer_of_another_api_is_refused() -> None:
    assert refused(COMPLETIONS, json.dumps(CHATTED)) == "has a choice without a text"
    assert refused(CHAT, json.dumps(LEGACY)) == "has a choice without a text"
    assert refused(DECISIONS, json.dumps(CHATTED)) == "has not one answer to its one question"


@pytest.mark.parametrize(
    ("indexes", "problem"),
    [
        ([0, 1], "has 2 choices instead of 3"),
        ([0, 1, 2, 3], "has 4 choices instead of 3"),
        ([0, 1, 1], "does not number its choices from 0 to 2"),
        ([1, 2, 3], "does not number its choices from 0 to 2"),
        ([0, 1, None], "does not number its choices from 0 to 2"),
        ([0, 1, "2"], "does not number its choices from 0 to 2"),
        ([0.0, 1.0, 2.0], "does not number its choices from 0 to 2"),
    ],
    ids=str,
)
def test_every_choice_must_be_there_once(indexes: list[Any], problem: str) -> None:
    assert refused(COMPLETIONS, texts(*"abcd"[: len(indexes)], indexes=indexes), 3) == problem


def test_long_page_is_shown_in_part() -> None:
    with pytest.raises(LlmError, match="<html>") as caught:
        check_answer(COMPLETIONS, "<html>" + "x" * 100_000)
    assert len(str(caught.value)) < 400
    assert not re.search(r"\n", str(caught.value))


@pytest.mark.parametrize("text", ["", " fine", "\n", "schön 🎬"])
def test_choice_with_text_is_let_pass(text: str) -> None:
    check_answer(COMPLETIONS, completion(text))


def test_empty_text_is_an_answer_if_it_was_paid_or_explained() -> None:
    empty = "is empty, with no token billed for it"

    assert refused(COMPLETIONS, texts("")) == empty
    assert refused(COMPLETIONS, texts("", usage={"prompt_tokens": 5, "completion_tokens": 0})) == empty
    assert refused(CHAT, said("", billed=0)) == empty
    assert refused(CHAT, said("", refusal="")) == empty
    check_answer(COMPLETIONS, texts("", usage={"completion_tokens": 1}))
    check_answer(COMPLETIONS, texts("", "x"), 2)
    for response in (
        said("", billed=1),
        said("", "length"),
        said(None, "length", billed=50),
        said(None, "content_filter"),
        said("", refusal="no"),
        said(None, refusal="I cannot"),
    ):
        check_answer(CHAT, response)


def test_message_without_text_is_refused() -> None:
    assert refused(CHAT, said(None, "tool_calls", billed=5)) == "has a choice without a text"
    assert refused(CHAT, said([{"type": "text", "text": "x"}])) == "has a choice without a text"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "has not one answer to its one question"),
        ({}, "is no choice with probabilities"),
        ({"type": "predicate", "probability": 0.5}, "is no choice with probabilities"),
        ({"type": "choice", "choice": "x"}, "is no choice with probabilities"),
        ({"type": "choice", "choice": "x", "probabilities": []}, "is no choice with probabilities"),
        ({"type": "choice", "probabilities": [3]}, "has a probability that is none"),
        ({"type": "choice", "probabilities": [{"value": "x"}]}, "has a probability that is none"),
        ({"type": "choice", "probabilities": [{"value": 3, "probability": 1.0}]}, "has a probability that is none"),
        ({"type": "choice", "probabilities": [{"value": "x", "probability": 1.5}]}, "has a probability that is none"),
        (
            {"type": "choice", "probabilities": [{"value": "x", "probability": math.nan}]},
            "has a probability that is none",
        ),
        ({"type": "choice", "probabilities": [{"value": "x", "probability": True}]}, "has a probability that is none"),
    ],
    ids=str,
)
def test_decision_without_probabilities_is_refused(answer: Any, problem: str) -> None:
    assert refused(DECISIONS, decided(answer)) == problem
