"""The files of a batch: its record in the cache, the lines that are sent, and the lines that come back."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from hypermix.errors import LlmError
from hypermix.files import write_bytes
from hypermix.hashing import canonical_json, digest
from hypermix.llm.claim import sync_folder
from hypermix.llm.price import Tokens
from hypermix.llm.store import Question

MOST_QUESTIONS = 50_000
MOST_BYTES = 190_000_000
"""What one batch may hold: OpenAI takes 50,000 requests in 200 MB."""

_SUFFIX = ".json"
_TOKEN = re.compile(r"[0-9a-f]{16}")
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BatchRecord:
    """What is known of one batch. It is on the disk before the endpoint hears of the batch.

    Attributes:
        token: Its own name, by which the endpoint's list of batches is searched.
        base_url: The endpoint.
        keys: The request keys of its questions.
        started: When it was made, in seconds since 1970.
        file: The endpoint's id of the uploaded questions; without it no batch can have been made.
        batch: The endpoint's id of the batch; None while it is submitted, or if that was cut short.
    """

    token: str
    base_url: str
    keys: tuple[str, ...]
    started: float
    file: str | None = None
    batch: str | None = None

    @classmethod
    def begin(cls, base_url: str, keys: Iterable[str]) -> BatchRecord:
        """Return the record of a batch that is about to be submitted."""
        return cls(secrets.token_hex(8), base_url, tuple(keys), time.time())

    @property
    def digest(self) -> str:
        """The SHA-256 of the sorted keys."""
        return digest(sorted(self.keys))

    @property
    def metadata(self) -> dict[str, str]:
        """What the batch is found by. Its keys alone would not do: they may be sent again after they expired."""
        return {"hypermix": self.digest, "submission": self.token}

    @property
    def shown(self) -> str:
        """Its name in messages; an id is the endpoint's text."""
        return f"batch {self.batch[:80]!r}" if self.batch else f"the batch of record {self.token}"

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        content = {
            "state": "sent" if self.batch else "submitting",
            "token": self.token,
            "base_url": self.base_url,
            "keys": list(self.keys),
            "digest": self.digest,
            "started": self.started,
            "file": self.file,
            "batch": self.batch,
        }
        return canonical_json(content).encode("utf-8")


def _parse(content: bytes, token: str) -> BatchRecord | None:
    """Read the content of a record's file; None if it is none."""
    try:
        told = json.loads(content)
        ids = [told[name] if told[name] is None else str(told[name]) for name in ("file", "batch")]
        record = BatchRecord(token, str(told["base_url"]), tuple(told["keys"]), float(told["started"]), *ids)
        fine = told["token"] == token and all(_KEY.fullmatch(key) for key in record.keys)
        return record if fine and told["digest"] == record.digest else None
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class BatchRecords:
    """The records of a folder, which many processes may share.

    Attributes:
        folder: Where they are; made by the first record.
    """

    folder: Path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from submitting. The system frees the lock of a process that is killed.

        Raises:
            LlmError: If there can be no lock.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # A file that merely exists, which is the fallback, would outlive a process that is killed.
            lock = FileLock(self.folder / ".lock", fallback_to_soft=False)
            lock.acquire()
        except OSError as error:
            raise LlmError(
                f"{self.folder}: cannot be locked: {error}; see to the folder and its permissions; nothing was sent"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def read(self, base_url: str) -> list[BatchRecord]:
        """Return the records of an endpoint, the oldest first.

        Raises:
            LlmError: If a record cannot be read: what it holds would be paid again.
        """
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            token = path.name.removesuffix(_SUFFIX)
            if not _TOKEN.fullmatch(token):
                continue
            try:
                record = _parse(path.read_bytes(), token)
            except FileNotFoundError:  # another process has all of its answers
                continue
            except OSError as error:
                raise LlmError(f"{path}: cannot be read: {error.strerror}; mend this; nothing was sent") from error
            if record is None:
                raise LlmError(
                    f"{path}: is damaged; delete it, and the questions of that batch are sent and paid once more; "
                    "nothing was sent now"
                )
            found.append(record)
        return sorted((r for r in found if r.base_url == base_url), key=lambda record: (record.started, record.token))

    def write(self, record: BatchRecord) -> None:
        """Put a record on the disk, whole, in the place of what it said before.

        Raises:
            OSError: If it cannot be written.
        """
        write_bytes(self._path(record), record.to_bytes())
        sync_folder(self.folder)

    def drop(self, record: BatchRecord) -> None:
        """Remove a record, if it is there."""
        self._path(record).unlink(missing_ok=True)

    def _path(self, record: BatchRecord) -> Path:
        return self.folder / f"{record.token}{_SUFFIX}"


@dataclass
class Chunk:
    """The questions of one batch: of one model and one path, since OpenAI takes no others together."""

    path: str
    questions: list[Question] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)


def split(questions: Iterable[Question], most: int = MOST_QUESTIONS, most_bytes: int = MOST_BYTES) -> Iterator[Chunk]:
    """Put questions into as few batches as may be, in their order."""
    groups: dict[tuple[str, str], list[Question]] = {}
    for question in questions:
        groups.setdefault((question.path, str(question.body.get("model"))), []).append(question)
    for (path, _), group in groups.items():
        chunk = Chunk(path)
        for question in group:
            line = _line(question)
            if chunk.questions and (len(chunk.questions) >= most or len(chunk.content) + len(line) > most_bytes):
                yield chunk
                chunk = Chunk(path)
            chunk.questions.append(question)
            chunk.content += line
        yield chunk


def _line(question: Question) -> bytes:
    line = {"custom_id": question.key, "method": "POST", "url": question.path, "body": dict(question.body)}
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"


@dataclass(frozen=True)
class Line:
    """One line that came back.

    Attributes:
        key: The request key; any text, since a server said it.
        status: The HTTP status of the answer; None if there is no answer.
        response: The body as compact JSON; None if it is no object.
        request_id: The server's name for it.
        error: What the server says is wrong; empty if nothing is.
    """

    key: str
    status: int | None
    response: str | None
    request_id: str | None
    error: Mapping[str, Any]


def read_line(content: bytes) -> Line | None:
    """Read a line of an output or error file; None if it is malformed."""
    try:
        told = json.loads(content, parse_constant=_refuse_constant)
        key, came, error = told["custom_id"], told.get("response"), told.get("error")
        came, error = came if isinstance(came, dict) else {}, error if isinstance(error, dict) else {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    status, body, request_id = came.get("status_code"), came.get("body"), came.get("request_id")
    if not isinstance(key, str) or not (came or error):
        return None
    if not isinstance(body, dict):
        body = None
    elif isinstance(body.get("error"), dict):
        error = body["error"]
    return Line(
        key,
        status if isinstance(status, int) else None,
        # Escapes keep half a surrogate pair, which JSON may hold and a file may not.
        None if body is None else json.dumps(body, separators=(",", ":")),
        request_id if isinstance(request_id, str) else None,
        error,
    )


def billed_tokens(response: str) -> Tokens | None:
    """Return the tokens that an answer was billed for; None where it does not say."""
    usage = json.loads(response).get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (isinstance(prompt, int) and isinstance(completion, int) and prompt >= 0 and completion >= 0):
        return None
    return Tokens(prompt, completion)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
