"""How fast an endpoint is asked: its limits of requests and tokens a minute, shared by the jobs of a machine.

A limit a minute is kept in two ways. Requests are spread evenly (the generic cell rate algorithm: each has a time at
which it may be sent, and after a stall half a second of them at most is caught up with), since servers look at shorter
times than a minute. And the tokens of the last minute are counted, since one large request, or many that cost less than
was booked for them, would else go over. Both aim at 0.98 of the limit: messages do not arrive in even steps.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypermix.hashing import digest
from hypermix.llm.process import place
from hypermix.llm.shared import Shared, State

SHARE = 0.98
CATCH_UP = 0.5
"""Seconds of requests that may be sent at once after a stall."""

LATE = 0.25
"""Seconds after which a booking that was not used is void: its place in the minute is past."""

_MINUTE = 60.0
_WINDOW = 60.5
"""Seconds for which a token counts, from the end of the second in which it may be sent; the rest is for jitter."""

_LOOK = 0.2
"""Seconds between two looks at whether another process has met a pause."""

_LONGEST = 86400.0
"""Seconds ahead beyond which a time in the file is none; no pause is longer."""

_MOST_ENTRIES = 400
_MOST_TOKENS = 10**12
_PATIENCE = 10.0

_LOG = logging.getLogger(__name__)
_Told = TypeVar("_Told")


@dataclass(frozen=True)
class Booking:
    """The right to send one request.

    Attributes:
        wait: Seconds from the booking until it may be sent.
        at: When that is, by the clock of the pace.
        tokens: What is booked for it.
        until: When its tokens no longer count; 0 without a limit of tokens.
    """

    wait: float
    at: float
    tokens: int
    until: float = 0.0


class Pace:
    """The limits a minute of an endpoint, kept by all processes of this machine together.

    Where the file cannot be shared, which the log tells once, each process keeps them for itself.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        requests: float | None = None,
        tokens: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Make a pace; no file is touched before it is used.

        Args:
            folder: Where the jobs of this machine share their state.
            name: Whose limits these are, such as a URL and the name of a model. It is no file name.
            requests: Most requests a minute; None for no such limit.
            tokens: Most tokens a minute; None for no such limit.
            clock: Seconds, the same for all processes of this machine. `time.monotonic` is, until it starts anew.
            sleep: Waits for some seconds.
        """
        # Of a limit such as 1.5 a minute one request fits into a minute, and never two.
        self._requests = float(math.floor(requests)) if requests is not None and requests > 1 else requests
        self._tokens = tokens
        self._clock = clock
        self._sleep = sleep
        self._shared = Shared(folder / f"{_file_name(name)}.pace", _PATIENCE, lenient=True)
        self._own: State | None = None
        self._pause = 0.0
        self._looked = -math.inf
        self._one = asyncio.Lock()

    async def turn(self, tokens: int) -> Booking:
        """Wait until a request may be sent.

        One request of a process waits at a time, so that those behind it use at once what `correct` gives back.

        Args:
            tokens: The most that it can cost.

        Returns:
            Its booking, for `correct`.
        """
        async with self._one:
            while True:
                booking = self.reserve(tokens)
                try:
                    await self._sleep(booking.wait)
                except asyncio.CancelledError:
                    self.correct(booking, 0)
                    raise
                if not self.is_late(booking) and not self.paused():
                    return booking
                self.correct(booking, 0)

    def reserve(self, tokens: int) -> Booking:
        """Book one request and its tokens, without waiting; see `turn`.

        A request with more tokens than the limit of a minute gets a minute for itself.

        Args:
            tokens: The most that it can cost.
        """
        if self._requests is None and self._tokens is None:
            wait = self.paused()
            return Booking(wait, self._clock() + wait, tokens)
        return self._change(lambda state: self._book(state, max(0, min(tokens, _MOST_TOKENS))))

    def is_late(self, booking: Booking) -> bool:
        """Tell whether a limit could be passed if a booked request were sent only now: correct it to 0, book anew."""
        return self._clock() - booking.at > LATE

    def correct(self, booking: Booking, used: int) -> None:
        """Put the tokens that a request did cost in the place of those that were booked.

        Args:
            booking: What was booked.
            used: Its tokens; 0 if it was not sent.
        """
        limit = self._tokens
        if limit is None or used == booking.tokens:
            return
        more = max(0, min(used, _MOST_TOKENS)) - booking.tokens

        def apply(state: State) -> None:
            self._tidy(state)
            # What a server claims beyond its limit holds everybody up for a minute, and not for ever.
            most = max(state["tokens"], self._clock() + _MINUTE)
            state["tokens"] = min(state["tokens"] + more * _step(limit), most)
            state["log"] = [
                [until, max(0, count + more) if until == booking.until else count] for until, count in state["log"]
            ]

        self._change(apply)

    def pause(self, seconds: float) -> None:
        """Let no process send anything for some seconds, as an endpoint asked; a longer pause in force stays."""
        until = self._clock() + (min(max(seconds, 0.0), _LONGEST) if not math.isnan(seconds) else 0.0)

        def apply(state: State) -> None:
            self._tidy(state)
            state["pause"] = max(state["pause"], until)

        self._change(apply)

    def paused(self) -> float:
        """Return the seconds for which nothing may be sent; another process's pause is known 0.2 seconds later."""
        now = self._clock()
        if now - self._looked >= _LOOK:
            self._see(self._own if self._own is not None else self._read())
        return max(0.0, self._pause - now)

    def _book(self, state: State, tokens: int) -> Booking:
        self._tidy(state)
        now = self._clock()
        pause = float(state["pause"])
        at = max(now, pause)
        if self._requests is not None:
            at = max(at, state["requests"])
        if self._tokens is not None:
            at = _first_fit(state["log"], max(at, state["tokens"]), self._tokens - tokens)
        # Who comes late may hurry a little, but nobody at the start or after a pause.
        floor = max(at - CATCH_UP, pause, state["start"])
        until = 0.0
        if self._requests is not None:
            state["requests"] = max(state["requests"], floor) + _step(self._requests)
        if self._tokens is not None:
            state["tokens"] = max(state["tokens"], floor) + min(tokens * _step(self._tokens), _MINUTE / SHARE)
            until = _log(state["log"], at, tokens)
        return Booking(at - now, at, tokens, until)

    def _tidy(self, state: State) -> None:
        """Keep of a state only what can be true, whoever wrote it."""
        now = self._clock()
        for name in ("requests", "tokens", "pause"):
            state[name] = _time(state.get(name), now)
        state["start"] = _time(state.get("start", now), now)
        log = state.get("log")
        entries = log if isinstance(log, list) else []
        state["log"] = [[_time(entry[0], now), entry[1]] for entry in entries if _is_entry(entry) and entry[0] > now]

    def _change(self, edit: Callable[[State], _Told]) -> _Told:
        if self._own is None:
            try:
                return self._shared.change(lambda state: self._edit(state, edit))
            except OSError as error:
                self._keep_own(error)
        state: State = self._own if self._own is not None else {}
        return self._edit(state, edit)

    def _edit(self, state: State, edit: Callable[[State], _Told]) -> _Told:
        told = edit(state)
        self._see(state)
        return told

    def _read(self) -> State:
        try:
            return self._shared.read()
        except OSError as error:
            return self._keep_own(error)

    def _keep_own(self, error: OSError) -> State:
        _LOG.warning(
            "%s: cannot be shared (%s); the limits are kept by each job for itself", self._shared.path, error.strerror
        )
        self._own = {}
        return self._own

    def _see(self, state: State) -> None:
        now = self._clock()
        self._pause, self._looked = _time(state.get("pause"), now), now


