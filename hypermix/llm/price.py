"""Tokens and dollars: what an answer was billed for, and what a request can be billed for at most. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FRAME = 32
"""Tokens that a chat template and special tokens add to a text, a generous bound."""

_TEXTS = ("prompt", "messages", "response_format", "input", "questions")
_BYTES_A_TOKEN = 4.0
"""Bytes of English text in a token of today's vocabularies, roughly."""


@dataclass(frozen=True)
class Tokens:
    """Tokens of prompts and of answers."""

    prompt: int = 0
    completion: int = 0

    @property
    def total(self) -> int:
        """Both together, as limits and caps count them."""
        return self.prompt + self.completion

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)


@dataclass(frozen=True)
class Rate:
    """Prices in US dollars a million tokens; 0 for a model that runs here."""

    input: float = 0.0
    output: float = 0.0

    def usd(self, tokens: Tokens) -> float:
        """Return the price of some tokens in US dollars."""
        return (self.input * tokens.prompt + self.output * tokens.completion) / 1e6


def count_bytes(body: Mapping[str, Any]) -> int:
    """Return the bytes of all texts that a request shows the model."""
    return sum(len(part.encode("utf-8", "replace")) for part in _parts(body))


def count_parts(body: Mapping[str, Any]) -> int:
    """Return how many texts a request shows the model, each of which may be framed by some tokens."""
    return len(_parts(body))


def most_completion(body: Mapping[str, Any]) -> int:
    """Return the most tokens that the answers to a request can have."""
    longest = body.get("max_tokens", body.get("max_completion_tokens", 0))
    return int(longest) * int(body.get("n", 1))


def most_tokens(body: Mapping[str, Any]) -> Tokens:
    """Return a bound on what a request can be billed for.

    A token of a byte-level vocabulary has at least one byte, so that bytes bound the tokens of a prompt.

    Args:
        body: The body as it is sent, for any of the APIs of `hypermix.records`.
    """
    return Tokens(count_bytes(body) + FRAME * count_parts(body), most_completion(body))


def likely_tokens(body: Mapping[str, Any]) -> Tokens:
    """Return a guess at what a request will be billed for: its length in common tokens, and the longest answer.

    Args:
        body: The body as it is sent.
    """
    return Tokens(round(count_bytes(body) / _BYTES_A_TOKEN) + 1, most_completion(body))


def _parts(body: Mapping[str, Any]) -> list[str]:
    return [text for name in _TEXTS if name in body for text in _texts(body[name])]


def _texts(value: Any) -> Iterator[str]:
    """Yield all strings in a part of a body, names of keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield str(name)
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
