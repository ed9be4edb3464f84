"""The log-probabilities of an answer, in either form."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from hypermix.llm.answer import read_answer
from hypermix.records import CHAT, COMPLETIONS, Token
from tests.integration.llm.answers import LEGACY, LLAMA, with_logprobs


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
