"""The process that requests are sent from: `python -m hypermix.llm.sender`.

A process of its own, since one Python process cannot both keep hundreds of connections fed and put every claim and
answer on the disk. It reads one JSON object a line from standard input, first its settings (the key stands in no
argument list), then questions, and writes one line for each question. It ends when standard input does, so it never
outlives its job, even one that is killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from hypermix.errors import BudgetError, LlmError
from hypermix.llm.answer import read_usage
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.ledger import Caps, Cost, Ledger, Reservation
from hypermix.llm.pace import Booking, Pace
from hypermix.llm.price import Rate, Tokens, likely_tokens, most_tokens
from hypermix.llm.store import Answer
from hypermix.llm.width import Slots, Width
from hypermix.llm.wire import FailedError, OverloadedError, RefusedError, Wire, WireError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_SLOT_PAUSE = 0.02
_LINE_BYTES = 1 << 30
_MOST_TOKENS = 10**12
_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class _Job:
    """A question on its way, and what became of it so far."""

    path: str
    body: Mapping[str, Any]
    reply: Callable[[dict[str, Any]], None]
    unknown: int = 0
    failures: int = 0
    overloads: int = 0
    waited: float = 0.0


class Sender:
    """Sends questions as fast as the endpoint and the limits allow. Used by one event loop.

    Args:
        endpoint: How it is asked.
        wire: The connection.
    """

    def __init__(self, endpoint: Endpoint, wire: Wire) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._width = Width(endpoint.concurrency)
        self._pace: Pace | None = None
        self._slots: Slots | None = None
        if endpoint.shared is not None:
            # Whoever shares a model at an address shares its limits.
            name, folder = f"{endpoint.base_url} {endpoint.name}", Path(endpoint.shared)
            self._pace = Pace(folder, name, endpoint.requests_per_min, endpoint.tokens_per_min)
            self._slots = Slots(folder, name, endpoint.concurrency)
        self._ledger = Ledger(Path(endpoint.ledger), Caps(**(endpoint.caps or {}))) if endpoint.ledger else None
        self._rate = Rate(**endpoint.rate) if endpoint.rate else Rate()
        self._queue: deque[_Job] = deque()
        self._short: list[_Job] = []
        self._later: dict[_Job, asyncio.TimerHandle] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._reserved = 0
        self._unanswered = 0
        self._stopped = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - spreads retries, and changes no result

    def ask(self, path: str, body: Mapping[str, Any], reply: Callable[[dict[str, Any]], None]) -> None:
        """Take a question.

        Args:
            path: See `Wire.send`.
            body: The whole body.
            reply: Gets the answer, or why there is none, as an object of the output; called once.
        """
        self._unanswered += 1
        self._put(_Job(path, body, reply))

    def stop(self) -> None:
        """Send nothing more; requests under way are still answered."""
        self._stopped.set()
        for timer in self._later.values():
            timer.cancel()
        for job in [*self._queue, *self._short, *self._later]:
            self._drop(job)
        self._queue.clear()
        self._short.clear()
        self._later.clear()

    def _put(self, job: _Job) -> None:
        self._later.pop(job, None)
        if self._stopped.is_set():
            self._drop(job)
            return
        self._queue.append(job)
        self._hire()

    def _reply(self, job: _Job, told: dict[str, Any]) -> None:
        self._unanswered -= 1
        job.reply(told)

    def _drop(self, job: _Job) -> None:
        self._reply(job, _refused("the job ends", unknown=job.unknown, unsent=True, fatal=False))

    def _hire(self) -> None:
        while self._queue and len(self._workers) < self._width.now:
            worker = asyncio.create_task(self._work(self._queue.popleft()))
            self._workers.add(worker)
            worker.add_done_callback(self._dismiss)

    def _dismiss(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._hire()
        if not worker.cancelled():
            worker.result()  # a mistake in this module must not be silent

    async def _work(self, job: _Job | None) -> None:
        """Send one question after the other, on a connection that stays warm, while there is room for a worker."""
        while job is not None:
            with ExitStack() as after:
                after.push(partial(self._note_mistake, job))
                await self._serve(job)
            self._hire()
            job = self._queue.popleft() if self._queue and len(self._workers) <= self._width.now else None

    def _note_mistake(self, job: _Job, kind: type[BaseException] | None, *_: object) -> None:
        """End it after a mistake in this module, and let nobody wait for an answer."""
        if kind is not None:
            self.stop()
            told = f"{self._where}: {kind.__name__} in the process that sends requests; run again"
            self._reply(job, _refused(told, unknown=job.unknown + 1))

    async def _serve(self, job: _Job) -> None:
        try:
            answer = None if self._stopped.is_set() else await self._send(job)
        except BudgetError as error:
            self._wait_for_room(job, error)
        except OverloadedError as error:
            self._cool(job, error)
        except RefusedError as error:
            self._refuse(job, error)
        except FailedError as error:
            self._try_again(job, error)
        except LlmError as error:  # the account cannot be kept
            self.stop()
            self._reply(job, _refused(str(error), unknown=job.unknown, unsent=not job.unknown))
        else:
            if answer is None:
                self._drop(job)
            else:
                told = {"response": answer.response, "headers": dict(answer.headers), "unknown": job.unknown}
                self._reply(job, told)

    def _refuse(self, job: _Job, error: RefusedError) -> None:
        """Pass on a refusal. All others would meet the same, unless somebody tries out one request after another."""
        job.unknown += error.unknown
        if error.fatal and (error.said is None or self._unanswered > 1):
            self.stop()
        about = {"param": error.param, "filtered": error.filtered, "said": error.said}
        told = _refused(f"{self._where}: {error.message}", unknown=job.unknown, fatal=error.fatal)
        self._reply(job, {**told, **about})

    def _wait_for_room(self, job: _Job, error: BudgetError) -> None:
        """Meet a cap, unless requests under way may still give something back."""
        if self._reserved:
            self._short.append(job)
            return
        self.stop()
        self._reply(job, _refused(str(error), unknown=job.unknown, unsent=not job.unknown, budget=True))

    def _cool(self, job: _Job, error: OverloadedError) -> None:
        """Ask again later; what the endpoint asks for holds for all jobs."""
        # Who asks for no more than a moment again and again is not asked a thousand times.
        wait = self._backoff(job.overloads) if error.wait is None or job.overloads else 0.0
        wait = max(wait, error.wait or 0.0)
        job.overloads, job.waited = job.overloads + 1, job.waited + wait
        if job.waited > self._endpoint.longest_wait:
            self.stop()
            self._reply(job, _refused(self._word_wait(error, wait), unknown=job.unknown))
            return
        if self._pace is not None and error.wait is not None:
            self._pace.pause(wait)
        self._delay(job, wait)

    def _try_again(self, job: _Job, error: FailedError) -> None:
        job.unknown, job.failures = job.unknown + error.unknown, job.failures + 1
        if job.failures >= self._endpoint.tries:
            self.stop()
            self._reply(job, _refused(self._word_failure(error, job.failures), unknown=job.unknown))
        else:
            self._delay(job, self._backoff(job.failures - 1))

    def _delay(self, job: _Job, seconds: float) -> None:
        if self._stopped.is_set():
            self._drop(job)
        else:
            self._later[job] = asyncio.get_running_loop().call_later(seconds, self._put, job)

    async def _send(self, job: _Job) -> Answer | None:
        """Send once, when the limits allow; None if the job ends before."""
        slot = None
        while self._slots is not None and (slot := self._slots.try_take()) is None:
            await asyncio.sleep(_SLOT_PAUSE)
            if self._stopped.is_set():
                return None
        try:
            return await self._spend(job)
        finally:
            if slot is not None:
                slot.release()

    async def _spend(self, job: _Job) -> Answer | None:
        booking = await self._turn(likely_tokens(job.body).total)
        if self._stopped.is_set():
            self._correct(booking, Tokens())
            return None
        # Only now: what waits for its turn holds no money.
        reserved = self._reserve(job.body, booking)
        answer: Answer | None = None
        unknown, mark = False, self._width.mark()
        try:
            answer = await self._wire.send(job.path, job.body)
            self._width.succeeded(mark)
        except OverloadedError:
            self._width.overloaded(mark)
            raise
        except WireError as error:
            unknown = error.unknown
            raise
        finally:
            used = Tokens() if answer is None else _used(answer)
            # An answer that does not tell its tokens was not free: what was set aside for it stays.
            silent = answer is not None and not used.total
            if not silent and not unknown:
                self._correct(booking, used)
            self._settle(reserved, used, billed=answer is not None, unknown=unknown or silent)
        return answer

    def _reserve(self, body: Mapping[str, Any], booking: Booking | None) -> Reservation | None:
        most = most_tokens(body)
        try:
            reserved = self._ledger.reserve(self._rate.usd(most), most.total) if self._ledger else None
        except LlmError:
            self._correct(booking, Tokens())
            raise
        self._reserved += 1
        return reserved

    def _correct(self, booking: Booking | None, used: Tokens) -> None:
        if self._pace is not None and booking is not None:
            self._pace.correct(booking, used.total)

    async def _turn(self, tokens: int) -> Booking | None:
        """Wait until the limits allow a request, or the job ends."""
        if self._pace is None:
            return None
        if not self._endpoint.limited and not self._pace.paused():
            return None
        turn = asyncio.ensure_future(self._pace.turn(tokens))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({turn, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if turn.done():
            return turn.result()
        turn.cancel()
        return None

    def _settle(self, reserved: Reservation | None, used: Tokens, *, billed: bool, unknown: bool) -> None:
        """Put what was billed in the place of what was reserved; what is perhaps billed stays reserved."""
        self._reserved -= 1
        if self._ledger is not None and reserved is not None and not unknown:
            try:
                if billed:
                    self._ledger.settle(reserved, Cost(self._rate.usd(used), used.total))
                else:
                    self._ledger.release(reserved)
            except LlmError as error:  # an answer is not lost for it; the next request cannot be reserved
                _LOG.warning("%s; what was reserved stays so", error)
        self._queue.extendleft(reversed(self._short))
        self._short.clear()

    def _backoff(self, failures: int) -> float:
        longest = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE)
        return self._random.uniform(longest / 2, longest)

    @property
    def _where(self) -> str:
        return f"{self._endpoint.name} at {self._endpoint.base_url}"

    def _word_wait(self, error: OverloadedError, wait: float) -> str:
        return (
            f"{self._where} asks for a pause of {wait:.0f} s ({error.message}), "
            f"and the llm's limits.longest_wait is {self._endpoint.longest_wait:g} s; answers so far are stored: run "
            "again later, or lower its limits"
        )

    def _word_failure(self, error: FailedError, failures: int) -> str:
        return (
            f"{self._where} gave no answer in {failures} {'try' if failures == 1 else 'tries'}: {error.message}; "
            "answers so far are stored, running again asks for the rest"
        )


def _refused(
    message: str,
    *,
    unknown: int,
    unsent: bool = False,
    fatal: bool = True,
    budget: bool = False,
) -> dict[str, Any]:
    return {
        "refused": message,
        "unknown": unknown,
        "unsent": unsent,
        "fatal": fatal,
        "param": None,
        "filtered": False,
        "said": None,
        "budget": budget,
    }


def _used(answer: Answer) -> Tokens:
    """Return what an answer was billed for, within what arithmetic bears: a server may claim anything."""
    try:
        told = read_usage(answer.response)
    except (ValueError, RecursionError):  # not one of the APIs
        return Tokens()
    return Tokens(min(told.prompt, _MOST_TOKENS), min(told.completion, _MOST_TOKENS))


def _number(write: Callable[[dict[str, Any]], None], n: int, told: dict[str, Any]) -> None:
    write({"n": n, **told})


async def serve(lines: asyncio.StreamReader, write: Callable[[dict[str, Any]], None], sender: Sender) -> None:
    """Answer questions until the lines end; send no more when a line says to stop.

    When they end, the job has what it wants, or it is dead and nobody will read an answer.

    Args:
        lines: ``{"n", "path", "body"}`` or ``{"stop": true}``, one JSON object a line.
        write: Takes an object of the output, with the ``n`` of its question.
        sender: Who sends them.
    """
    while line := await lines.readline():
        message = json.loads(line)
        if "stop" in message:
            sender.stop()
        else:
            sender.ask(message["path"], message["body"], partial(_number, write, message["n"]))


async def open_pipes(source: IO[Any], target: IO[Any]) -> tuple[asyncio.StreamReader, Callable[[dict[str, Any]], None]]:
    """Return the lines of a pipe, and what writes an object as a line into another one."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), source)
    output, _ = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, target)

    def write(message: Mapping[str, Any]) -> None:
        output.write(json.dumps(message).encode() + b"\n")

    return lines, write


async def _main() -> None:
    lines, write = await open_pipes(sys.stdin, sys.stdout)
    endpoint = Endpoint(**json.loads(await lines.readline()))
    await serve(lines, write, Sender(endpoint, Wire(endpoint)))
    os._exit(0)  # connections need no goodbye


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the job decides
    asyncio.run(_main())
