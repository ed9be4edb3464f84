from __future__ import annotations

import json
import math
import re
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
from tests.loopback import completion

STEADY = settings(deadline=None, derandomize=True, max_examples=200)
PATHS = (COMPLETIONS, CHAT, DECISIONS)

# What llama.cpp's server answers for one token, shortened to two likely ones.
LLAMA = {
    "choices": [
        {
            "text": " Positive",
            "index": 0,
            "logprobs": {
                "content": [
                    {
                        "id": 40414,
                        "token": " Positive",
                        "bytes": [32, 80, 111, 115, 105, 116, 105, 118, 101],
                        "logprob": -0.25,
                        "top_logprobs": [
                            {
                                "id": 40414,
                                "token": " Positive",
                                "bytes": [32, 80, 111, 115, 105, 116, 105, 118, 101],
                                "logprob": -0.25,
                            },
                            {"id": 7, "token": " Neg", "bytes": [32, 78, 101, 103], "logprob": -1.5},
                        ],
                    }
                ],
                "text_offset": None,
                "tokens": None,
            },
            "finish_reason": "length",
        }
    ],
    "usage": {"completion_tokens": 1, "prompt_tokens": 12, "total_tokens": 13},
}

# The older form, as the SDK's types have it; the offsets are wrong on purpose.
LEGACY = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "text": "Movie: Pos",
            "index": 0,
            "finish_reason": "length",
            "logprobs": {
                "tokens": ["Movie:", " Pos"],
                "token_logprobs": [None, -0.5],
                "top_logprobs": [None, {" Neg": -1.5, " Pos": -0.5}],
                "text_offset": [700, -3],
            },
        }
    ],
    "usage": {"completion_tokens": 1, "prompt_tokens": 2, "total_tokens": 3},
}

CHATTED: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "B", "refusal": None},
            "logprobs": {
                "content": [
                    {
                        "token": "B",
                        "bytes": [66],
                        "logprob": -0.1,
                        "top_logprobs": [
                            {"token": "A", "bytes": [65], "logprob": -3.0},
                            {"token": "B", "bytes": [66], "logprob": -0.1},
                        ],
                    }
                ],
                "refusal": None,
            },
        }
    ],
    "usage": {
        "prompt_tokens": 30,
        "completion_tokens": 9,
        "total_tokens": 39,
        "completion_tokens_details": {"reasoning_tokens": 8},
    },
}

DECIDED: dict[str, Any] = {
    "model": "gpt-6-luna",
    "answers": [
        {
            "type": "choice",
            "name": None,
            "choice": "Positive",
            "confidence": 0.9,
            "probabilities": [{"value": "Positive", "probability": 0.9}, {"value": "Negative", "probability": 0.1}],
        }
    ],
    "usage": {
        "input_tokens": 40,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 43,
    },
}


def with_logprobs(logprobs: Any) -> str:
    return json.dumps({"choices": [{"text": "x", "finish_reason": "stop", "logprobs": logprobs}]})


def texts(*given_texts: str, indexes: list[Any] | None = None, **more: Any) -> str:
    places = range(len(given_texts)) if indexes is None else indexes
    choices = [{"text": text, "index": place} for text, place in zip(given_texts, places, strict=True)]
    return json.dumps({"choices": choices, **more})


def said(content: Any = None, finish_reason: str = "stop", billed: int | None = None, **message: Any) -> str:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"content": content, **message}}
    usage = {} if billed is None else {"usage": {"prompt_tokens": 3, "completion_tokens": billed}}
    return json.dumps({"choices": [choice], **usage})


def decided(answer: Any) -> str:
    return json.dumps({**DECIDED, "answers": [answer]})


def refused(path: str, response: str, choices: int = 1) -> str:
    with pytest.raises(LlmError) as caught:
        check_answer(path, response, choices)
    message = str(caught.value)
    assert message.startswith(f"the endpoint answered {response[:200]!r}, which ")
    assert message.endswith("; nothing was stored")
    return message.removeprefix(f"the endpoint answered {response[:200]!r}, which ").removesuffix(
        "; nothing was stored"
    )


# The examples above are what the SDK's types say.


def test_examples_are_of_the_shapes_of_the_sdk() -> None:
    # The prompt's first token has no probability when it is echoed, which the type does not say.
    unsaid = json.dumps(LEGACY).replace("[null, ", "[").replace('"Movie:", ', "")
    assert SdkCompletion.model_validate_json(unsaid).choices[0].text == "Movie: Pos"
    assert ChatCompletion.model_validate(CHATTED).choices[0].message.content == "B"
    assert Decision.model_validate(DECIDED).answers[0].type == "choice"
    for path, body in zip((COMPLETIONS, CHAT, DECISIONS), (LEGACY, CHATTED, DECIDED), strict=True):
        check_answer(path, json.dumps(body))


# What is no answer.


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


# Log-probabilities.


def test_log_probabilities_of_llama_are_read() -> None:
    found = read_answer("k", COMPLETIONS, json.dumps(LLAMA))
    assert found.finish_reason == "length"
    assert found.tokens == (Token(b" Positive", -0.25, ((b" Positive", -0.25), (b" Neg", -1.5))),)


