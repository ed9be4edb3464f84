"""One request over the wire through the openai SDK, and what came of it: an answer, or what went wrong with it."""

from __future__ import annotations

import asyncio
import contextvars
import ipaddress
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from hypermix.errors import LlmError
from hypermix.llm.answer import check_answer
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.store import Answer
from hypermix.llm.waits import exhausted_for, wait_of
from hypermix.records import CHAT, COMPLETIONS, DECISIONS

# With OPENAI_LOG=debug the SDK would tell a header of each answer, in which a server may repeat the key.
logging.getLogger("openai").setLevel(logging.WARNING)

_CONNECT_SECONDS = 10.0
_SHOWN_CHARACTERS = 300
_HIDDEN = "[key]"
_SECRET_CHARACTERS = 16
"""What is shorter is no secret, such as the ``none`` of a server at home, and may well be a word of an answer."""

_APIS = (COMPLETIONS, CHAT, DECISIONS)
_ROOT = "/v1"
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
_BY_A_GATEWAY = {502, 504, 520, 522, 524}
"""Said by a proxy that passed the request on, and whose server may go on and bill it."""

_FILTERED = {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"}
_TOO_LONG = {"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"}
_ABOUT_THE_REQUEST = {400, 422}
_KEPT_HEADERS = re.compile(
    r"date|(x-|apim-)?request-id|x-ratelimit-[a-z0-9-]+|openai-(version|model|processing-ms)", re.IGNORECASE
)
"""What is stored of the headers of an answer: no cookie, no key, and not whose account it was."""


class WireError(Exception):
    """A request that got no answer.

    Attributes:
        message: What the user is told.
        unknown: Whether it was sent and perhaps paid.
    """

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.unknown = unknown


class FailedError(WireError):
    """It may go well another time: no connection, a time-out, an error of the server, an answer that is none."""


class OverloadedError(WireError):
    """The endpoint wants to be asked less often.

    Attributes:
        wait: Seconds that it wants nobody to ask; None if it does not say.
    """

    def __init__(self, message: str, wait: float | None) -> None:
        super().__init__(message)
        self.wait = wait


class RefusedError(WireError):
    """It would be refused again.

    Attributes:
        fatal: Whether all other requests would be refused too.
        param: The setting that the endpoint does not take, where it names one.
        filtered: Whether a content policy refused this very text.
        said: What the endpoint said of a request that it might take with other settings; None otherwise.
    """

    def __init__(
        self,
        message: str,
        *,
        fatal: bool = True,
        param: str | None = None,
        filtered: bool = False,
        said: str | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(message, unknown=unknown)
        self.fatal = fatal
        self.param = param
        self.filtered = filtered
        self.said = said


@dataclass
class _Flight:
    """Whether a request has left this machine."""

    sent: bool = False


_FLIGHT: contextvars.ContextVar[_Flight] = contextvars.ContextVar("flight")


class _Transport(openai.DefaultAsyncHttpxClient):
    """Notes of each request when its first bytes go out: from then on it may be paid.

    And reads every answer as UTF-8, as JSON is, whatever a header says: some names of codecs there end in an error.
    """

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        flight = _FLIGHT.get(_Flight())

        async def note(event: str, _: object) -> None:
            flight.sent = flight.sent or event.endswith("send_request_headers.started")

        request.extensions["trace"] = note
        response = await super().send(request, **how)
        response.encoding = "utf-8"
        return response


class Wire:
    """A connection to an endpoint; an asynchronous context manager.

    Attributes:
        endpoint: Where requests go. Its deadline is that of a whole answer, however slowly it trickles in.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        connections = endpoint.concurrency + 1
        # A proxy of the environment must not see what is asked of a server on this machine.
        transport = _Transport(
            trust_env=not _is_loopback(endpoint.base_url),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        self._sdk = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",  # the SDK wants one
            timeout=httpx2.Timeout(endpoint.deadline, connect=min(_CONNECT_SECONDS, endpoint.deadline)),
            max_retries=0,
            http_client=transport,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._sdk.close()

    async def send(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send a request once.

        Args:
            path: One of the APIs of `hypermix.records`, or a path beside ``/v1``.
            body: The whole body.

        Returns:
            An answer that passed `check_answer`.

        Raises:
            WireError: One of its three kinds, if there is no answer.
        """
        flight = _Flight()
        token = _FLIGHT.set(flight)
        try:
            async with asyncio.timeout(self.endpoint.deadline):
                response = await self._sdk.post(self._url(path), cast_to=httpx2.Response, body=dict(body))
        except (openai.APITimeoutError, TimeoutError):
            raise FailedError(f"no answer in {self.endpoint.deadline:g} s", unknown=flight.sent) from None
        except openai.APIConnectionError as error:
            what = "the connection broke off" if flight.sent else "no connection"
            cause = self._shown(error.__cause__ or error)
            raise FailedError(f"{what} ({cause})", unknown=flight.sent) from error
        except openai.APIStatusError as error:
            raise self._read_error(path, error) from error
        finally:
            _FLIGHT.reset(token)
        return self._read(path, body, response)

    def _url(self, path: str) -> str:
        root = self.endpoint.base_url
        return root + path.removeprefix(_ROOT) if path in _APIS else root.removesuffix(_ROOT) + path

    def _read(self, path: str, body: Mapping[str, Any], response: httpx2.Response) -> Answer:
        key, text = self.endpoint.api_key, response.text
        if len(key) >= _SECRET_CHARACTERS:
            text = text.replace(key, _HIDDEN)
        if path in _APIS:
            prompts = body.get("prompt")
            self._check(path, text, int(body.get("n", 1)) * (len(prompts) if isinstance(prompts, list) else 1))
        named = {name.lower(): value for name, value in response.headers.items() if _KEPT_HEADERS.fullmatch(name)}
        return Answer(text, {name: value for name, value in named.items() if not key or key not in value})

    def _check(self, path: str, text: str, draws: int) -> None:
        """Refuse what is no answer; it came with status 200, so it may be billed."""
        try:
            check_answer(path, text, draws)
        except LlmError as error:
            if draws > 1 and _is_answer(path, text):
                told = f"it gave one answer where {draws} were asked for"
                raise RefusedError(told, param="n", said=told, unknown=True) from None
            raise FailedError(self._shown(error), unknown=True) from None

    def _read_error(self, path: str, error: openai.APIStatusError) -> WireError:
        """Tell what kind of refusal a status is, in one sentence with what to do."""
        status, told, headers = error.status_code, self._shown(_words(error)), error.response.headers
        codes = {str(error.code or ""), str(error.type or "")}
        if codes & _NO_CREDIT or status == 402:
            return RefusedError(f"the account has no credit left: {told}; add credit there, and run again")
        if status == 429 and headers.get("x-should-retry") != "false":
            # The headers' reset is when the whole limit is back, which is later than need be.
            wait = wait_of(headers, time.time())
            return OverloadedError(told, exhausted_for(headers) if wait is None else wait)
        if status in {408, 409, 425} or (status >= 500 and headers.get("x-should-retry") != "false"):
            return FailedError(told, unknown=status in _BY_A_GATEWAY)
        if codes & _FILTERED:
            return RefusedError(told, fatal=False, filtered=True)
        param = self._shown(error.param) if isinstance(error.param, str) else None
        said = told if status in _ABOUT_THE_REQUEST else None
        return RefusedError(_refusal(path, status, codes, told, param), param=param, said=said)

    def _shown(self, error: object) -> str:
        """Word a message without the key, which some servers repeat, and without whole pages."""
        text = " ".join(str(error).split()) or type(error).__name__
        key = self.endpoint.api_key
        return (text.replace(key, _HIDDEN) if key else text)[:_SHOWN_CHARACTERS]


def _words(error: openai.APIStatusError) -> str:
    """Return what a server said; the SDK shows a body only where it has a message of OpenAI's form."""
    body = error.body
    plain = isinstance(body, dict) and isinstance(body.get("message"), str) and body["message"]
    return error.message if plain or not body else f"{error.message} - {body}"


def _is_answer(path: str, text: str) -> bool:
    try:
        check_answer(path, text)
    except LlmError:
        return False
    return True


def _refusal(path: str, status: int, codes: set[str], told: str, param: str | None) -> str:
    if status == 401:
        return f"the key was refused: {told}; check the llm's key in the config and where it points to"
    if status == 403:
        return f"the key may not do this: {told}; see which models and endpoints it is for"
    if status in {404, 405} and path == DECISIONS:
        return f"the endpoint makes no decisions: {told}; set the augmenter's label_source to another one"
    if status == 404:
        return f"there is no such model or address: {told}; check the llm's model and base_url"
    if codes & _TOO_LONG or status == 413:
        return (
            f"a request is too long: {told}; lower the augmenter's examples or max_tokens, or raise the llm's context"
        )
    about = f"the setting {param!r} was refused" if param else "a request was refused"
    return (
        f"{about}: {told}; if it is too long, lower the augmenter's examples or max_tokens, or raise the llm's context"
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
