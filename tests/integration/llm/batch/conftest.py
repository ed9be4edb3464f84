"""What the tests of batches share: an endpoint that takes them, a clock that only sleeping moves, and a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.backend import Refusal
from hypermix.llm.batch.backend import BatchBackend
from hypermix.llm.batch.submission import Timing
from hypermix.llm.ledger import Cost, Ledger, Reservation
from hypermix.llm.price import Rate
from hypermix.llm.store import Answer, Question
from tests.batch_server import KEY, BatchServer, batch_server, questions

RATE = Rate(input=1.0, output=10.0)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with batch_server() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "batches"


class Clock:
    """A clock that only sleeping moves; `interrupt` breaks the first sleep off."""

    def __init__(self, interrupt: bool = False) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._interrupt = interrupt

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if self._interrupt:
            raise KeyboardInterrupt
        self.slept.append(seconds)
        self.now += seconds

    def timing(self, **how: float) -> Timing:
        return Timing(**how, sleep=self.sleep, clock=self)


class Purse(Ledger):
    """A ledger in memory with one cap, in tokens."""

    def __init__(self, cap: int = 10**9) -> None:
        self.cap = cap
        self.held: dict[Reservation, tuple[float, int]] = {}
        self.paid: list[tuple[float, int]] = []

    def reserve(self, usd: float, tokens: int) -> Reservation:
        if sum(held for _, held in self.held.values()) + sum(paid for _, paid in self.paid) + tokens > self.cap:
            raise LlmError("the cap is reached")
        reserved = Reservation(Cost(usd, tokens))
        self.held[reserved] = usd, tokens
        return reserved

    def settle(self, reserved: Reservation, actual: Cost) -> None:
        del self.held[reserved]
        self.paid.append((actual.usd, actual.tokens))

    def release(self, reserved: Reservation) -> None:
        del self.held[reserved]


@dataclass
class Job:
    """A backend whose answers are kept as a store keeps them."""

    server: BatchServer
    folder: Path
    kept: dict[str, Answer] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    def open(self, **how: Any) -> BatchBackend:
        timing = how.pop("timing", None) or self.clock.timing()
        return BatchBackend(self.server.base_url, KEY, self.folder, self.kept.get, timing=timing, **how)

    def run(self, asked: list[Question], **how: Any) -> dict[str, Answer | Refusal]:
        backend = self.open(**how)
        try:
            return self.ask(backend, asked)
        finally:
            backend.close()

    def ask(self, backend: BatchBackend, asked: list[Question]) -> dict[str, Answer | Refusal]:
        for question in asked:
            if question.key not in self.kept:
                backend.submit(question)
        found: dict[str, Answer | Refusal] = {}
        while (came := backend.collect()) is not None:
            question, result = came
            found[question.key] = result
            if isinstance(result, Answer):
                self.kept[question.key] = result
        return found

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("*.json"))]


@pytest.fixture
def job(server: BatchServer, folder: Path) -> Job:
    return Job(server, folder)


def text(result: Answer | Refusal) -> str:
    assert isinstance(result, Answer)
    return str(json.loads(result.response)["choices"][0]["message"]["content"])


def refused(result: Answer | Refusal) -> Refusal:
    assert isinstance(result, Refusal)
    return result


def only(found: dict[str, Answer | Refusal]) -> Refusal:
    """Return the one refusal that all questions got."""
    (told,) = {str(refused(result).error) for result in found.values()}
    first = refused(next(iter(found.values())))
    assert str(first.error) == told
    return first


def asked(server: BatchServer, count: int = 5, **body: Any) -> list[Question]:
    return questions(count, server.base_url, **body)


def batch_id(record: dict[str, Any]) -> str:
    return str(record["batch"])
