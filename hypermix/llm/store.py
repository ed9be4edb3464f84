"""The request store: one file for each answer, so that no answer is asked for twice.

It lies outside of results/ and of every declared output, since Snakemake deletes those. A file is written under its
request key before anything is parsed; parsing again costs nothing. It is on the disk before its claim is removed.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import logging
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hypermix.errors import ArtefactError, LlmError
from hypermix.files import read_whole, write_bytes
from hypermix.hashing import canonical_json, digest
from hypermix.llm.claim import LIFETIME, SUFFIX, Claim, sync_folder, take

ANSWER = ".json.gz"
_LOG = logging.getLogger(__name__)
_KEY = re.compile(r"[0-9a-f]{64}")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LEVEL = 6
_PAUSE = 1.0
"""Seconds between two tries to store an answer for which there is no room."""


def request_key(identity: Mapping[str, str], path: str, body: Mapping[str, Any], sample: str) -> str:
    """Return the content address of a request.

    Args:
        identity: What answers: an endpoint's base URL, or the checksum of a model that runs here, whose URL changes.
        path: The endpoint's path, such as ``/v1/completions``.
        body: The whole body as it is sent; no setting is left out.
        sample: Which draw this is.

    Returns:
        64 hexadecimal digits.
    """
    return digest({"identity": dict(identity), "path": path, "body": dict(body), "sample": sample})


@dataclass(frozen=True)
class Question:
    """A whole request: all that its key is made from; see `request_key`."""

    identity: Mapping[str, str]
    path: str
    body: Mapping[str, Any]
    sample: str

    @cached_property
    def key(self) -> str:
        """The request key."""
        return request_key(self.identity, self.path, self.body, self.sample)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        response: The body as it came.
        headers: What the server told beside it; never a secret.
        unknown: Requests for this answer that were sent before and perhaps paid, and whose answers are lost.
    """

    response: str
    headers: Mapping[str, str] = field(default_factory=dict)
    unknown: int = 0

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the body."""
        return hashlib.sha256(self.response.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Record:
    """A stored request with its answer."""

    question: Question
    answer: Answer

    def to_bytes(self) -> bytes:
        """Return the content of its file; equal records give equal bytes."""
        question, answer = self.question, self.answer
        content = {
            "key": question.key,
            "request": {
                "identity": dict(question.identity),
                "path": question.path,
                "body": dict(question.body),
                "sample": question.sample,
            },
            "response": answer.response,
            "response_sha256": answer.sha256,
            "headers": dict(answer.headers),
            "unknown": answer.unknown,
        }
        return gzip.compress(canonical_json(content).encode("utf-8"), compresslevel=_LEVEL, mtime=0)


def unpack(content: bytes) -> bytes | None:
    """Return the text of an answer's file; None if it is damaged."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None


def read_record(key: str, text: bytes | None) -> Record | None:
    """Read the text of an answer's file; None if it is damaged or answers another request."""
    try:
        found = json.loads(text or b"")
        asked = found["request"]
        question = Question(asked["identity"], asked["path"], asked["body"], asked["sample"])
        answer = Answer(str(found["response"]), text_of(found["headers"]), int(found["unknown"]))
        intact = found["response_sha256"] == answer.sha256
        return Record(question, answer) if intact and found["key"] == key == question.key else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def text_of(headers: Mapping[object, object]) -> dict[str, str]:
    """Return headers with names and values that are text, whatever a file held."""
    return {str(name): str(value) for name, value in headers.items()}


