from __future__ import annotations

import json
import re
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.answer import check_answer, read_answer, read_usage
from hypermix.records import Token
from tests.loopback import completion

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
                ]
            },
            "finish_reason": "length",
        }
    ],
    "usage": {"completion_tokens": 1, "prompt_tokens": 12, "total_tokens": 13},
}


def with_logprobs(logprobs: Any) -> str:
    return json.dumps({"choices": [{"text": "x", "finish_reason": "stop", "logprobs": logprobs}]})


@pytest.mark.parametrize(
    "response",
    [
        "",
        "<html><body>Bad gateway</body></html>",
        '{"error": {"message": "the model is loading", "code": 503}}',
        '{"choices": []}',
        '{"choices": {}}',
        '{"choices": null}',
        '{"choices": [null]}',
        '{"choices": [{"message": {"content": "a chat answer"}}]}',
        '{"choices": [{"text": null}]}',
        '{"choices": [{"text": 7}]}',
        '{"choices": [{"text": "cut o',
        "[]",
        "null",
        "3",
        '"choices"',
    ],
)
def test_no_answer_is_refused_and_shown(response: str) -> None:
    with pytest.raises(LlmError, match="no choice with a text; nothing was stored") as caught:
        check_answer(response)
    assert repr(response) in str(caught.value)


def test_long_page_is_shown_in_part() -> None:
    with pytest.raises(LlmError, match="<html>") as caught:
        check_answer("<html>" + "x" * 100_000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["", " fine", "\n", "schön 🎬"])
def test_choice_with_text_is_let_pass(text: str) -> None:
    check_answer(completion(text))


def test_text_and_reason_are_read() -> None:
    found = read_answer("k", completion(" fine\n"))
    assert (found.key, found.text, found.finish_reason, found.tokens) == ("k", " fine\n", "stop", ())


def test_first_of_many_choices_is_read() -> None:
    response = json.dumps({"choices": [{"text": "one"}, {"text": "two"}]})
    assert read_answer("k", response).text == "one"


def test_missing_reason_is_told_as_none() -> None:
    assert read_answer("k", '{"choices": [{"text": "x"}]}').finish_reason == "None"


def test_log_probabilities_of_llama_are_read() -> None:
    found = read_answer("k", json.dumps(LLAMA))
    assert found.finish_reason == "length"
    assert found.tokens == (Token(b" Positive", -0.25, ((b" Positive", -0.25), (b" Neg", -1.5))),)


def test_token_may_end_inside_a_character() -> None:
    # The film clapper has four bytes; here they come in two tokens, whose texts are replacement characters.
    first, second = "🎬".encode()[:1], "🎬".encode()[1:]
    entries = [{"token": "\ufffd", "bytes": list(part), "logprob": -1.0} for part in (first, second)]
    tokens = read_answer("k", with_logprobs({"content": entries})).tokens
    assert [token.text for token in tokens] == [first, second]
    assert b"".join(token.text for token in tokens).decode() == "🎬"


@pytest.mark.parametrize("entry", [{"token": "ö", "logprob": -1.0}, {"token": "ö", "bytes": None, "logprob": -1.0}])
def test_token_without_bytes_is_its_text(entry: dict[str, Any]) -> None:
    assert read_answer("k", with_logprobs({"content": [entry]})).tokens == (Token("ö".encode(), -1.0, ()),)


def test_token_of_no_bytes_is_empty() -> None:
    entry = {"token": "<eos>", "bytes": [], "logprob": -0.1}
    assert read_answer("k", with_logprobs({"content": [entry]})).tokens[0].text == b""


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": []}])
def test_missing_log_probabilities_are_no_tokens(logprobs: Any) -> None:
    assert read_answer("k", with_logprobs(logprobs)).tokens == ()


def test_likeliest_tokens_keep_their_order() -> None:
    tops = [{"token": letter, "bytes": list(letter.encode()), "logprob": -n} for n, letter in enumerate("abc")]
    entry = {"token": "a", "bytes": [97], "logprob": 0, "top_logprobs": tops}
    (token,) = read_answer("k", with_logprobs({"content": [entry]})).tokens
    assert token.top == ((b"a", 0.0), (b"b", -1.0), (b"c", -2.0))
    assert all(isinstance(logprob, float) for _, logprob in token.top)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 5}, (7, 5)),
        ({"prompt_tokens": 7}, (7, 0)),
        ({"prompt_tokens": None, "completion_tokens": 5}, (0, 5)),
        ({}, (0, 0)),
        (None, (0, 0)),
    ],
)
def test_billed_tokens_are_read(usage: Any, counts: tuple[int, int]) -> None:
    assert read_usage(json.dumps({"usage": usage})) == counts


def test_answer_without_usage_costs_zero() -> None:
    assert read_usage("{}") == (0, 0)


def test_refusal_is_one_line() -> None:
    with pytest.raises(LlmError) as caught:
        check_answer("<html>\n<body>\n")
    assert not re.search(r"\n", str(caught.value))
