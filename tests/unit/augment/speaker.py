"""A language model small enough to be known completely: what it writes after a label is opened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hypermix.augment.base import Augmenter, Slot
from hypermix.augment.dialogue import ask_next, conclude
from hypermix.records import COMPLETIONS, Choice, Completion, Example, Request, SyntheticRow, Task, Token

SENTIMENT = Task("movie review", "sentiment", {"neg": "negative", "pos": "positive"})
EXAMPLES = [Example(f"row {row}", f"text {row}", ["neg", "pos"][row % 2]) for row in range(8)]
SETTINGS: dict[str, Any] = {
    "examples": 2,
    "multiplier": 1.0,
    "labels": "soft",
    "label_source": None,
    "votes": 20,
    "max_tokens": 100,
    "temperature": 1.0,
    "top_p": 0.9,
    "frequency_penalty": 0.01,
    "attempts": 3,
}
Speech = Mapping[str, Mapping[str, float]]
"""For what is written so far after the colon: what comes next, and how likely it is."""


def token(piece: str | bytes, *top: tuple[str | bytes, float]) -> Token:
    """A token with likely ones and their probabilities, its own among them or 0.1."""
    likely = tuple((_bytes(one), math.log(share) if share else -math.inf) for one, share in top)
    return Token(_bytes(piece), dict(likely).get(_bytes(piece), math.log(0.1)), likely)


def plain(text: str, size: int = 3) -> list[Token]:
    """Tokens of some bytes each, at places that do not matter."""
    content = text.encode("utf-8", "replace")
    return [token(content[start : start + size], (b"x", 0.5)) for start in range(0, len(content), size)]


def answered(text: str, tokens: Sequence[Token] = (), finish_reason: str = "stop", key: str = "key") -> Completion:
    """An answer of one choice."""
    return Completion(key, (Choice(text, finish_reason, tuple(tokens)),))


def speak(speech: Speech, path: str, written: Sequence[str]) -> list[Token]:
    """The tokens of what is written on from a path."""
    tokens = []
    for piece in written:
        tokens.append(token(piece, *speech[path].items()))
        path += piece
    return tokens


def write_row(speech: Speech, *written: str, text: str = " fine (Sentiment:") -> Completion:
    """A row whose label is written in these pieces."""
    tokens = [*plain(text), *speak(speech, "", written), token(")", (")", 0.9))]
    return answered(f"{text}{''.join(written)})", tokens, key="the row")


def reply(speech: Speech, request: Request) -> Completion:
    """What the model answers to a prompt that ends in or before a label: its likeliest next piece."""
    assert request.path == COMPLETIONS
    path = request.body["prompt"].rpartition(":")[2]
    likeliest = max(speech.get(path, {"?": 1.0}).items(), key=lambda entry: entry[1])[0]
    return answered(likeliest, speak({"?": {}, **speech, path: speech.get(path, {"?": 1.0})}, path, [likeliest]))


def talk(augmenter: Augmenter, first: Completion, speech: Speech) -> tuple[SyntheticRow, list[list[Request]]]:
    """Talk to the model until a slot has nothing more to ask; the first answer is given."""
    answers: list[Completion] = []
    rounds: list[list[Request]] = []
    while requests := ask_next(augmenter.talk(Slot(3, 1)), answers):
        rounds.append(requests)
        answers += [first] if len(rounds) == 1 else [reply(speech, request) for request in requests]
    return conclude(augmenter.talk(Slot(3, 1)), answers), rounds


def _bytes(piece: str | bytes) -> bytes:
    return piece.encode() if isinstance(piece, str) else piece
