"""Answers of each API, as servers give them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.answer import check_answer
from hypermix.records import CHAT, COMPLETIONS, DECISIONS

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