def test_legacy_log_probabilities_are_read() -> None:
    first, second = read_answer("k", COMPLETIONS, json.dumps(LEGACY)).tokens
    assert (first.text, first.top, math.isnan(first.logprob)) == (b"Movie:", (), True)
    assert second == Token(b" Pos", -0.5, ((b" Pos", -0.5), (b" Neg", -1.5)))


def test_either_form_is_read_in_either_api() -> None:
    legacy, content = LEGACY["choices"][0]["logprobs"], LLAMA["choices"][0]["logprobs"]  # type: ignore[index]
    message = {"choices": [{"index": 0, "message": {"content": "x"}, "logprobs": legacy}]}
    assert [token.text for token in read_answer("k", CHAT, json.dumps(message)).tokens] == [b"Movie:", b" Pos"]
    assert [token.text for token in read_answer("k", COMPLETIONS, with_logprobs(content)).tokens] == [b" Positive"]


@pytest.mark.parametrize(
    ("token", "content"),
    [
        (" é", " é".encode()),
        ("bytes:\\xf0\\x9f", b"\xf0\x9f"),
        ("bytes: \\xf0\\x9F", b"\xf0\x9f"),
        ("bytes:", b"bytes:"),
        ("bytes:\\xf", b"bytes:\\xf"),
        ("\ud83d", b"?"),
    ],
    ids=ascii,
)
def test_legacy_token_is_its_text_or_the_bytes_that_it_names(token: str, content: bytes) -> None:
    response = with_logprobs({"tokens": [token], "token_logprobs": [-1.0], "top_logprobs": [{token: -1.0}]})
    assert read_answer("k", COMPLETIONS, response).tokens == (Token(content, -1.0, ((content, -1.0),)),)


def test_token_may_end_inside_a_character() -> None:
    # The film clapper has four bytes; here they come in two tokens, whose texts are replacement characters.
    first, second = "🎬".encode()[:1], "🎬".encode()[1:]
    entries = [{"token": "\ufffd", "bytes": list(part), "logprob": -1.0} for part in (first, second)]
    tokens = read_answer("k", COMPLETIONS, with_logprobs({"content": entries})).tokens
    assert [token.text for token in tokens] == [first, second]
    assert b"".join(token.text for token in tokens).decode() == "🎬"


@pytest.mark.parametrize("entry", [{"token": "ö", "logprob": -1.0}, {"token": "ö", "bytes": None, "logprob": -1.0}])
def test_token_without_bytes_is_its_text(entry: dict[str, Any]) -> None:
    tokens = read_answer("k", COMPLETIONS, with_logprobs({"content": [entry]})).tokens
    assert tokens == (Token("ö".encode(), -1.0, ()),)


def test_token_of_no_bytes_is_empty() -> None:
    entry = {"token": "<eos>", "bytes": [], "logprob": -0.1}
    assert read_answer("k", COMPLETIONS, with_logprobs({"content": [entry]})).tokens[0].text == b""


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": []},
        {"tokens": []},
        [],
        "x",
        {"content": [3]},
        {"content": [{"token": "x"}]},
        {"content": [{"token": "x", "bytes": [256], "logprob": -1}]},
        {"content": [{"token": "x", "bytes": "ab", "logprob": -1}]},
        {"content": [{"token": None, "logprob": -1}]},
        {"content": [{"token": "x", "logprob": 10**400}]},
        {"tokens": [3], "token_logprobs": [-1], "top_logprobs": [{}]},
        {"tokens": ["x"], "token_logprobs": 3},
        {"tokens": ["x"], "top_logprobs": [[1]]},
    ],
    ids=lambda value: str(value)[:60],
)
def test_senseless_log_probabilities_are_none(logprobs: Any) -> None:
    assert read_answer("k", COMPLETIONS, with_logprobs(logprobs)).tokens == ()


@pytest.mark.parametrize("value", [None, "-1", True])
def test_number_that_is_none_is_unknown(value: Any) -> None:
    tops = [{"token": "a", "logprob": value}, {"token": "b", "logprob": -1}]
    entry = {"token": "a", "logprob": value, "top_logprobs": tops}
    (token,) = read_answer("k", COMPLETIONS, with_logprobs({"content": [entry]})).tokens
    assert math.isnan(token.logprob)
    assert token.top == ((b"b", -1.0),)


def test_short_columns_leave_the_rest_unknown() -> None:
    tokens = read_answer("k", COMPLETIONS, with_logprobs({"tokens": ["a", "b"], "token_logprobs": [-1]})).tokens
    assert [token.text for token in tokens] == [b"a", b"b"]
    assert [math.isnan(token.logprob) for token in tokens] == [False, True]
    assert [token.top for token in tokens] == [(), ()]


def test_likeliest_tokens_come_first() -> None:
    tops = [{"token": letter, "bytes": list(letter.encode()), "logprob": n - 3} for n, letter in enumerate("abc")]
    entry = {"token": "a", "bytes": [97], "logprob": 0, "top_logprobs": tops}
    (token,) = read_answer("k", COMPLETIONS, with_logprobs({"content": [entry]})).tokens
    assert token.top == ((b"c", -1.0), (b"b", -2.0), (b"a", -3.0))
    assert all(isinstance(logprob, float) for _, logprob in token.top)


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