@dataclass(frozen=True)
class RequestStore:
    """A folder of stored answers, which many processes may share, also over NFS.

    Attributes:
        folder: Where the files are; made when the first answer is stored.
        patience: Seconds in which an answer waits for room on a full disk.
        lifetime: Seconds after which the claim of a request ends.
    """

    folder: Path
    patience: float = 60.0
    lifetime: float = LIFETIME

    def path(self, key: str) -> Path:
        """Return where the answer to a request is or would be.

        Raises:
            ArtefactError: If the key is none, so that no path leaves the folder.
        """
        if not _KEY.fullmatch(key):
            raise ArtefactError(f"{key!r} is no request key; 64 hexadecimal digits are wanted")
        return self.folder / key[:2] / f"{key}{ANSWER}"

    def keys(self) -> Iterator[str]:
        """Yield the keys of all answers, sorted, damaged ones too."""
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            names = sorted(path.name.removesuffix(ANSWER) for path in folder.glob(f"*{ANSWER}"))
            yield from (name for name in names if _KEY.fullmatch(name) and name[:2] == folder.name)

    def get(self, key: str) -> Record | None:
        """Return a stored answer; None if it is not stored or its file is damaged, which the log tells.

        Raises:
            ArtefactError: If the file is there and the system does not let it be read.
        """
        record = self._look(key)
        if record is None and self.path(key).exists():
            record = self._look(key)  # another process may have stored it just now
            if record is None:
                _LOG.warning("%s: is damaged and counts as missing", self.path(key))
        return record

    def _look(self, key: str) -> Record | None:
        path = self.path(key)
        try:
            content, _ = read_whole(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ESTALE:  # NFS: another process has just put a new file in its place
                return None
            raise ArtefactError(
                f"{path}: cannot be read: {error.strerror}; mend this, so that the request is not paid for twice"
            ) from error
        return read_record(key, unpack(content))

    def put(self, record: Record) -> Record:
        """Store an answer, whole or not at all; the first answer to a request stays.

        Returns:
            The stored record.

        Raises:
            LlmError: If it cannot be written.
        """
        key = record.question.key
        found = self._look(key)
        if found is not None:
            return found
        path, content = self.path(key), record.to_bytes()
        until = time.monotonic() + self.patience
        while True:
            try:
                self._make_folder(path.parent)
                write_bytes(path, content)
                sync_folder(path.parent)
                return record
            except OSError as error:
                if error.errno not in _FULL or time.monotonic() >= until:
                    raise LlmError(
                        f"{path}: the answer came and cannot be stored: {error.strerror}; {_advice(error)}, and run "
                        "again: the request counts as unknown spend"
                    ) from error
                _LOG.warning("%s: %s; the answer waits up to %.0f s for room", path, error.strerror, self.patience)
                time.sleep(min(_PAUSE, self.patience))

    def begin(
        self, question: Question, pause: Callable[[float], None] = time.sleep, *, remembers: bool = False
    ) -> Record | Claim:
        """Return the stored answer, or claim the request; another process that has claimed it is waited for.

        Args:
            question: The request.
            pause: Waits for some seconds between two looks at somebody else's claim; it may raise to give up.
            remembers: Whether the way of asking finds again what it sent before a crash.

        Raises:
            LlmError: If the claim cannot be written; nothing was sent then.
            ArtefactError: If the answer is there and cannot be read.
        """
        key = question.key
        found = self.get(key)
        if found is not None:
            return found
        root = self.path(key).with_name(key + SUFFIX)
        try:
            self._make_folder(root.parent)
            return take(root, lambda: self._look(key), self.lifetime, pause, remembers=remembers)
        except OSError as error:
            raise LlmError(
                f"{root}: cannot be written: {error.strerror}; {_advice(error)}, and run again: nothing was sent"
            ) from error

    def finish(self, claim: Claim, question: Question, answer: Answer) -> Record:
        """Store the answer to a claimed request, and only then give up the claim.

        Raises:
            LlmError: If it cannot be written; the claim stays, as unknown spend.
        """
        with claim:
            record = self.put(Record(question, replace(answer, unknown=answer.unknown + claim.unknown)))
            claim.settle()
        return record

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)


def _advice(error: OSError) -> str:
    return "make room there" if error.errno in _FULL else "see to the folder and its permissions"
