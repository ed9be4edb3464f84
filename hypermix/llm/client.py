"""Asking a language model through the openai SDK; whatever the store holds is not asked again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import openai

from hypermix.errors import LlmError
from hypermix.llm.answer import check_answer, read_answer, read_usage
from hypermix.llm.claim import UnknownSpendError
from hypermix.llm.store import Answer, Question, RequestStore
from hypermix.records import Completion, Request

_PATH = "/v1/completions"
_SHOWN_CHARACTERS = 300
_SHOWN_PROMPT = 60
_KEPT_HEADERS = re.compile(
    r"date|(x-|apim-)?request-id|x-ratelimit-[a-z0-9-]+|openai-(version|model|processing-ms)", re.IGNORECASE
)
"""What is stored of the headers of an answer: no cookie, no key, and not whose account it was."""


@dataclass(frozen=True)
class Endpoint:
    """Where requests go.

    Attributes:
        base_url: URL up to and with ``/v1``.
        api_key: The key; it is sent and never stored or shown.
    """

    base_url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Llm:
    """A language model that can be asked.

    Attributes:
        name: Its name in a request.
        identity: What stands for it in a request key.
        connect: Opens its endpoint, for as long as the context lasts.
        tokenizer: The path of its tokenizer beside ``/v1``, in the form of llama.cpp's server; None if it has none.
    """

    name: str
    identity: Mapping[str, str]
    connect: Callable[[], AbstractContextManager[Endpoint]]
    tokenizer: str | None = None


@dataclass
class Usage:
    """What a job asked for.

    Attributes:
        paid: Requests that were sent and answered.
        replayed: Requests that the store answered; another process may have asked for the answer meanwhile.
        unknown: Requests behind all answers that were sent and perhaps paid, and whose own answers are lost.
        prompt_tokens: Tokens of the prompts behind all answers, paid and replayed.
        completion_tokens: Tokens of all answers.
    """

    paid: int = 0
    replayed: int = 0
    unknown: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Client:
    """Asks one language model and keeps every answer; a context manager, which closes what it opened.

    The endpoint is opened by the first request that the store cannot answer, so a replay starts no server.

    Attributes:
        llm: Who is asked, unless the client is offline: then the store alone answers.
        usage: What was asked so far.
    """

    def __init__(self, llm: Llm, store: RequestStore, *, offline: bool = False) -> None:
        self.llm = llm
        self._store = store
        self._offline = offline
        self._open = ExitStack()
        self._connection: tuple[Endpoint, openai.OpenAI, _Wire] | None = None
        self.usage = Usage()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def complete(self, request: Request) -> Completion:
        """Return the answer to a request, from the store if it is there.

        Raises:
            LlmError: If there is no answer. Answers so far are stored; running again asks for the rest.
        """
        body = {"model": self.llm.name, **request.body}
        question = Question(self.llm.identity, _PATH, body, request.sample)
        answer, paid = self._fetch(question, lambda _, sdk: _complete(sdk, body), check_answer)
        self.usage.paid += paid
        self.usage.replayed += not paid
        self.usage.unknown += answer.unknown
        prompt_tokens, completion_tokens = read_usage(answer.response)
        self.usage.prompt_tokens += prompt_tokens
        self.usage.completion_tokens += completion_tokens
        return read_answer(question.key, answer.response)

    def tokenize(self, texts: Sequence[str]) -> list[list[bytes]] | None:
        """Return the tokens of each text by the model's own tokenizer, from the store if they are there.

        Nothing is paid for it, so it is not counted.

        Returns:
            The bytes of each token, in order; None if the endpoint has no tokenizer.

        Raises:
            LlmError: If the endpoint gives no answer.
        """
        path = self.llm.tokenizer
        return None if path is None else [self._tokenize(path, text) for text in texts]

    def _tokenize(self, path: str, text: str) -> list[bytes]:
        body = {"content": text, "with_pieces": True}

        def ask(endpoint: Endpoint, sdk: openai.OpenAI) -> Answer:
            return Answer(sdk.post(endpoint.base_url.removesuffix("/v1") + path, cast_to=str, body=body))

        answer, _ = self._fetch(Question(self.llm.identity, path, body, ""), ask, _read_pieces)
        return _read_pieces(answer.response)

    def _fetch(
        self, question: Question, ask: Callable[[Endpoint, openai.OpenAI], Answer], check: Callable[[str], object]
    ) -> tuple[Answer, bool]:
        """Return the answer that is stored, or that is sent for now, and which of the two it was."""
        if not self._offline:
            record, paid = self._store.fetch(question, lambda: self._send(ask, check))
            return record.answer, paid
        stored = self._store.get(question.key)
        if stored is None:
            text = str(question.body.get("prompt", question.body.get("content", "")))
            sample = f"sample {question.sample}, " if question.sample else ""
            raise LlmError(
                f"offline: the answer to request {question.key} ({sample}{text[:_SHOWN_PROMPT]!r}) is not stored in "
                f"{self._store.folder}; set offline: false, or import a store that has it"
            )
        return stored.answer, False

    def _connect(self) -> tuple[Endpoint, openai.OpenAI, _Wire]:
        if self._connection is None:
            endpoint = self._open.enter_context(self.llm.connect())
            # A proxy of the environment must not see what is asked of a server on this machine.
            outside = not endpoint.base_url.startswith("http://127.0.0.1:")
            wire = _Wire(trust_env=outside)
            sdk = openai.OpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key, http_client=wire)
            self._connection = endpoint, self._open.enter_context(sdk), wire
        return self._connection

    def _send(self, ask: Callable[[Endpoint, openai.OpenAI], Answer], check: Callable[[str], object]) -> Answer:
        """Return an answer that passes its check."""
        endpoint, sdk, wire = self._connect()
        wire.lost = 0
        try:
            answer = ask(endpoint, sdk)
        except openai.BadRequestError as error:
            raise _failure(wire)(
                f"{self.llm.name} refused a request: {_shown(error, endpoint)}; if it is too long, raise the llm's "
                "context, or lower the augmenter's examples or max_tokens"
            ) from error
        except openai.OpenAIError as error:
            stored = self.usage.paid + self.usage.replayed
            raise _failure(wire)(
                f"{self.llm.name} at {endpoint.base_url} gave no answer: {_shown(error, endpoint)}; the {stored} "
                "answers so far are stored, running again asks for the rest"
            ) from error
        try:
            check(answer.response)
        except LlmError as error:
            raise _failure(wire)(_shown(error, endpoint)) from None
        kept = {name: value for name, value in answer.headers.items() if endpoint.api_key not in value}
        return Answer(answer.response, kept if endpoint.api_key else answer.headers, unknown=wire.lost)


class _Wire(openai.DefaultHttpxClient):
    """Counts the requests that went out and were not answered whole: those were perhaps paid.

    The SDK sends such a request again, so a later answer does not tell of them.
    """

    lost = 0

    def send(self, request: Any, **how: Any) -> Any:
        sent = False

        def note(event: str, _: object) -> None:
            nonlocal sent
            sent = sent or event.endswith("send_request_headers.started")

        request.extensions["trace"] = note
        try:
            response = super().send(request, **how)
            sent = False
        finally:
            self.lost += sent
        return response


def _failure(wire: _Wire) -> type[LlmError]:
    return UnknownSpendError if wire.lost else LlmError


def _complete(sdk: openai.OpenAI, body: Mapping[str, object]) -> Answer:
    raw = sdk.completions.with_raw_response.create(**body)  # type: ignore[call-overload]
    headers = {name.lower(): value for name, value in raw.headers.items() if _KEPT_HEADERS.fullmatch(name)}
    return Answer(str(raw.http_response.text), headers)


def _read_pieces(response: str) -> list[bytes]:
    """Read the pieces of a tokenizer's answer: text, or bytes where a token ends inside a character."""
    try:
        pieces = [entry["piece"] for entry in json.loads(response)["tokens"]]
        return [piece.encode() if isinstance(piece, str) else bytes([*piece]) for piece in pieces]
    except (ValueError, KeyError, TypeError):
        raise LlmError(
            f"the endpoint answered {response[:200]!r}, which has no tokens with their pieces; nothing was stored"
        ) from None


def _shown(error: Exception, endpoint: Endpoint) -> str:
    """Word a server's message without the key, which some repeat, and without whole pages."""
    text = str(error)
    return (text.replace(endpoint.api_key, "[key]") if endpoint.api_key else text)[:_SHOWN_CHARACTERS]
