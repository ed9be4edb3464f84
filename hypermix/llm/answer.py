"""Reading a stored answer: pure functions of the bytes that came, for all three APIs.

A body comes from a server and may hold anything. `check_answer` decides whether it is an answer at all; what it lets
pass is read by the other two without an error. Log-probabilities that make no sense are read as none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from hypermix.errors import LlmError
from hypermix.llm.price import Tokens
from hypermix.records import CHAT, DECISIONS, Choice, Completion, Token

_SHOWN_CHARACTERS = 200
_BYTES_MARK = "bytes:"
_ENDED_UNSAID = ("length", "content_filter", "refusal")
"""Reasons to end without a text that are answers all the same: they were paid, and asking again changes nothing."""


def check_answer(path: str, response: str, choices: int = 1) -> None:
    """Check that a body is an answer at all, before it is stored.

    Servers and proxies answer 200 with HTML, with an error object, or with no choice.

    Args:
        path: The API that was asked, one of those in `hypermix.records`.
        response: The raw body.
        choices: How many answers were asked for.

    Raises:
        LlmError: If it is no answer: it may be asked for again.
    """
    try:
        body = json.loads(response)
    except (ValueError, RecursionError):
        raise _refused(response, "is no JSON") from None
    if not isinstance(body, dict):
        raise _refused(response, "is no object")
    if body.get("error"):
        raise _refused(response, "tells an error")
    problem = _judge_decision(body) if path == DECISIONS else _judge_choices(path, body, choices)
    if problem is not None:
        raise _refused(response, problem)


def read_answer(key: str, path: str, response: str) -> Completion:
    """Read the texts and the log-probabilities of an answer.

    Args:
        key: The request key.
        path: The API that was asked.
        response: The raw body, checked by `check_answer`.

    Returns:
        The completion. Both forms of log-probabilities are read in either API, since some servers give the chat form
        in completions. Text offsets are never read: servers count them differently.
    """
    body = json.loads(response)
    if path == DECISIONS:
        return _read_decision(key, body)
    ordered = sorted(body["choices"], key=lambda choice: choice.get("index") or 0)
    return Completion(key, tuple(_read_choice(path, choice) for choice in ordered))


def read_usage(response: str) -> Tokens:
    """Return the tokens that an answer was billed for; 0 where it does not say.

    Tokens of reasoning are part of the answer's. A decision is billed for its input alone.
    """
    body = json.loads(response)
    return _read_usage(body) if isinstance(body, dict) else Tokens()


def _read_usage(body: Mapping[str, Any]) -> Tokens:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return Tokens()
    if "prompt_tokens" not in usage and "input_tokens" in usage:
        return Tokens(_count(usage["input_tokens"]))
    return Tokens(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _refused(response: str, problem: str) -> LlmError:
    return LlmError(f"the endpoint answered {response[:_SHOWN_CHARACTERS]!r}, which {problem}; nothing was stored")


def _judge_choices(path: str, body: Mapping[str, Any], wanted: int) -> str | None:
    found = body.get("choices")
    if not isinstance(found, list) or not found:
        return "has no choice"
    if len(found) != wanted:
        return f"has {len(found)} choices instead of {wanted}"
    if not all(isinstance(choice, dict) for choice in found):
        return "has a choice that is no object"
    indexes = [choice.get("index") for choice in found]
    # A lone choice needs no number.
    numbered = all(type(index) is int for index in indexes) and sorted(indexes) == list(range(wanted))
    if not numbered and indexes != [None]:
        return f"does not number its choices from 0 to {wanted - 1}"
    texts = [_text(path, choice) for choice in found]
    if any(text is None and not _ended_silently(path, choice) for text, choice in zip(texts, found, strict=True)):
        return "has a choice without a text"
    said = any(texts) or any(_finish(path, choice) in _ENDED_UNSAID for choice in found)
    if not said and _read_usage(body).completion == 0:
        return "is empty, with no token billed for it"
    return None


def _text(path: str, choice: Mapping[str, Any]) -> str | None:
    """Return the text of a choice; None if it has none."""
    if path != CHAT:
        text = choice.get("text")
        return text if isinstance(text, str) else None
    message = choice.get("message")
    if not isinstance(message, dict):
        return None
    found = [message[name] for name in ("content", "refusal") if isinstance(message.get(name), str)]
    return next((text for text in found if text), found[0] if found else None)


def _finish(path: str, choice: Mapping[str, Any]) -> str:
    message = choice.get("message")
    if path == CHAT and isinstance(message, dict) and message.get("refusal"):
        return "refusal"
    return str(choice.get("finish_reason"))


def _ended_silently(path: str, choice: Mapping[str, Any]) -> bool:
    """Return whether a message is empty for a reason that it tells."""
    message = choice.get("message")
    empty = path == CHAT and isinstance(message, dict) and message.get("content") is None
    return empty and _finish(path, choice) in _ENDED_UNSAID


def _read_choice(path: str, choice: Mapping[str, Any]) -> Choice:
    return Choice(
        _clean(_text(path, choice) or ""), _clean(_finish(path, choice)), _read_tokens(choice.get("logprobs"))
    )


def _judge_decision(body: Mapping[str, Any]) -> str | None:
    answers = body.get("answers")
    if not isinstance(answers, list) or len(answers) != 1 or not isinstance(answers[0], dict):
        return "has not one answer to its one question"
    (answer,) = answers
    if answer.get("type") == "refusal":
        return None
    if answer.get("type") != "choice" or not isinstance(answer.get("probabilities"), list):
        return "is no choice with probabilities"
    for entry in answer["probabilities"]:
        fine = (
            isinstance(entry, dict)
            and isinstance(entry.get("value"), str | bool)
            and _is_share(entry.get("probability"))
        )
        if not fine:
            return "has a probability that is none"
    return None if answer["probabilities"] else "is no choice with probabilities"


def _read_decision(key: str, body: Mapping[str, Any]) -> Completion:
    (answer,) = body["answers"]
    if answer["type"] == "refusal":
        return Completion(key, (Choice("", "refusal", ()),))
    # A boolean is another value than a string with its name, and none is ever asked about.
    shares = {
        _clean(entry["value"]): float(entry["probability"])
        for entry in answer["probabilities"]
        if isinstance(entry["value"], str)
    }
    return Completion(key, (Choice(_clean(str(answer.get("choice"))), "stop", ()),), shares)


def _read_tokens(logprobs: Any) -> tuple[Token, ...]:
    """Read either form of log-probabilities; none if they are not of that form."""
    if not isinstance(logprobs, dict):
        return ()
    try:
        if logprobs.get("content"):
            return tuple(_read_entry(entry) for entry in logprobs["content"])
        return _read_columns(logprobs) if logprobs.get("tokens") else ()
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return ()


def _read_entry(entry: Mapping[str, Any]) -> Token:
    top = [(_bytes(other), _logprob(other["logprob"])) for other in entry.get("top_logprobs") or []]
    return Token(_bytes(entry), _logprob(entry["logprob"]), _ranked(top))


def _read_columns(logprobs: Mapping[str, Any]) -> tuple[Token, ...]:
    tokens = logprobs["tokens"]
    given = logprobs.get("token_logprobs") or []
    tops = logprobs.get("top_logprobs") or []
    return tuple(
        Token(
            _unmarked(token),
            _logprob(given[place] if place < len(given) else None),
            _ranked([(_unmarked(text), _logprob(value)) for text, value in _items(tops, place)]),
        )
        for place, token in enumerate(tokens)
    )


def _items(tops: list[Any], place: int) -> list[tuple[str, Any]]:
    found = tops[place] if place < len(tops) else None
    return list(found.items()) if found else []


def _ranked(top: list[tuple[bytes, float]]) -> tuple[tuple[bytes, float], ...]:
    known = [entry for entry in top if not math.isnan(entry[1])]
    return tuple(sorted(known, key=lambda entry: -entry[1]))


def _bytes(entry: Mapping[str, Any]) -> bytes:
    # A token may end inside a character, so its text alone would lie.
    return bytes([*entry["bytes"]]) if entry.get("bytes") is not None else _encode(entry["token"])


def _unmarked(token: str) -> bytes:
    r"""Return the bytes of a token that only has a text; some write parts of characters as ``bytes:\xf0\x9f``."""
    hidden = token.removeprefix(_BYTES_MARK).strip()
    if token.startswith(_BYTES_MARK) and re.fullmatch(r"(\\x[0-9a-fA-F]{2})+", hidden):
        return bytes.fromhex(hidden.replace("\\x", ""))
    return _encode(token)


def _encode(text: str) -> bytes:
    # JSON may hold half of a surrogate pair, which no file can.
    return text.encode("utf-8", "replace")


def _clean(text: str) -> str:
    return _encode(text).decode("utf-8")


def _logprob(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(int(value), 0) if isinstance(value, int) or math.isfinite(value) else 0
