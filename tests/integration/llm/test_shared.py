from __future__ import annotations

import errno
import fcntl
import logging
import random
import threading
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.llm.shared import LOCK, DamagedStateError, Shared, State
from tests.integration.llm.hammering import Worker, add_often


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "state"


def add(state: State) -> int:
    state["sum"] = int(state.get("sum", 0)) + 1
    return int(state["sum"])


# One process.


def test_change_returns_what_the_edit_does(path: Path) -> None:
    assert Shared(path).change(add) == 1


def test_change_stays(path: Path) -> None:
    for _ in range(5):
        Shared(path).change(add)
    assert Shared(path).read() == {"sum": 5}


def test_reading_makes_no_file(path: Path) -> None:
    assert Shared(path).read() == {}
    assert not path.exists()


def test_edit_that_raises_changes_nothing(path: Path) -> None:
    shared = Shared(path)
    shared.change(add)

    def fail(state: State) -> None:
        state["sum"] = 99
        raise KeyError("no")

    with pytest.raises(KeyError):
        shared.change(fail)
    assert shared.read() == {"sum": 1}
    assert shared.change(add) == 2  # the lock was given back


def test_edit_without_a_change_writes_nothing(path: Path) -> None:
    shared = Shared(path)
    shared.change(add)
    before = path.stat().st_mtime_ns, path.read_bytes()
    shared.change(lambda state: state.get("sum"))
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_shorter_state_takes_the_place_of_a_longer_one(path: Path) -> None:
    shared = Shared(path)
    for text in ("x" * 9000, "y" * 9000, "z", "é"):
        shared.change(lambda state, text=text: state.update(text=text))
        assert Shared(path).read() == {"text": text}


def test_state_without_room_is_refused_and_the_old_one_stays(path: Path) -> None:
    shared = Shared(path)
    shared.change(add)
    with pytest.raises(ValueError, match="too long"):
        shared.change(lambda state: state.update(text="x" * 20_000))
    assert shared.read() == {"sum": 1}


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()))
def test_state_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, state: State) -> None:
    shared = Shared(tmp_path_factory.mktemp("state") / "s")
    shared.change(lambda found: found.update(state))
    assert shared.read() == state


def test_file_does_not_grow(path: Path) -> None:
    shared = Shared(path)
    for _ in range(300):
        shared.change(add)
    assert path.stat().st_size < 1 << 15


def test_change_is_cheap(path: Path) -> None:
    shared = Shared(path)
    shared.change(add)
    seconds = []
    for _ in range(300):
        start = time.perf_counter()
        shared.change(add)
        seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[150] < 0.0005


# Damage.


def halves(path: Path) -> list[int]:
    """Return where the two states of a file begin."""
    content = path.read_bytes()
    return [content.index(b"hypermix-state"), content.rindex(b"hypermix-state")]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_write_that_ended_half_way_leaves_the_old_state(path: Path, count: int) -> None:
    shared = Shared(path)
    for _ in range(count):
        shared.change(add)
    content = bytearray(path.read_bytes())
    newest = content.index(b'{"sum":%d}' % count)
    content[newest : newest + 4] = b"\0\0\0\0"
    path.write_bytes(content)
    assert shared.read() == {"sum": count - 1}
    assert shared.change(add) == count
    assert shared.change(add) == count + 1


@pytest.mark.parametrize("content", [b"{}", b"not mine", b"\0" * 20_000, b"hypermix-state 1 ", bytes(range(256)) * 200])
def test_foreign_file_is_an_error_that_names_it(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DamagedStateError, match=str(path)):
        Shared(path).change(add)
    with pytest.raises(DamagedStateError, match="move it away"):
        Shared(path).read()
    assert path.read_bytes() == content


def test_damage_of_both_halves_is_an_error(path: Path) -> None:
    shared = Shared(path)
    for _ in range(4):
        shared.change(add)
    content = bytearray(path.read_bytes())
    for begin in halves(path):
        content[begin + 20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedStateError):
        shared.change(add)


def test_any_flipped_bit_is_found(path: Path) -> None:
    shared = Shared(path)
    shared.change(add)
    whole = path.read_bytes()
    begin = halves(path)[0]
    for place in range(begin, len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(DamagedStateError):
            shared.read()


def test_nested_state_is_kept(path: Path) -> None:
    shared = Shared(path)
    shared.change(add)
    assert shared.change(lambda state: state.update(deep={"a": [1, {"b": None}]})) is None
    assert shared.read()["deep"] == {"a": [1, {"b": None}]}


def test_lenient_takes_damage_for_empty_and_tells_it_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 10_000)
    shared = Shared(path, lenient=True)
    with caplog.at_level(logging.WARNING):
        assert shared.read() == {}
        assert shared.read() == {}
        assert shared.change(add) == 1
        assert shared.change(add) == 2
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    assert Shared(path).read() == {"sum": 2}


# Others at the same time.


def test_held_lock_is_waited_for_and_no_longer_than_patience(path: Path) -> None:
    Shared(path).change(add)
    with path.with_name(path.name + LOCK).open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            Shared(path, patience=0.1).change(add)
        assert 0.1 <= time.monotonic() - began < 5
        assert Shared(path).read() == {"sum": 1}  # reading waits for nobody
        timer = threading.Timer(0.1, fcntl.flock, (other, fcntl.LOCK_UN))
        timer.start()
        assert Shared(path, patience=30).change(add) == 2
        timer.join()


def test_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is told next
        Shared(tmp_path / "file" / "state").change(add)
    assert caught.value.errno in {errno.ENOTDIR, errno.EEXIST}


def test_threads_change_in_turn(path: Path) -> None:
    shared = Shared(path)
    threads = [threading.Thread(target=lambda: [shared.change(add) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.read() == {"sum": 400}


def test_processes_change_in_turn(path: Path, processes: ForkServerContext) -> None:
    running = [Worker(processes, add_often, path, 300) for _ in range(4)]
    for worker in running:
        worker.start()
    told: list[int] = []
    for worker in running:
        sums, status = worker.told()
        assert status == 0
        told += sums
    assert sorted(told) == list(range(1, 1201))
    assert Shared(path).read()["sum"] == 1200


def test_killed_process_leaves_a_whole_state_and_no_lock(path: Path, processes: ForkServerContext) -> None:
    draw = random.Random(4)
    before = 0
    for _ in range(20):
        worker = Worker(processes, add_often, path, 1_000_000)
        worker.start()
        time.sleep(draw.uniform(0.0, 0.05))
        worker.kill()
        told, _ = worker.told()
        found = int(Shared(path, patience=1).read().get("sum", 0))
        # The last change may have been made and not been told.
        assert found - max([before, *told]) in {0, 1}
        before = found
    assert before > 0
    assert Shared(path).change(add) == before + 1
