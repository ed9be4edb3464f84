from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion as SdkCompletion
from openai.types import Decision
from openai.types.chat import ChatCompletion

from hypermix.errors import LlmError
from hypermix.llm.answer import check_answer, read_answer, read_usage
from hypermix.llm.price import Tokens
from hypermix.records import CHAT, COMPLETIONS, DECISIONS, Choice, Token
from tests.integration.llm.answers import CHATTED, DECIDED, LEGACY, PATHS, decided, said, texts
from tests.loopback import completion

STEADY = settings(deadline=None, derandomize=True, max_examples=200)


# The examples above are what the SDK's types say.


def test_examples_are_of_the_shapes_of_the_sdk() -> None:
    # The prompt's first token has no probability when it is echoed, which the type does not say.
    unsaid = json.dumps(LEGACY).replace("[null, ", "[").replace('"Movie:", ', "")
    assert SdkCompletion.model_validate_json(unsaid).choices[0].text == "Movie: Pos"
    assert ChatCompletion.model_validate(CHATTED).choices[0].message.content == "B"
    assert Decision.model_validate(DECIDED).answers[0].type == "choice"
    for path, body in zip((COMPLETIONS, CHAT, DECISIONS), (LEGACY, CHATTED, DECIDED), strict=True):
        check_answer(path, json.dumps(body))


# What is read.


def test_text_and_reason_are_read() -> None:
    found = read_answer("k", COMPLETIONS, completion(" fine\n"))
    assert (found.key, found.text, found.finish_reason, found.tokens) == ("k", " fine\n", "stop", ())


def test_choices_are_read_in_their_order() -> None:
    response = texts("two", "zero", "one", indexes=[2, 0, 1])
    check_answer(COMPLETIONS, response, 3)
    assert [choice.text for choice in read_answer("k", COMPLETIONS, response).choices] == ["zero", "one", "two"]


def test_missing_reason_is_told_as_none() -> None:
    assert read_answer("k", COMPLETIONS, '{"choices": [{"text": "x"}]}').finish_reason == "None"


def test_message_is_read() -> None:
    found = read_answer("k", CHAT, json.dumps(CHATTED))
    assert (found.text, found.finish_reason) == ("B", "stop")
    assert found.tokens == (Token(b"B", -0.1, ((b"B", -0.1), (b"A", -3.0))),)


@pytest.mark.parametrize(
    ("response", "choice"),
    [
        (said(None, refusal="I cannot"), Choice("I cannot", "refusal", ())),
        (said("partly", refusal="I cannot"), Choice("partly", "refusal", ())),
        (said("x", refusal=None), Choice("x", "stop", ())),
        (said(None, "length"), Choice("", "length", ())),
    ],
)
def test_refusal_is_a_reason_to_end(response: str, choice: Choice) -> None:
    check_answer(CHAT, response)
    assert read_answer("k", CHAT, response).choices == (choice,)


def test_decision_is_read() -> None:
    found = read_answer("k", DECISIONS, json.dumps(DECIDED))
    assert (found.text, found.finish_reason, found.probabilities) == (
        "Positive",
        "stop",
        {"Positive": 0.9, "Negative": 0.1},
    )


def test_decision_may_be_refused() -> None:
    response = decided({"type": "refusal", "name": None})
    check_answer(DECISIONS, response)
    found = read_answer("k", DECISIONS, response)
    assert (found.text, found.finish_reason, found.probabilities) == ("", "refusal", {})


def test_boolean_value_is_no_word() -> None:
    shares = [{"value": True, "probability": 0.5}, {"value": "True", "probability": 0.25}]
    response = decided({"type": "choice", "choice": True, "probabilities": shares})
    check_answer(DECISIONS, response)
    assert read_answer("k", DECISIONS, response).probabilities == {"True": 0.25}


def test_half_a_surrogate_pair_is_replaced() -> None:
    found = read_answer("k", COMPLETIONS, '{"choices": [{"text": "a\\ud83d", "finish_reason": "\\ud83d"}]}')
    assert (found.text, found.finish_reason) == ("a?", "?")


# Usage.


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 5}, Tokens(7, 5)),
        ({"prompt_tokens": 7}, Tokens(7, 0)),
        ({"prompt_tokens": None, "completion_tokens": 5}, Tokens(0, 5)),
        ({"prompt_tokens": -7, "completion_tokens": True}, Tokens()),
        ({"prompt_tokens": "7", "completion_tokens": [5]}, Tokens()),
        ({"prompt_tokens": 7.0, "completion_tokens": math.inf}, Tokens(7, 0)),
        (CHATTED["usage"], Tokens(30, 9)),
        (DECIDED["usage"], Tokens(40, 0)),
        ({}, Tokens()),
        (None, Tokens()),
        ([1], Tokens()),
    ],
    ids=str,
)
def test_billed_tokens_are_read(usage: Any, tokens: Tokens) -> None:
    assert read_usage(json.dumps({"usage": usage})) == tokens


def test_answer_without_usage_costs_zero() -> None:
    assert read_usage("{}") == read_usage("[]") == Tokens()


# Anything may come.


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "choices",
                        "text",
                        "index",
                        "message",
                        "content",
                        "refusal",
                        "finish_reason",
                        "logprobs",
                        "usage",
                    ),
                    *(
                        "tokens",
                        "token_logprobs",
                        "top_logprobs",
                        "token",
                        "bytes",
                        "logprob",
                        "answers",
                        "type",
                        "value",
                    ),
                    *("probabilities", "probability", "prompt_tokens", "completion_tokens", "error"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


CHOICES = st.fixed_dictionaries(
    {"text": JSON | st.text(), "message": JSON | st.fixed_dictionaries({"content": JSON | st.text(), "refusal": JSON})},
    optional={"index": st.just(0), "finish_reason": JSON, "logprobs": JSON | st.fixed_dictionaries({"content": JSON})},
)


BODIES = JSON | st.fixed_dictionaries({"choices": st.lists(CHOICES, max_size=2)}, optional={"usage": JSON})


@STEADY
@given(BODIES.map(json.dumps) | st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "replace")))
@also('{"usage": {"prompt_tokens": ' + "9" * 4000 + "}}")
@also("1" * 5000)
def test_whatever_passes_the_check_can_be_read(response: str) -> None:
    for path in PATHS:
        try:
            check_answer(path, response)
        except LlmError:
            continue
        found = read_answer("k", path, response)
        assert len(found.choices) == 1
        assert found.text.encode() is not None
        assert read_usage(response).total >= 0
