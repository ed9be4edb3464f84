"""OpenAI's files and batches over the SDK: every way in which they fail, in one of three errors."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from itertools import islice
from typing import IO, Any, TypeVar

import httpx2
import openai
from openai.types import Batch

from hypermix.errors import LlmError
from hypermix.llm.batch.records import BatchRecord
from hypermix.llm.batch.verdict import EMPTY_ACCOUNT, PASSING

# With OPENAI_LOG=debug the SDK would tell a header of each answer, in which a server may repeat the key.
logging.getLogger("openai").setLevel(logging.WARNING)

_RETRIES = 3
"""How often the SDK repeats what costs nothing: looking, and uploading a file."""

_SHOWN_CHARACTERS = 300
_LISTED = 10_000
"""How many batches are looked through at most."""

_BEFORE = 86_400
"""Seconds before its record in which a batch can have been made by a server's clock."""

_ADVICE = {
    401: "set a key that is valid there",
    402: "top up the account",
    403: "give the key the right to use files and batches, or set another",
    404: "check base_url: the endpoint may have no Batch API",
    413: "lower the augmenter's examples, so that the questions get shorter",
}

_Told = TypeVar("_Told")


class UnreachableError(LlmError):
    """The endpoint gave no clear answer; the same may be asked again, unless it costs."""


class GoneError(LlmError):
    """The endpoint says that it has no such file or batch."""


class BatchEndpoint:
    """Files and batches of one account.

    Attributes:
        base_url: The URL up to and with ``/v1``.
    """

    def __init__(self, base_url: str, api_key: str) -> None:
        self.base_url = base_url
        self._key = api_key
        # A proxy of the environment must not see what is asked of a server on this machine, and such a server needs
        # no list of authorities, which takes long to load: a context without them trusts nobody.
        outside = not base_url.startswith("http://127.0.0.1:")
        trusted = outside or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        wire = openai.DefaultHttpxClient(trust_env=outside, verify=trusted)
        self._sdk = openai.OpenAI(base_url=base_url, api_key=api_key, http_client=wire, max_retries=_RETRIES)

    def close(self) -> None:
        """Close the connections."""
        self._sdk.close()

    def upload(self, content: bytes) -> str:
        """Upload the lines of a batch, under a name that says nothing, and return the file's id.

        Raises:
            LlmError: If the endpoint refuses.
            UnreachableError: If it gave no clear answer. An upload costs nothing.
        """
        file = ("batch.jsonl", content, "application/jsonl")
        return self._call("upload of a batch", lambda: _id(self._sdk.files.create(file=file, purpose="batch")))

    def create(self, record: BatchRecord, path: str) -> str:
        """Make the batch of a record and return its id. It is sent once: a second time could be paid twice.

        Raises:
            LlmError: If the endpoint refuses.
            UnreachableError: If it gave no clear answer: there may be a batch now.
        """
        once: Any = self._sdk.with_options(max_retries=0).batches
        return self._call(
            "batch",
            lambda: _id(
                once.create(input_file_id=record.file, endpoint=path, completion_window="24h", metadata=record.metadata)
            ),
        )

    def find(self, record: BatchRecord) -> str | None:
        """Return the id of the batch that was made under a record; None if the endpoint lists none.

        Raises:
            LlmError: If the endpoint refuses.
            UnreachableError: If it gave no clear answer.
        """

        def search() -> str | None:
            for batch in islice(self._sdk.batches.list(limit=100), _LISTED):
                if batch.metadata == record.metadata:
                    return _id(batch)
                if batch.created_at < record.started - _BEFORE:  # newest first
                    break
            return None

        return self._call("list of batches", search)

    def look(self, record: BatchRecord) -> Batch:
        """Return what the endpoint says of a batch.

        Raises:
            GoneError: If it has no such batch.
            LlmError: If it refuses.
            UnreachableError: If it gave no clear answer.
        """

        def retrieve() -> Batch:
            batch = self._sdk.batches.retrieve(record.batch or "")
            _id(batch)
            counts = batch.request_counts
            bare = batch.status == "completed" and not (batch.output_file_id or batch.error_file_id)
            if bare and counts and counts.completed + counts.failed:
                raise ValueError("it is completed and names no file of answers yet")
            return batch

        return self._call("look at a batch", retrieve)

    def download(self, file: str, target: IO[bytes]) -> None:
        """Write a file of answers to an open file. It may be larger than the memory.

        Raises:
            GoneError: If the endpoint has no such file.
            LlmError: If it refuses.
            UnreachableError: If it broke off.
        """

        def stream() -> None:
            target.seek(0)
            target.truncate()
            with self._sdk.files.with_streaming_response.content(file) as response:
                for part in response.iter_bytes():
                    target.write(part)

        for left in reversed(range(_RETRIES + 1)):
            try:
                return self._call("download of answers", stream)
            except UnreachableError:
                if not left:
                    raise
        return None

    def shown(self, text: object) -> str:
        """Word what a server said: in one line, short, and without the key, which some repeat."""
        said = str(text)
        return repr((said.replace(self._key, "[key]") if self._key else said)[:_SHOWN_CHARACTERS])

    def _call(self, what: str, ask: Callable[[], _Told]) -> _Told:
        # Errors are not chained: a traceback would show what the server said, key and all.
        try:
            return ask()
        except openai.APIStatusError as error:
            raise self._refusal(what, error) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, AttributeError, TypeError) as error:
            said = self.shown(str(error) or type(error).__name__)
            raise UnreachableError(f"{self.base_url}: the {what} got no clear answer: {said}; run again") from None

    def _refusal(self, what: str, error: openai.APIStatusError) -> LlmError:
        status, empty = error.status_code, error.code in EMPTY_ACCOUNT
        kind: type[LlmError] = LlmError
        if (status in PASSING or status >= 500) and not empty:
            kind = UnreachableError
        elif status == 404:
            kind = GoneError
        advice = _ADVICE[402] if empty else _ADVICE.get(status, "see to it")
        said = self.shown(error.message)
        return kind(f"{self.base_url}: the {what} was refused with status {status}: {said}; {advice} and run again")


def _id(told: Any) -> str:
    """Return the id of a file or batch; of a page of HTML, which the SDK lets pass, it raises."""
    if not isinstance(told.id, str) or not told.id:
        raise ValueError("it has no id")
    return str(told.id)
