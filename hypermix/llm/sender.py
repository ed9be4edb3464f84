"""The process that requests are sent from: `python -m hypermix.llm.sender`.

A process of its own, since one Python process cannot both keep hundreds of connections fed and put every claim and
answer on the disk. It reads one JSON object a line from standard input, first its settings (the key stands in no
argument list), then questions, and writes one line for each question. It ends when standard input does, so it never
outlives its job, even one that is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hypermix.errors import BudgetError
from hypermix.llm.answer import read_usage
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.ledger import Caps, Ledger, Reservation
from hypermix.llm.pace import Pace, Slots, Width
from hypermix.llm.price import Rate, likely_tokens, most_tokens
from hypermix.llm.store import Answer
from hypermix.llm.wire import FailedError, OverloadedError, RefusedError, Wire

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_SLOT_PAUSE = 0.02
_LINE_BYTES = 1 << 30


class Sender:
    """Sends questions as fast as the endpoint and the limits allow.

    Args:
        endpoint: How it is asked.
        wire: The connection.
    """

    def __init__(self, endpoint: Endpoint, wire: Wire) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._width = Width(endpoint.concurrency)
        self._pace = self._slots = self._ledger = None
        if endpoint.pace is not None:
            folder = Path(endpoint.pace)
            self._pace = Pace(folder, endpoint.requests_per_min, endpoint.tokens_per_min)
            self._slots = Slots(folder, endpoint.concurrency)
        if endpoint.ledger is not None:
            self._ledger = Ledger(Path(endpoint.ledger), Caps(**(endpoint.caps or {})))
        self._rate = Rate(**endpoint.rate) if endpoint.rate else Rate()
        self._active = self._reserved = 0
        self._free = asyncio.Condition()
        self._stopped = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - spreads retries, and changes no result

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped.set()

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return an answer, or why there is none, as an object of the output.

        Args:
            path: See `Wire.send`.
            body: The whole body.
        """
        unknown, failures, waited = 0, 0, 0.0
        while not self._stopped.is_set():
            try:
                answer = await self._try(path, body)
            except BudgetError as error:
                self.stop()
                return _refused(str(error), unknown=unknown, unsent=not unknown, budget=True)
            except OverloadedError as error:
                wait = self._backoff(failures) if error.wait is None else error.wait
                failures, waited = failures + 1, waited + wait
                if waited > self._endpoint.longest_wait:
                    self.stop()
                    return _refused(self._word_wait(error, wait), unknown=unknown)
                await self._cool(wait)
            except RefusedError as error:
                unknown += error.unknown
                if error.fatal and error.param is None:
                    self.stop()
                told = f"{self._endpoint.name} refused: {error.message}"
                return _refused(told, unknown=unknown, fatal=error.fatal, param=error.param, filtered=error.filtered)
            except FailedError as error:
                unknown, failures = unknown + error.unknown, failures + 1
                if failures >= self._endpoint.tries:
                    self.stop()
                    return _refused(self._word_failure(error, failures), unknown=unknown)
                await self._sleep(self._backoff(failures - 1))
            else:
                if answer is not None:
                    return {"response": answer.response, "headers": dict(answer.headers), "unknown": unknown}
        return _refused("the job ends", unknown=unknown, unsent=not unknown, fatal=False)

    async def _try(self, path: str, body: Mapping[str, Any]) -> Answer | None:
        """Send once, when the limits allow; None if the job ends before."""
        async with self._free:
            await self._free.wait_for(lambda: self._active < self._width.now() or self._stopped.is_set())
            self._active += 1
        try:
            return await self._send(path, body)
        finally:
            async with self._free:
                self._active -= 1
                self._free.notify_all()

    async def _send(self, path: str, body: Mapping[str, Any]) -> Answer | None:
        slot = None
        while self._slots is not None and slot is None:
            if self._stopped.is_set():
                return None
            slot = self._slots.try_take()
            if slot is None:
                await self._sleep(_SLOT_PAUSE)
        try:
            return await self._spend(path, body)
        finally:
            if self._slots is not None and slot is not None:
                self._slots.release(slot)

    async def _spend(self, path: str, body: Mapping[str, Any]) -> Answer | None:
        reserved = await self._reserve(body)
        billed: Answer | None = None
        kept = False
        try:
            guess = likely_tokens(body).total
            if self._pace is not None:
                await self._sleep(self._pace.reserve(guess))
                while (pause := self._pace.paused()) > 0 and not self._stopped.is_set():
                    await self._sleep(pause)
            if self._stopped.is_set():
                return None
            started = self._width.started()
            try:
                billed = await self._wire.send(path, body)
            except OverloadedError:
                self._width.overloaded(started)
                raise
            except FailedError as error:
                kept = error.unknown
                raise
            self._width.succeeded()
            if self._pace is not None:
                self._pace.correct(guess, read_usage(billed.response).total)
            return billed
        finally:
            self._settle(reserved, billed, kept)
            self._reserved -= 1

    async def _reserve(self, body: Mapping[str, Any]) -> Reservation | None:
        """Reserve the most that a request can cost; before a cap is met, those under way may give something back."""
        most = most_tokens(body)
        while True:
            before = self._reserved
            try:
                found = self._ledger.reserve(self._rate.usd(most), most.total) if self._ledger else None
            except BudgetError:
                if before == 0 or self._stopped.is_set():
                    raise
                async with self._free:
                    await self._free.wait_for(lambda: self._reserved < before or self._stopped.is_set())
            else:
                self._reserved += 1
                return found

    def _settle(self, reserved: Reservation | None, answer: Answer | None, kept: bool) -> None:
        """Put what was billed in the place of what was reserved; what is perhaps billed stays reserved."""
        if self._ledger is None or reserved is None or kept:
            return
        if answer is None:
            self._ledger.release(reserved)
        else:
            used = read_usage(answer.response)
            self._ledger.settle(reserved, self._rate.usd(used), used.total)

    async def _cool(self, wait: float) -> None:
        if self._pace is not None:
            self._pace.pause(wait)
        await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        """Wait, unless the job ends."""
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            pass

    def _backoff(self, failures: int) -> float:
        longest = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE)
        return self._random.uniform(longest / 2, longest)

    def _word_wait(self, error: OverloadedError, wait: float) -> str:
        return (
            f"{self._endpoint.name} at {self._endpoint.base_url} asks for a pause of {wait:.0f} s ({error.message}), "
            f"and the llm's limits.longest_wait is {self._endpoint.longest_wait:g} s; answers so far are stored: run "
            "again later, or lower its limits"
        )

    def _word_failure(self, error: FailedError, failures: int) -> str:
        return (
            f"{self._endpoint.name} at {self._endpoint.base_url} gave no answer in {failures} tries: {error.message}; "
            "answers so far are stored, running again asks for the rest"
        )


