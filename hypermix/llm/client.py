"""Asking a language model through the openai SDK; whatever the store holds is not asked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
        model: The model's name in a request.
        identity: What stands for the model in a request key.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    identity: Mapping[str, str]


@dataclass
class Usage:
    """What a job asked for.

    Attributes:
        paid: Requests that were sent and answered.
        replayed: Requests that the store answered.
        prompt_tokens: Tokens of the prompts that were sent.
        completion_tokens: Tokens of the answers that came.
    """

    paid: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Client:
    """Asks one endpoint and keeps every answer.

    Attributes:
        usage: What was asked so far.
    """

    def __init__(self, endpoint: Endpoint, store: RequestStore) -> None:
        self._endpoint = endpoint
        self._store = store
        self._sdk = openai.OpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key)
        self.usage = Usage()

    def complete(self, request: Request) -> Completion:
        """Return the answer to a request, from the store if it is there.

        Raises:
            LlmError: If the endpoint gives no answer. Answers so far are stored; running again asks for the rest.
        """
        body = {"model": self._endpoint.model, **request.body}
        key = request_key(self._endpoint.identity, _PATH, body, request.sample)
        response = self._store.get(key)
        if response is not None:
            self.usage.replayed += 1
            return read_answer(key, response)
        response = self._send(body)
        self._store.put(key, {"path": _PATH, "body": body, "sample": request.sample}, response)
        self.usage.paid += 1
        prompt_tokens, completion_tokens = read_usage(response)
        self.usage.prompt_tokens += prompt_tokens
        self.usage.completion_tokens += completion_tokens
        return read_answer(key, response)

    def _send(self, body: Mapping[str, object]) -> str:
        try:
            raw = self._sdk.completions.with_raw_response.create(**body)  # type: ignore[call-overload]
        except openai.OpenAIError as error:
            stored = self.usage.paid + self.usage.replayed
            raise LlmError(
                f"{self._endpoint.model} at {self._endpoint.base_url} gave no answer: {self._shown(error)}; the "
                f"{stored} answers so far are stored, running again asks for the rest"
            ) from error
        response = str(raw.http_response.text)
        try:
            check_answer(response)
        except LlmError as error:
            raise LlmError(self._shown(error)) from None
        return response

    def _shown(self, error: Exception) -> str:
        """Word a server's message without the key, which some repeat, and without whole pages."""
        text = str(error)
        key = self._endpoint.api_key
        return (text.replace(key, "[key]") if key else text)[:_SHOWN_CHARACTERS]
