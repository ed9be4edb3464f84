"""Asking a language model through the openai SDK; whatever the store holds is not asked again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Self

import openai

from hypermix.errors import LlmError
from hypermix.llm.answer import check_answer, read_answer, read_usage
from hypermix.llm.store import RequestStore, request_key
from hypermix.records import Completion, Request

_PATH = "/v1/completions"
_SHOWN_CHARACTERS = 300


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
        replayed: Requests that the store answered.
        prompt_tokens: Tokens of the prompts behind all answers, paid and replayed.
        completion_tokens: Tokens of all answers.
    """

    paid: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Client:
    """Asks one language model and keeps every answer; a context manager, which closes what it opened.

    The endpoint is opened by the first request that the store cannot answer, so a replay starts no server.

    Attributes:
        llm: Who is asked.
        usage: What was asked so far.
    """

    def __init__(self, llm: Llm, store: RequestStore) -> None:
        self.llm = llm
        self._store = store
        self._open = ExitStack()
        self._connection: tuple[Endpoint, openai.OpenAI] | None = None
        self.usage = Usage()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def complete(self, request: Request) -> Completion:
        """Return the answer to a request, from the store if it is there.

        Raises:
            LlmError: If the endpoint gives no answer. Answers so far are stored; running again asks for the rest.
        """
        body = {"model": self.llm.name, **request.body}
        key = request_key(self.llm.identity, _PATH, body, request.sample)
        response = self._store.get(key)
        if response is not None:
            self.usage.replayed += 1
            return self._count(key, response)
        response = self._send(lambda _, sdk: _complete(sdk, body), check_answer)
        self._store.put(key, {"path": _PATH, "body": body, "sample": request.sample}, response)
        self.usage.paid += 1
        return self._count(key, response)

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
        key = request_key(self.llm.identity, path, body, "")
        response = self._store.get(key)
        if response is None:
            response = self._send(
                lambda endpoint, sdk: sdk.post(endpoint.base_url.removesuffix("/v1") + path, cast_to=str, body=body),
                _read_pieces,
            )
            self._store.put(key, {"path": path, "body": body, "sample": ""}, response)
        return _read_pieces(response)

    def _count(self, key: str, response: str) -> Completion:
        prompt_tokens, completion_tokens = read_usage(response)
        self.usage.prompt_tokens += prompt_tokens
        self.usage.completion_tokens += completion_tokens
        return read_answer(key, response)

    def _connect(self) -> tuple[Endpoint, openai.OpenAI]:
        if self._connection is None:
            endpoint = self._open.enter_context(self.llm.connect())
            # A proxy of the environment must not see what is asked of a server on this machine.
            outside = not endpoint.base_url.startswith("http://127.0.0.1:")
            http = openai.DefaultHttpxClient(trust_env=outside)
            sdk = openai.OpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key, http_client=http)
            self._connection = endpoint, self._open.enter_context(sdk)
        return self._connection

    def _send(self, ask: Callable[[Endpoint, openai.OpenAI], str], check: Callable[[str], object]) -> str:
        """Return the body of an answer that passes its check."""
        endpoint, sdk = self._connect()
        try:
            response = ask(endpoint, sdk)
        except openai.BadRequestError as error:
            raise LlmError(
                f"{self.llm.name} refused a request: {_shown(error, endpoint)}; if it is too long, raise the llm's "
                "context, or lower the augmenter's examples or max_tokens"
            ) from error
        except openai.OpenAIError as error:
            stored = self.usage.paid + self.usage.replayed
            raise LlmError(
                f"{self.llm.name} at {endpoint.base_url} gave no answer: {_shown(error, endpoint)}; the {stored} "
                "answers so far are stored, running again asks for the rest"
            ) from error
        try:
            check(response)
        except LlmError as error:
            raise LlmError(_shown(error, endpoint)) from None
        return response


def _complete(sdk: openai.OpenAI, body: Mapping[str, object]) -> str:
    raw = sdk.completions.with_raw_response.create(**body)  # type: ignore[call-overload]
    return str(raw.http_response.text)


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