def _file_name(name: str) -> str:
    # A clock means something on its machine alone, and until that starts anew.
    return digest([name, place()])[:24]


def _step(limit: float) -> float:
    """Return the seconds that one request or token takes."""
    return _MINUTE / (SHARE * limit)


def _first_fit(log: list[list[Any]], at: float, room: float) -> float:
    """Return the first time from `at` on when no more than `room` tokens count."""
    counting = [entry for entry in log if entry[0] > at]
    total = sum(count for _, count in counting)
    for until, count in counting:
        if total <= room:
            break
        at, total = until, total - count
    return at


def _log(log: list[list[Any]], at: float, tokens: int) -> float:
    """Write tokens down in the entry of their second, and return when they no longer count."""
    until = math.ceil(at) + _WINDOW
    for entry in log:
        if entry[0] == until:
            entry[1] += tokens
            break
    else:
        log.append([until, tokens])
        log.sort()
    while len(log) > _MOST_ENTRIES:  # bookings many minutes ahead
        last = log.pop()
        log[-1] = [last[0], log[-1][1] + last[1]]
    return until


def _time(value: object, now: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0.0 <= value <= now + _LONGEST else 0.0  # type: ignore[operator,arg-type]


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], int | float)
        and isinstance(entry[1], int)
        and 0 <= entry[1] <= _MOST_TOKENS
    )
