from __future__ import annotations

import asyncio
import heapq
import json
import logging
import random
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypermix.llm.pace import CATCH_UP, LATE, Booking, Pace
from hypermix.llm.shared import Shared, State

MINUTE = 60.0
JITTER = 0.4
"""Seconds by which a message arrives earlier or later than others."""

ASK = """
import sys, time
from pathlib import Path
from hypermix.llm.pace import Pace

pace = Pace(Path(sys.argv[1]), "one", requests=float(sys.argv[2]), tokens=float(sys.argv[3]))
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for _ in range(int(sys.argv[4])):
    sys.stdout.write(f"{pace.reserve(100).at}\\n")
"""


class Clock:
    """A clock that goes on when told, or by sleeping."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self.woken: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        woken, self.woken = self.woken, lambda: None
        woken()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass
class Arrival:
    """A request as a server sees it."""

    at: float
    tokens: int


class Traffic:
    """Processes that send as fast as they may, by a clock of their own; each waits for one booking at a time.

    Some wake late, some much later.
    """

    def __init__(self, clock: Clock, seed: int, size: Callable[[random.Random], tuple[int, int]]) -> None:
        self.clock = clock
        self.draw = random.Random(seed)
        self.size = size
        self.arrivals: list[Arrival] = []
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (self.clock.now + seconds, self.count, act))

    def book(self, pace: Pace) -> None:
        booked, used = self.size(self.draw)
        booking = pace.reserve(booked)
        slip = self.draw.choices([0.0, 0.001, 0.01, 0.2, 3.0], [5000, 4000, 1000, 100, 1])[0]
        self.later(booking.wait + slip, lambda: self.send(pace, booking, used))

    def send(self, pace: Pace, booking: Booking, used: int) -> None:
        if pace.is_late(booking):
            pace.correct(booking, 0)
        else:
            self.arrivals.append(Arrival(self.clock.now + self.draw.uniform(0.0, JITTER), used))
            self.later(self.draw.choice([0.3, 2.0, 15.0, 70.0]), lambda: pace.correct(booking, used))
        self.book(pace)


def run(
    paces: Sequence[Pace], clock: Clock, seconds: float, seed: int, size: Callable[[random.Random], tuple[int, int]]
) -> list[Arrival]:
    """Return what a server sees in some seconds.

    `size` draws the tokens that are booked for a request, and those that it costs.
    """
    traffic = Traffic(clock, seed, size)
    until = clock.now + seconds
    for pace in paces:
        traffic.book(pace)
    while traffic.events and traffic.events[0][0] < until:
        clock.now, _, act = heapq.heappop(traffic.events)
        act()
    return sorted(traffic.arrivals, key=lambda arrival: arrival.at)


def most_in_a_minute(arrivals: Sequence[Arrival], weigh: Callable[[Arrival], int]) -> int:
    times = [arrival.at for arrival in arrivals]
    sums = [0]
    for arrival in arrivals:
        sums.append(sums[-1] + weigh(arrival))
    return max(sums[end + 1] - sums[bisect_left(times, at - MINUTE)] for end, at in enumerate(times))


# Limits.


@pytest.mark.parametrize(("limit", "jobs"), [(3000, 4), (600, 1), (60, 2), (3, 3), (1, 2)])
def test_requests_stay_below_a_limit_and_use_it(tmp_path: Path, clock: Clock, limit: int, jobs: int) -> None:
    paces = [Pace(tmp_path, "one", requests=limit, clock=clock) for _ in range(jobs)]
    arrivals = run(paces, clock, 600.0, 1, lambda _: (0, 0))
    assert most_in_a_minute(arrivals, lambda _: 1) <= limit
    assert len(arrivals) >= 0.95 * 10 * limit - 1


@pytest.mark.parametrize(
    ("limit", "booked", "used"),
    [
        (200_000, (1500, 1500), (1500, 1500)),
        (200_000, (500, 3000), (1, 500)),
        (90_000, (8000, 8000), (100, 8000)),
        (10_000, (3000, 3500), (3000, 3000)),
    ],
)
def test_tokens_stay_below_a_limit(
    tmp_path: Path, clock: Clock, limit: int, booked: tuple[int, int], used: tuple[int, int]
) -> None:
    paces = [Pace(tmp_path, "one", tokens=limit, clock=clock) for _ in range(2)]
    arrivals = run(paces, clock, 400.0, 2, lambda draw: (draw.randint(*booked), draw.randint(*used)))
    assert len(arrivals) > 10
    assert most_in_a_minute(arrivals, lambda arrival: arrival.tokens) <= limit


def test_tokens_use_a_limit(tmp_path: Path, clock: Clock) -> None:
    arrivals = run([Pace(tmp_path, "one", tokens=200_000, clock=clock)], clock, 300.0, 3, lambda _: (1500, 1500))
    assert sum(arrival.tokens for arrival in arrivals) >= 0.95 * 5 * 200_000


def test_tokens_given_back_are_used(tmp_path: Path) -> None:
    totals = []
    for used in (1000, 100):
        clock = Clock()
        pace = Pace(tmp_path, str(used), tokens=60_000, clock=clock)
        totals.append(len(run([pace], clock, 200.0, 4, lambda _, used=used: (1000, used))))
    assert totals[1] > 2 * totals[0]  # not ten times, since requests under way count in full


def test_the_tighter_limit_counts(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", requests=600, tokens=10_000, clock=clock)
    arrivals = run([pace], clock, 300.0, 5, lambda _: (100, 100))
    assert 0.95 * 5 * 100 <= len(arrivals) <= 5 * 100


@settings(max_examples=20, deadline=None)
@given(
    requests=st.floats(0.2, 500),
    tokens=st.floats(10, 1e5),
    asked=st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 90)), max_size=40),
)
@example(requests=1.5, tokens=10.0, asked=[(0, 0.0), (0, 0.0)])
def test_no_minute_of_bookings_is_over(
    tmp_path_factory: pytest.TempPathFactory, requests: float, tokens: float, asked: list[tuple[int, float]]
) -> None:
    clock = Clock()
    pace = Pace(tmp_path_factory.mktemp("pace"), "one", requests=requests, tokens=tokens, clock=clock)
    arrivals = []
    for size, pause in asked:
        booking = pace.reserve(size)
        arrivals.append(Arrival(booking.at, size))
        clock.now = max(clock.now, booking.at) + pause
    if arrivals:
        assert most_in_a_minute(arrivals, lambda _: 1) <= max(1.0, requests)
        alone = max(size for size, _ in asked)
        assert most_in_a_minute(arrivals, lambda arrival: arrival.tokens) <= max(tokens, alone)


# Evenness.


def test_start_is_gentle(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", requests=3000, clock=clock)
    waits = [pace.reserve(0).wait for _ in range(50)]
    assert waits[0] == 0
    assert waits[-1] == pytest.approx(49 * 60 / 2940)


def test_little_is_caught_up_with_after_a_stall(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", requests=3000, clock=clock)
    pace.reserve(0)
    clock.now += 300
    at_once = sum(pace.reserve(0).wait == 0 for _ in range(200))
    assert at_once == int(CATCH_UP * 2940 / 60) + 1


def test_short_stall_is_caught_up_with(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", requests=60, clock=clock)
    first = pace.reserve(0).at
    for _ in range(100):
        clock.now = pace.reserve(0).at + 0.3  # each wakes a little late
    assert pace.reserve(0).at - first == pytest.approx(101 * 60 / 58.8)


def test_request_beyond_the_limit_gets_a_minute_for_itself(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", tokens=1000, clock=clock)
    times = [pace.reserve(tokens).at for tokens in (10, 5000, 10)]
    assert times[1] - times[0] >= MINUTE
    assert MINUTE <= times[2] - times[1] < 70


@pytest.mark.parametrize("used", [10**30, -5])
def test_claim_of_a_server_stops_nobody_for_ever(tmp_path: Path, clock: Clock, used: int) -> None:
    pace = Pace(tmp_path, "one", tokens=1000, clock=clock)
    pace.correct(pace.reserve(100), used)
    assert pace.reserve(100).wait < 70


def test_late_booking_is_void(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", requests=60, clock=clock)
    booking = pace.reserve(0)
    clock.now = booking.at + LATE
    assert not pace.is_late(booking)
    clock.now += 0.01
    assert pace.is_late(booking)


# Pauses.


def test_pause_holds_for_all_jobs(tmp_path: Path, clock: Clock) -> None:
    one, two = (Pace(tmp_path, "one", requests=60, clock=clock) for _ in range(2))
    one.pause(30)
    assert one.paused() == two.paused() == 30
    assert two.reserve(0).wait == 30
    clock.now += 31
    assert one.paused() == two.paused() == 0


def test_pause_holds_without_limits(tmp_path: Path, clock: Clock) -> None:
    one, two = (Pace(tmp_path, "one", clock=clock) for _ in range(2))
    assert two.paused() == 0
    one.pause(30)
    clock.now += 0.21
    assert two.reserve(1000).wait == pytest.approx(29.79)


def test_longer_pause_stays(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", clock=clock)
    pace.pause(30)
    pace.pause(5)
    pace.pause(-5)
    pace.pause(float("nan"))
    assert pace.paused() == 30


def test_endless_pause_is_a_day(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", clock=clock)
    pace.pause(float("inf"))
    assert Pace(tmp_path, "one", clock=clock).paused() == 86400


def test_requests_do_not_rush_after_a_pause(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", requests=60, clock=clock)
    pace.pause(30)
    assert [pace.reserve(0).wait for _ in range(3)] == pytest.approx([30, 30 + 60 / 58.8, 30 + 120 / 58.8])


def test_other_endpoint_has_its_own_limits(tmp_path: Path, clock: Clock) -> None:
    one, two = Pace(tmp_path, "one", requests=1, clock=clock), Pace(tmp_path, "two", requests=1, clock=clock)
    one.reserve(0)
    one.pause(100)
    assert two.reserve(0).wait == 0
    assert one.reserve(0).wait > 60


def test_name_is_no_path(tmp_path: Path, clock: Clock) -> None:
    Pace(tmp_path / "in", "../../out/\0%s", requests=1, clock=clock).reserve(0)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# Waiting.


def test_turn_waits(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", requests=60, clock=clock, sleep=clock.sleep)
    times = []

    async def send() -> None:
        await pace.turn(10)
        times.append(clock.now)

    async def send_all() -> None:
        await asyncio.gather(*(send() for _ in range(5)))

    asyncio.run(send_all())
    assert [time - 1000 for time in times] == pytest.approx([number * 60 / 58.8 for number in range(5)])


def test_turn_heeds_a_pause_that_came_meanwhile(tmp_path: Path, clock: Clock) -> None:
    other = Pace(tmp_path, "one", clock=clock)
    pace = Pace(tmp_path, "one", requests=60, tokens=1000, clock=clock, sleep=clock.sleep)
    pace.reserve(10)
    clock.woken = lambda: other.pause(40)
    booking = asyncio.run(pace.turn(10))
    assert clock.now == booking.at == pytest.approx(1000 + 60 / 58.8 + 40)
    # The tokens of the first try were given back.
    assert tokens_in_force(tmp_path) == 20


def test_turn_that_wakes_late_books_anew(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", tokens=1000, clock=clock, sleep=clock.sleep)

    def stall() -> None:
        clock.now += 5

    clock.woken = stall
    booking = asyncio.run(pace.turn(10))
    assert len(clock.slept) == 2
    assert booking.at == 1005
    assert tokens_in_force(tmp_path) == 10


def test_cancelled_turn_gives_its_tokens_back(tmp_path: Path) -> None:
    pace = Pace(tmp_path, "one", requests=1, tokens=1000)

    async def give_up() -> None:
        await pace.turn(10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pace.turn(500), 0.05)

    asyncio.run(give_up())
    assert tokens_in_force(tmp_path) == 10


def tokens_in_force(folder: Path) -> int:
    (path,) = folder.glob("*.pace")
    return sum(count for _, count in Shared(path).read()["log"])


# Files.


def test_nothing_is_written_without_limits(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path / "in", "one", clock=clock)
    for _ in range(10):
        pace.correct(pace.reserve(100), 50)
        clock.now += 1
    assert not (tmp_path / "in").exists()


def test_pause_of_others_is_looked_for_five_times_a_second_at_most(tmp_path: Path, clock: Clock) -> None:
    pace, other = Pace(tmp_path, "one", clock=clock), Pace(tmp_path, "one", clock=clock)
    pace.paused()
    other.pause(30)
    clock.now += 0.1
    assert pace.paused() == 0  # not looked yet
    clock.now += 0.11
    assert pace.paused() > 29


@pytest.mark.parametrize(
    "state",
    [
        {"requests": "x", "tokens": None, "pause": [], "log": 7, "start": {}},
        {"requests": 1e300, "tokens": 1e300, "pause": 1e300, "log": [[1e300, 5], [2000.5], "x", [2000.5, "y"]]},
        {"requests": -1, "tokens": True, "pause": -7, "log": [[2000.5, -9], [2000.5, 10**40]]},
    ],
)
def test_nonsense_in_the_file_counts_as_nothing(tmp_path: Path, clock: Clock, state: State) -> None:
    pace = Pace(tmp_path, "one", requests=60, tokens=1000, clock=clock)
    pace.reserve(1)
    (path,) = tmp_path.glob("*.pace")
    Shared(path).change(lambda found: found.update(state))
    clock.now += 100
    assert pace.paused() == 0
    booking = pace.reserve(10)
    assert booking.wait < 70
    assert tokens_in_force(tmp_path) >= 10


def test_damaged_file_counts_as_empty(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    pace = Pace(tmp_path, "one", requests=60, clock=clock)
    pace.reserve(0)
    (path,) = tmp_path.glob("*.pace")
    path.write_bytes(b"damage")
    with caplog.at_level(logging.WARNING):
        assert [pace.reserve(0).wait for _ in range(2)] == pytest.approx([0, 60 / 58.8])
    assert "damaged" in caplog.text


def test_job_keeps_the_limits_for_itself_where_nothing_can_be_shared(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    pace = Pace(tmp_path / "file", "one", requests=60, tokens=1000, clock=clock)
    with caplog.at_level(logging.WARNING):
        assert [pace.reserve(1).wait for _ in range(3)] == pytest.approx([0, 60 / 58.8, 120 / 58.8])
        pace.pause(10)
    assert pace.paused() == 10
    assert len(caplog.records) == 1
    assert "each job for itself" in caplog.text


def test_many_bookings_ahead_have_room(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "one", tokens=60_000, clock=clock)
    for _ in range(500):
        booking = pace.reserve(2000)
    assert booking.wait > 900
    assert json.dumps(Shared(next(tmp_path.glob("*.pace"))).read())
    clock.now = booking.at + 100
    assert pace.reserve(2000).wait == 0


def test_booking_is_cheap(tmp_path: Path) -> None:
    pace = Pace(tmp_path, "one", requests=1e6, tokens=1e9)
    seconds = []
    for _ in range(300):
        start = time.perf_counter()
        pace.reserve(1000)
        seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[150] < 0.0005


def test_processes_share_a_limit(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(tmp_path), "6000", "6000000", "100"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    times: list[float] = []
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        out, _ = process.communicate("go\n")
        assert process.returncode == 0
        times += [float(line) for line in out.split()]
    times.sort()
    assert len(times) == 300
    step = 60 / (0.98 * 6000)
    # The processes hold the clock of this one, and no time was given twice.
    assert abs(times[0] - time.monotonic()) < 60
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) > 0
    assert times[-1] - times[0] >= 299 * step - CATCH_UP - 1e-6


def test_booking_without_limits_is_now(tmp_path: Path, clock: Clock) -> None:
    assert Pace(tmp_path, "one", clock=clock).reserve(5) == Booking(0.0, 1000.0, 5)
