from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.llm import width as module
from hypermix.llm.width import Slot, Slots, Width

TAKE = """
import sys
from pathlib import Path
from hypermix.llm.width import Slots

slots = Slots(Path(sys.argv[1]), "one", int(sys.argv[2]))
taken = 0
while (slot := slots.try_take()) is not None:
    taken += 1
sys.stdout.write(f"{taken}\\n"); sys.stdout.flush(); sys.stdin.readline()
"""


def taker(folder: Path, count: int) -> tuple[subprocess.Popen[str], int]:
    """Return a process that has taken all slots that it gets, and how many it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(folder), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def take_all(slots: Slots) -> list[Slot]:
    taken = []
    while (slot := slots.try_take()) is not None:
        taken.append(slot)
    return taken


# Slots of one process.


def test_no_more_slots_than_there_are(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "new", "one", 5)
    taken = take_all(slots)
    assert len(taken) == 5
    for slot in taken:
        slot.release()


def test_released_slot_is_free_once(tmp_path: Path) -> None:
    slots = Slots(tmp_path, "one", 2)
    first, second = take_all(slots)
    first.release()
    first.release()
    third = slots.try_take()
    assert third is not None
    first.release()  # no longer its slot
    assert slots.try_take() is None
    second.release()
    third.release()
    assert len(take_all(slots)) == 2


def test_slot_is_a_context(tmp_path: Path) -> None:
    slots = Slots(tmp_path, "one", 1)
    taken = slots.try_take()
    assert taken is not None
    with pytest.raises(ZeroDivisionError):
        use_and_fail(slots, taken)
    assert slots.try_take() is not None


def use_and_fail(slots: Slots, taken: Slot) -> float:
    with taken:
        assert slots.try_take() is None
        return 1 / len(take_all(slots))


def test_other_endpoint_has_its_own_slots(tmp_path: Path) -> None:
    assert [len(take_all(Slots(tmp_path, name, 2))) for name in ("one", "../two\0")] == [2, 2]
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_two_counts_of_a_process_share_the_slots(tmp_path: Path) -> None:
    one, two = Slots(tmp_path, "one", 3), Slots(tmp_path, "one", 3)
    held = one.try_take()
    assert held is not None
    assert len(take_all(two)) == 2


def test_taking_is_cheap(tmp_path: Path) -> None:
    slots = Slots(tmp_path, "one", 64)
    seconds = []
    for _ in range(300):
        start = time.perf_counter()
        slot = slots.try_take()
        assert slot is not None
        slot.release()
        seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[150] < 0.0005


# Slots of several processes.


def test_processes_share_the_slots_and_a_killed_one_frees_its_own(tmp_path: Path) -> None:
    slots = Slots(tmp_path, "one", 6)
    own = [slots.try_take(), slots.try_take()]
    assert None not in own
    process, taken = taker(tmp_path, 6)
    assert taken == 4
    assert slots.try_take() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(take_all(slots)) == 4


def test_job_with_more_slots_gets_the_rest(tmp_path: Path) -> None:
    slots = Slots(tmp_path, "one", 2)
    assert len(take_all(slots)) == 2
    process, taken = taker(tmp_path, 5)
    process.communicate("\n")
    assert taken == 3


def test_slot_of_a_forked_child_is_free_when_its_owner_releases_it(tmp_path: Path) -> None:
    slots = Slots(tmp_path, "one", 1)
    slot = slots.try_take()
    assert slot is not None
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        slot.release()
        assert Slots(tmp_path, "one", 1).try_take() is not None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EPERM])
def test_without_locks_a_process_counts_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)  # as a file system without locks does
    slots = Slots(tmp_path, "one", 3)
    with caplog.at_level(logging.WARNING):
        taken = take_all(slots)
        assert len(taken) == 3
        taken[1].release()
        assert len(take_all(slots)) == 1
    assert len(caplog.records) == 1
    assert str(tmp_path) in caplog.text


def test_without_a_folder_a_process_counts_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, module.__name__):
        assert len(take_all(Slots(tmp_path / "file", "one", 3))) == 3
    assert len(caplog.records) == 1


# Width.


def answer_a_round(width: Width) -> int:
    """Answer as many requests as may be under way, and return how many may be then."""
    for mark in [width.mark()] * width.now:
        width.succeeded(mark)
    return width.now


def test_width_doubles_until_the_first_overload() -> None:
    width = Width(100)
    assert width.now == 4
    assert [answer_a_round(width) for _ in range(6)] == [8, 16, 32, 64, 100, 100]


def test_overload_halves_and_growth_is_slow_from_then_on() -> None:
    width = Width(100, first=40)
    width.overloaded(width.mark())
    assert width.now == 20
    assert [answer_a_round(width) for _ in range(3)] == [21, 22, 23]


def test_overloads_of_one_round_trip_halve_once() -> None:
    width = Width(64, first=64)
    marks = [width.mark() for _ in range(64)]
    for mark in marks:
        width.overloaded(mark)
    assert width.now == 32
    width.overloaded(width.mark())
    assert width.now == 16


def test_answers_to_what_was_sent_before_a_halving_do_not_widen() -> None:
    width = Width(64, first=8)
    old = width.mark()
    width.overloaded(old)
    for _ in range(100):
        width.succeeded(old)
    assert width.now == 4


def test_width_settles_near_what_a_server_bears() -> None:
    width, bears, seen = Width(256), 40, []
    for _ in range(400):
        mark, sent = width.mark(), width.now
        for number in range(sent):
            (width.succeeded if number < bears else width.overloaded)(mark)
        seen.append(sent)
    late = seen[50:]
    assert max(late) <= bears + 2
    assert sum(late) / len(late) >= 0.7 * bears


@given(st.integers(1, 50), st.integers(-5, 100), st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=200))
def test_width_stays_in_its_bounds(most: int, first: int, events: list[tuple[bool, int]]) -> None:
    width = Width(most, first)
    marks = [width.mark()]
    for succeeded, back in events:
        mark = marks[max(0, len(marks) - 1 - back)]
        (width.succeeded if succeeded else width.overloaded)(mark)
        marks.append(width.mark())
        assert 1 <= width.now <= most
