"""Processes that change one file over and over, all of them at once, and tell each change until they are killed."""

from __future__ import annotations

import random
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from hypermix.errors import BudgetError
from hypermix.llm.ledger import Caps, Cost, Ledger
from hypermix.llm.shared import Shared, State

Tell = Callable[[Any], None]


class Worker:
    """A process that has all its packages and waits for its start."""

    def __init__(self, processes: ForkServerContext, work: Callable[..., None], *words: Any) -> None:
        self._heard, tell = processes.Pipe(duplex=False)
        self._go = processes.Event()
        self._process = processes.Process(target=_wait_and_work, args=(work, tell, self._go, words))
        self._process.start()
        tell.close()
        assert self._heard.recv() == "ready"

    def start(self) -> None:
        """Let it work."""
        self._go.set()

    def kill(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()

    def told(self) -> tuple[list[Any], int | None]:
        """Wait for its end; return what it told, and its exit code."""
        told = []
        with self._heard:
            while True:
                try:
                    told.append(self._heard.recv())
                except EOFError:
                    break
        self._process.join()
        return told, self._process.exitcode


def _wait_and_work(work: Callable[..., None], tell: Connection, go: Event, words: tuple[Any, ...]) -> None:
    tell.send("ready")
    go.wait()
    work(tell.send, *words)


def add_often(tell: Tell, path: Path, times: int) -> None:
    """Add one to a state, whose length goes up and down, and tell each sum."""

    def add(state: State) -> int:
        state["sum"] = total = int(state.get("sum", 0)) + 1
        state["filling"] = "x" * (total % 97 * 50)
        return total

    shared = Shared(path)
    for _ in range(times):
        tell(shared.change(add))


def spend_often(tell: Tell, path: Path, seed: int, times: int, cap: float) -> None:
    """Reserve from an account, and settle, release or keep it; tell its fate, thousandths of a dollar, and tokens."""
    ledger, draw = Ledger(path, Caps(usd=cap)), random.Random(seed)
    for _ in range(times):
        try:
            reserved = ledger.reserve(0.010, 100)
        except BudgetError:
            tell(("refused", 0, 0))
            continue
        assert ledger.spent().usd <= cap
        fate = draw.choice(["settled", "released", "kept"])
        units = {"settled": draw.randrange(1, 10), "released": 0, "kept": 10}[fate]
        if fate == "settled":
            ledger.settle(reserved, Cost(units / 1000, 10 * units))
        elif fate == "released":
            ledger.release(reserved)
        tell((fate, units, 10 * units))
