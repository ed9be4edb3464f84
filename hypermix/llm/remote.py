"""An endpoint behind a URL: questions go to the sender's process, and answers come back in any order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hypermix.errors import BudgetError, LlmError
from hypermix.llm.backend import Backend, Refusal
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.store import Answer, Question

_AHEAD = 16
"""Most questions that wait in the sender, so that it is never idle while claims are written. They count as perhaps paid
if the job is killed, so they are few where answers come slowly."""

_LIMITED_SECONDS = 20.0
"""Seconds of requests that are claimed where a limit holds them back."""

_FIRST = 4
"""Questions under way at the start."""

_OPENAI_HOST = "api.openai.com"


class RemoteBackend:
    """The sender's process, as a `hypermix.llm.backend.Backend`."""

    eager = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.width = min(_FIRST, endpoint.concurrency) + 1
        self._most = endpoint.concurrency + max(1, min(_AHEAD, endpoint.concurrency // 4))
        if endpoint.requests_per_min is not None:
            self._most = min(self._most, max(_FIRST, round(endpoint.requests_per_min * _LIMITED_SECONDS / 60)))
        self._name = endpoint.name
        self._lock = threading.Lock()
        self._open: dict[int, Question] = {}
        self._count = 0
        self._unsent: set[int] = set()
        self._process = _start()
        self._write(asdict(endpoint))

    def submit(self, question: Question) -> None:
        """Hand a question over; it is sent as soon as the limits allow."""
        with self._lock:
            self._count += 1
            self._open[self._count] = question
            if not self._put({"n": self._count, "path": question.path, "body": dict(question.body)}):
                self._unsent.add(self._count)

    def collect(self) -> tuple[Question, Answer | Refusal] | None:
        """Wait for the next answer; None if no question is open."""
        with self._lock:
            if not self._open:
                return None
        try:
            line = self._process.stdout.readline() if self._process.stdout else b""
        except ValueError:  # it was closed meanwhile
            line = b""
        if not line.endswith(b"\n"):  # its end is missing too where the process died while it wrote
            return self._lose()
        told = json.loads(line)
        with self._lock:
            question = self._open.pop(told["n"])
        if "refused" in told:
            return question, _refusal(told)
        # As many more are asked at once as the sender does at its start, so that a kill loses few claims.
        self.width = min(self.width + 1, self._most)
        return question, Answer(told["response"], told["headers"], told["unknown"])

    def _lose(self) -> tuple[Question, Refusal] | None:
        """Give up an open question after the process has ended: it was perhaps sent."""
        with self._lock:
            if not self._open:
                return None
            number = min(self._open)
            question = self._open.pop(number)
            unsent = number in self._unsent
        status = self._process.wait()
        error = LlmError(f"{self._name}: the process that sends requests ended with status {status}; run again")
        return question, Refusal(error, unknown=int(not unsent), unsent=unsent)

    def stored(self, question: Question) -> None:
        """Do nothing: what was answered is forgotten here."""

    def stop(self) -> None:
        """Let nothing more be sent."""
        self._write({"stop": True})

    def close(self) -> None:
        """End the process; it holds nothing that needs care."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):  # what it did not read any more
                    pipe.close()
        self._process.wait()

    def _write(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            self._put(message)

    def _put(self, message: Mapping[str, Any]) -> bool:
        """Write a line; False if the process is gone, which `collect` tells."""
        try:
            if self._process.stdin:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True


def _start() -> subprocess.Popen[bytes]:
    """Start the process, in a group of its own: Ctrl-C is for the job, which decides what becomes of it."""
    return subprocess.Popen(
        [sys.executable, "-m", "hypermix.llm.sender"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )


def _refusal(told: Mapping[str, Any]) -> Refusal:
    kind = BudgetError if told["budget"] else LlmError
    return Refusal(
        kind(told["refused"]),
        unknown=told["unknown"],
        unsent=told["unsent"],
        fatal=told["fatal"],
        param=told["param"],
        filtered=told["filtered"],
        said=told["said"],
    )


@contextmanager
def open_remote(endpoint: Endpoint) -> Iterator[Backend]:
    """Run the sender's process for the length of a block."""
    backend = RemoteBackend(endpoint)
    try:
        yield backend
    finally:
        backend.close()


def read_key(place: Mapping[str, str | None] | None, base_url: str, variable: str, file: str) -> str:
    """Find the key of an endpoint.

    Args:
        place: ``env`` or ``file``, as the config names it; None for OpenAI's usual places, and no key elsewhere, so
            that a key of OpenAI is never sent to somebody else.
        base_url: The endpoint's URL.
        variable: The environment variable to look for where no place is named.
        file: The file to look for then.

    Returns:
        The key; empty if the endpoint needs none.

    Raises:
        LlmError: If it is not there.
    """
    if place is None:
        if urlsplit(base_url).hostname != _OPENAI_HOST:
            return ""
        if os.environ.get(variable, "").strip():
            place = {"env": variable}
        elif Path(file).is_file():
            place = {"file": file}
        else:
            raise LlmError(
                f"{base_url} needs a key: set the variable {variable}, or write it into the file {file} of the working "
                "folder, or name another place with the llm's key"
            )
    if place.get("env"):
        return _checked(os.environ.get(str(place["env"]), ""), f"the environment variable {place['env']}")
    path = Path(str(place["file"]))
    try:
        lines = path.read_text(encoding="utf-8").strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LlmError(
            f"{path}: the key cannot be read from this file: {type(error).__name__}; see llms in the config"
        ) from None
    return _checked(lines[0] if lines else "", f"the file {path}")


def _checked(key: str, where: str) -> str:
    key = key.strip()
    if not key:
        raise LlmError(f"{where}, which should hold the key of the language model, is not set or empty")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise LlmError(f"{where} holds no key: a key is one word of ASCII characters")
    return key