def _refused(
    message: str,
    *,
    unknown: int,
    unsent: bool = False,
    fatal: bool = True,
    param: str | None = None,
    filtered: bool = False,
    budget: bool = False,
) -> dict[str, Any]:
    return {
        "refused": message,
        "unknown": unknown,
        "unsent": unsent,
        "fatal": fatal,
        "param": param,
        "filtered": filtered,
        "budget": budget,
    }


async def serve(lines: asyncio.StreamReader, write: Callable[[dict[str, Any]], None]) -> None:
    """Answer questions until the lines end or a line says to stop.

    Args:
        lines: The settings, then ``{"n", "path", "body"}`` or ``{"stop": true}``, one JSON object a line.
        write: Takes an object of the output, with the ``n`` of its question.
    """
    endpoint = Endpoint(**json.loads(await lines.readline()))
    wire = Wire(endpoint)
    sender = Sender(endpoint, wire)
    open_: set[asyncio.Task[None]] = set()

    async def answer(question: Mapping[str, Any]) -> None:
        write({"n": question["n"], **await sender.ask(question["path"], question["body"])})

    while line := await lines.readline():
        message = json.loads(line)
        if "stop" in message:
            sender.stop()
            continue
        task = asyncio.create_task(answer(message))
        open_.add(task)
        task.add_done_callback(open_.discard)
    # The job has what it wants, or it is dead and nobody will read an answer.


async def _main() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    output, _ = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)

    def write(message: Mapping[str, Any]) -> None:
        output.write(json.dumps(message).encode() + b"\n")

    await serve(lines, write)
    os._exit(0)  # connections need no goodbye


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the job decides
    asyncio.run(_main())
