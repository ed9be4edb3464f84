"""Reading a stored answer: a pure function of the bytes that came."""

from __future__ import annotations

import json
from typing import Any

from hypermix.errors import LlmError
from hypermix.records import Completion, Token


def check_answer(response: str) -> None:
    """Check that a body is an answer at all, before it is stored.

    Servers and proxies answer 200 with HTML, with an error object, or with no choice.

    Raises:
        LlmError: If it is not JSON with at least one choice that has a text.
    """
    try:
        choice = json.loads(response)["choices"][0]
        fine = isinstance(choice["text"], str)
    except (ValueError, KeyError, IndexError, TypeError):
        fine = False
    if not fine:
        raise LlmError(f"the endpoint answered {response[:200]!r}, which has no choice with a text; nothing was stored")


def read_answer(key: str, response: str) -> Completion:
    """Read the text and the log-probabilities of an answer.

    Args:
        key: The request key.
        response: The raw body of a completions endpoint, checked by `check_answer`.

    Returns:
        The completion. Log-probabilities are read in the form of llama.cpp's server: tokens with their bytes.
    """
    choice = json.loads(response)["choices"][0]
    content = (choice.get("logprobs") or {}).get("content") or []
    # JSON may hold half of a surrogate pair, which no file can.
    text = choice["text"].encode("utf-8", "replace").decode("utf-8")
    return Completion(key, text, str(choice.get("finish_reason")), tuple(_token(entry) for entry in content))


def read_usage(response: str) -> tuple[int, int]:
    """Return the tokens of the prompt and of the completion that an answer was billed for; 0 where it does not say."""
    usage = json.loads(response).get("usage") or {}
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


def _token(entry: dict[str, Any]) -> Token:
    top = tuple((_bytes(other), float(other["logprob"])) for other in entry.get("top_logprobs") or [])
    return Token(_bytes(entry), float(entry["logprob"]), top)


def _bytes(entry: dict[str, Any]) -> bytes:
    # A token may end inside a character, so its text alone would lie.
    return bytes(entry["bytes"]) if entry.get("bytes") is not None else str(entry["token"]).encode()
