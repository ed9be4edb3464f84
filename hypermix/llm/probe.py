"""What an endpoint takes: one cheap request that asks for all of it, and again without what it refuses.

A second one tries what rows are asked without: a list of prompts, or a reasoning effort, which changes what else is
taken and so cannot be in the first.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from hypermix.errors import BudgetError, LlmError
from hypermix.hashing import canonical_json
from hypermix.llm.backend import Refusal
from hypermix.llm.client import Client, Llm
from hypermix.llm.store import Answer, Question, RequestStore
from hypermix.records import CHAT, COMPLETIONS, Abilities, Completion, Request

PATH = "probe"
"""The path under which a store remembers what was found; no request is sent there."""

_VERSION = 2
"""Raised when a probe asks for something else, so that what is remembered is found out again."""

_LOG = logging.getLogger(__name__)
_MOST_LOGPROBS = 20
_FEW_LOGPROBS = 5
_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "row",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "label": {"type": "string", "enum": ["Good", "Bad"]}},
            "required": ["text", "label"],
            "additionalProperties": False,
        },
    },
}
_TEXT = "Write a short film review and its label, as a JSON object with the keys text and label (Good or Bad)."
_PROMPT = "Film review: a fine film (Sentiment: Good)\nFilm review:"
_CHAT_TOKENS, _PROMPT_TOKENS = 60, 2
_EFFORT = "reasoning_effort"
_LEAST_EFFORT = "none"
_FEW_TOKENS = 16
_WORDS = {
    "logprobs": r"top_?logprobs|logprobs",
    "structured": r"response_format|json_schema|structured",
    "sampling": r"temperature|top_p",
    "effort": _EFFORT,
    "stop": r"\bstop\b",
    "seed": r"\bseed\b",
    "penalties": r"frequency_penalty|penalt",
    "echo": r"\becho\b",
    "max_tokens": r"max_tokens|max_completion_tokens",
    "n": r"\bn\b|num_choices|number of choices",
}
"""What an endpoint calls a setting that it refuses; what is missed most is first, what is named by chance last."""

_OTHER_VALUE = re.compile(r"unsupported value|supported values|invalid value|does not support '|one of|should be", re.I)
"""How an endpoint says that it knows a setting, and takes other values of it."""

MOST_PROBES = 1 + len(_WORDS) + 1
"""The most requests of a probe: each setting is given up once, log-probabilities twice, and the effort is never given
up but tried alone."""

_TOLD = {
    "logprobs": "no log-probabilities",
    "structured": "no JSON schema",
    "n": "no n",
    "seed": "no seed",
    "penalties": "no frequency_penalty",
    "stop": "no stop",
    "sampling": "no temperature and top_p",
}
"""What is said of a missing ability; without echo a chat endpoint lacks nothing."""


def find_abilities(client: Client, path: str) -> Abilities:
    """Return what an endpoint takes, as the store remembers it, or by asking it now.

    Args:
        client: A client that has no question open.
        path: `COMPLETIONS` or `CHAT`.

    Raises:
        LlmError: If it refuses even the plainest request, or gives no answer, or what is remembered cannot be read.
    """
    question = _question(client.llm, path)
    return _read(question, client.fetch(question, lambda: Answer(canonical_json(asdict(_probe(client, path))))))


def recall_abilities(llm: Llm, store: RequestStore, path: str) -> Abilities | None:
    """Return what an endpoint takes, if the store remembers it; nothing is asked.

    Args:
        llm: Who would be asked.
        store: Where it is looked up.
        path: `COMPLETIONS` or `CHAT`.

    Raises:
        LlmError: If what is remembered cannot be read.
    """
    question = _question(llm, path)
    record = store.get(question.key)
    return None if record is None else _read(question, record.answer)


def all_abilities(path: str) -> Abilities:
    """Return the abilities of an endpoint that takes all that a probe asks for."""
    return Abilities(chat=path == CHAT, echo=path == COMPLETIONS, structured=path == CHAT)


def least_probes(llm: Llm, path: str) -> list[Request]:
    """Return the requests of a probe where all is taken; at most `MOST_PROBES` are sent, none longer than the first."""
    first = Request(path, _body(all_abilities(path)), "probe")
    told = path == CHAT and _EFFORT in llm.extra
    return [first] if told else [first, _alone(path, "max_tokens")]


def _question(llm: Llm, path: str) -> Question:
    body = {"model": llm.name, "extra": dict(llm.extra), "path": path, "version": _VERSION}
    return Question(llm.identity, PATH, body, "")


def _read(question: Question, answer: Answer) -> Abilities:
    try:
        return Abilities(**json.loads(answer.response))
    except (ValueError, TypeError):
        raise LlmError(
            f"what the store holds under {question.key} are no abilities of an endpoint: delete this file, and run "
            "again"
        ) from None


def describe(abilities: Abilities) -> str:
    """Say in one line what an endpoint takes and what it does not."""
    lacking = [_TOLD[name] for name in _lacking(abilities)]
    told = {
        f"{abilities.logprobs} likely tokens a position": abilities.logprobs > 0,
        "log-probabilities of prompts": abilities.echo,
        "lists of prompts": abilities.prompts,
        "a reasoning effort": abilities.effort,
    }
    taken = ", ".join(what for what, there in told.items() if there)
    return "; ".join(part for part in (taken, ", ".join(lacking), f"limit by {abilities.max_tokens}") if part)


def _lacking(abilities: Abilities) -> Iterator[str]:
    for name in _TOLD:
        if not getattr(abilities, name) and (name != "structured" or abilities.chat):
            yield name


def _probe(client: Client, path: str) -> Abilities:
    """Ask for everything, and give up a setting at each refusal."""
    asked = replace(all_abilities(path), effort=_EFFORT in client.llm.extra)
    while True:
        client.submit(None, Request(path, _body(asked), "probe"))
        _, found = client.take_any()
        if isinstance(found, Completion):
            return _tell(client, _try_alone(client, path, _observe(asked, found)))
        weaker = None if found.said is None else _weaken(asked, found.param or "", found.said)
        if weaker is None:
            raise found.error
        asked = weaker


def _try_alone(client: Client, path: str, found: Abilities) -> Abilities:
    """Try the one setting of an API that no row is asked with, in a request that has nothing else."""
    if path == CHAT and found.effort:
        return found  # the first request had it
    client.submit(None, _alone(path, found.max_tokens))
    _, answer = client.take_any()
    if isinstance(answer, Refusal) and isinstance(answer.error, BudgetError):
        raise answer.error
    taken = isinstance(answer, Completion)
    if path != CHAT:
        return replace(found, prompts=taken)
    return replace(found, effort=taken or _knows_effort(answer))


def _alone(path: str, max_tokens: str) -> Request:
    body: dict[str, Any] = {max_tokens: _FEW_TOKENS}
    if path == CHAT:
        # Without any thinking: the cheapest, and the one at which models of OpenAI tell log-probabilities.
        body |= {"messages": [{"role": "user", "content": "Say yes."}], _EFFORT: _LEAST_EFFORT}
    else:
        body |= {"prompt": ["One film:", "Two films:"]}
    return Request(path, body, "probe")


def _knows_effort(answer: Completion | Refusal) -> bool:
    """Tell whether it is the value that was refused, and not the setting."""
    if isinstance(answer, Completion) or _EFFORT not in f"{answer.param} {answer.said}":
        return False
    return _OTHER_VALUE.search(answer.said or "") is not None


def _tell(client: Client, abilities: Abilities) -> Abilities:
    lacking = [_TOLD[name] for name in _lacking(abilities)]
    if lacking:
        _LOG.warning("%s takes %s; requests go without", client.llm.name, ", ".join(lacking))
    return abilities


def _body(abilities: Abilities) -> dict[str, Any]:
    """Return a short request with every setting that is asked for."""
    chat = abilities.chat
    body: dict[str, Any] = {abilities.max_tokens: _CHAT_TOKENS if chat else _PROMPT_TOKENS}
    body |= {"messages": [{"role": "user", "content": _TEXT}]} if chat else {"prompt": _PROMPT}
    settings: Mapping[str, Mapping[str, Any]] = {
        "structured": {"response_format": _SCHEMA},
        "echo": {"echo": True},
        "n": {"n": 2},
        "seed": {"seed": 1},
        "penalties": {"frequency_penalty": 0.01},
        "stop": {"stop": ["\n\n\n"]},
        "sampling": {"temperature": 1.0, "top_p": 1.0},
    }
    for name, part in settings.items():
        body |= part if getattr(abilities, name) else {}
    if abilities.logprobs:
        body |= {"logprobs": True, "top_logprobs": abilities.logprobs} if chat else {"logprobs": abilities.logprobs}
    return body


def _weaken(asked: Abilities, param: str, said: str) -> Abilities | None:
    """Give up the setting that a refusal names, or the one that is missed least; None if nothing is left to give up."""
    wanted = [name for name in _WORDS if _can_go(asked, name)]
    named = [name for name in wanted if re.fullmatch(_WORDS[name], param, re.IGNORECASE)]
    named += [name for name in wanted if re.search(_WORDS[name], f"{param} {said}", re.IGNORECASE)]
    if named[:1] == ["effort"]:
        return None  # the user's own, which is never left out
    rest = [name for name in reversed(wanted) if name != "effort"]
    chosen = next(iter([*named, *rest]), None)
    return None if chosen is None else _without(asked, chosen)


def _can_go(asked: Abilities, name: str) -> bool:
    return asked.max_tokens == "max_tokens" if name == "max_tokens" else bool(getattr(asked, name))


def _without(asked: Abilities, name: str) -> Abilities:
    if name == "max_tokens":
        return replace(asked, max_tokens="max_completion_tokens")
    if name == "logprobs":
        return replace(asked, logprobs=_FEW_LOGPROBS if asked.logprobs > _FEW_LOGPROBS else 0)
    return Abilities(**(asdict(asked) | {name: False}))


def _observe(asked: Abilities, found: Completion) -> Abilities:
    """Take away what was taken without a word and not carried out."""
    tops = [len(token.top) for choice in found.choices for token in choice.tokens]
    logprobs = min(asked.logprobs, max(tops, default=0))
    echoed = asked.echo and found.text.startswith(_PROMPT) and _covers(found)
    # An answer that was cut, as by long thinking, shows nothing of its form.
    structured = asked.structured and all(_is_row(one.text) or one.finish_reason == "length" for one in found.choices)
    return replace(asked, logprobs=logprobs, echo=echoed, structured=structured)


def _covers(found: Completion) -> bool:
    return len(b"".join(token.text for token in found.tokens)) >= len(_PROMPT.encode())


def _is_row(text: str) -> bool:
    try:
        row = json.loads(text)
    except ValueError:
        return False
    return isinstance(row, dict) and set(row) == {"text", "label"}
