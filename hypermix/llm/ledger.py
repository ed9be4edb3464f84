"""What an experiment has spent, and the caps that no request goes beyond.

Before a request is sent, the most that it can cost is added to what is spent; when its answer is there, the difference
is given back. So the sum is never too low, and no cap is passed however many requests of however many jobs and machines
are under way. A process that is killed leaves what it had reserved as spent: perhaps it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypermix.errors import BudgetError, LlmError
from hypermix.hashing import digest
from hypermix.llm.shared import Shared, State

_UNITS = 1e9
"""Units in a dollar. Sums of whole units do not drift."""

_MOST = 10**18
"""More of anything is a mistake or a lie of a server, and counts as this."""

_Told = TypeVar("_Told")


@dataclass(frozen=True)
class Caps:
    """The most that may be spent; None for no such cap."""

    usd: float | None = None
    requests: int | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Spent:
    """What is spent, with what requests under way can cost at most."""

    usd: float = 0.0
    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Cost:
    """What one request costs."""

    usd: float
    tokens: int


@dataclass(eq=False)
class Reservation:
    """The most that one request can cost; to be settled or released once, after which it is closed."""

    most: Cost
    closed: bool = False


def account_path(cache: str, results: str) -> Path:
    """Return the file of what an experiment has spent, named by its folder of results.

    Args:
        cache: The folder of the cache.
        results: The folder of results, as the config has it.
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "-", results).strip("-")[-40:]
    return Path(cache) / "spending" / f"{readable}-{digest(results)[:8]}.json"


class Ledger:
    """The account of an experiment in a file, which jobs on many machines may share.

    Attributes:
        caps: The most that may be spent.
    """

    def __init__(self, path: Path, caps: Caps) -> None:
        self.caps = caps
        self._shared = Shared(path)

    def reserve(self, usd: float, tokens: int) -> Reservation:
        """Add a request, and the most that it can cost, to what is spent.

        Near a cap, requests under way hold more than they will cost: whoever has some of them waits until they are
        settled and tries again.

        Args:
            usd: Dollars, 0 for a model without a price.
            tokens: Tokens of its prompt and its longest answer.

        Raises:
            BudgetError: If a cap could be passed; nothing is added then.
            LlmError: If the account cannot be kept.
        """
        most = Cost(usd, tokens)

        def add(state: State) -> None:
            self._check(state, most)
            _add(state, most, requests=1)

        self._change(add)
        return Reservation(most)

    def settle(self, reserved: Reservation, actual: Cost) -> None:
        """Put what a request did cost in the place of what it could cost.

        Args:
            reserved: What was reserved for it; nothing happens if that is closed.
            actual: Its price and tokens. More than was reserved counts too, even beyond a cap.

        Raises:
            LlmError: If the account cannot be kept.
        """
        self._close(reserved, actual, requests=0)

    def release(self, reserved: Reservation) -> None:
        """Give back all of a reservation: nothing was billed.

        Args:
            reserved: What was reserved; nothing happens if that is closed.

        Raises:
            LlmError: If the account cannot be kept.
        """
        self._close(reserved, Cost(0.0, 0), requests=-1)

    def spent(self) -> Spent:
        """Return what all jobs have spent so far.

        Raises:
            LlmError: If the account cannot be read.
        """
        state = self._guard(self._shared.read)
        return Spent(_held(state, "usd") / _UNITS, _held(state, "requests"), _held(state, "tokens"))

    def _close(self, reserved: Reservation, actual: Cost, requests: int) -> None:
        if reserved.closed:
            return

        def replace(state: State) -> None:
            _add(state, reserved.most, requests=0, sign=-1)
            _add(state, actual, requests=requests)

        self._change(replace)
        reserved.closed = True

    def _check(self, state: State, most: Cost) -> None:
        """Raise if a request could pass a cap."""
        usd = None if self.caps.usd is None else math.floor(_rounded(self.caps.usd))
        spent, more = _held(state, "usd"), _units(most.usd)
        if usd is not None and spent + more > usd:
            raise BudgetError(_message("usd", _dollars(usd), _dollars(spent), _dollars(more)))
        spent = _held(state, "requests")
        if self.caps.requests is not None and spent + 1 > self.caps.requests:
            raise BudgetError(_message("requests", f"{self.caps.requests}", f"{spent}", "1"))
        spent, more = _held(state, "tokens"), _bounded(most.tokens)
        if self.caps.tokens is not None and spent + more > self.caps.tokens:
            raise BudgetError(_message("tokens", f"{self.caps.tokens}", f"{spent}", f"{more}"))

    def _change(self, edit: Callable[[State], None]) -> None:
        self._guard(lambda: self._shared.change(edit))

    def _guard(self, act: Callable[[], _Told]) -> _Told:
        try:
            return act()
        except OSError as error:
            raise LlmError(
                f"{self._shared.path}: the account of the budget cannot be kept: {error.strerror}; it needs a folder "
                "that can be written and whose files can be locked: mend this, and run again"
            ) from error


def _add(state: State, cost: Cost, requests: int, sign: int = 1) -> None:
    added = {"usd": sign * _units(cost.usd), "requests": requests, "tokens": sign * _bounded(cost.tokens)}
    for name, number in added.items():
        # An account below zero would let later requests pass the cap.
        state[name] = max(0, _held(state, name) + number)


def _held(state: State, name: str) -> int:
    return int(state.get(name, 0))


def _bounded(number: int) -> int:
    return max(0, min(number, _MOST))


def _units(usd: float) -> int:
    """Return dollars in whole units, rounded up: what is no number counts as the most."""
    scaled = _rounded(usd)
    return _bounded(math.ceil(scaled)) if math.isfinite(scaled) else _MOST


def _rounded(usd: float) -> float:
    # What a float is off by is no unit more, such as 0.07 dollars of 70000000.00000001 units.
    return round(usd * _UNITS, 3)


def _dollars(units: int) -> str:
    whole, _, part = f"{units / _UNITS:.9f}".partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


def _message(name: str, cap: str, spent: str, more: str) -> str:
    return (
        f"budget.{name}: of {cap}, {spent} is spent or held by requests under way, and the next request could cost "
        f"{more}; answers so far are stored: raise budget.{name} in the config and run again"
    )
