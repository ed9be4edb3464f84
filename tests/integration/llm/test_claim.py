from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hypermix.llm import claim as module
from hypermix.llm.claim import SUFFIX, Claim, take
from tests.integration.llm.claiming import KEY, claim, is_waiting, leave, names, token, write_claim


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / f"{KEY}{SUFFIX}"


# One owner.


def test_claim_tells_its_owner(root: Path) -> None:
    before = time.time()
    with claim(root, lifetime=50.0) as held:
        told = json.loads(root.read_bytes())
        assert held.unknown == 0
    assert told["owner"]["host"] == socket.gethostname()
    assert told["owner"]["pid"] == os.getpid()
    assert before <= told["started"] <= time.time()
    assert told["started"] + 50.0 <= told["expires"] <= told["started"] + 50.0 + module._SHARED
    assert len(told["token"]) == 16
    assert names(root) == [root.name]


def test_tokens_differ(root: Path) -> None:
    found = set()
    for _ in range(5):
        with claim(root) as held:
            found.add(token(root))
            held.withdraw()
    assert len(found) == 5


@pytest.mark.parametrize("end", [Claim.settle, Claim.withdraw])
def test_ended_claim_leaves_nothing(root: Path, end: Callable[[Claim], None]) -> None:
    with claim(root) as held:
        end(held)
    assert names(root) == []


def test_live_claim_is_respected(root: Path) -> None:
    with claim(root):
        assert is_waiting(root)
    assert not is_waiting(root)


def test_answer_that_came_before_the_claim_is_taken(root: Path) -> None:
    looked = iter(["answer"])
    assert take(root, lambda: next(looked)) == "answer"
    assert names(root) == []


def test_end_of_a_claim_lets_the_next_one_in(root: Path) -> None:
    held = claim(root)
    threading.Timer(0.2, held.withdraw).start()
    with claim(root) as found:
        assert found.unknown == 0
        found.settle()
    assert names(root) == []


def test_full_folder_of_claims_is_cheap(root: Path) -> None:
    started = time.perf_counter()
    for _ in range(50):
        with claim(root) as held:
            held.settle()
    assert time.perf_counter() - started < 5.0


def test_claims_of_a_process_share_a_file_that_goes_with_the_last(tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    roots = [folder / f"{number}{KEY[1:]}{SUFFIX}" for number in range(3)]
    held = [claim(root) for root in roots]
    assert len({root.stat().st_ino for root in roots}) == 1
    assert len(list(tmp_path.glob(".claim.*"))) == 1
    held[0].settle()
    held[1].withdraw()
    with held[2]:
        assert names(roots[0]) == [roots[2].name]
    assert list(tmp_path.glob(".claim.*")) == []
    assert names(roots[0]) == [roots[2].name]  # it was left behind


def test_claim_that_a_busy_process_left_behind_has_a_successor(root: Path) -> None:
    other = root.with_name(f"{'cd' * 32}{SUFFIX}")
    with claim(other) as busy:
        leave(root)
        with claim(root) as held:
            assert held.unknown == 1
            assert token(root) == token(other)
            assert names(root) == sorted([root.name, f"{KEY}.{token(root)}{SUFFIX}", other.name])
            held.settle()
        busy.settle()
    assert names(root) == []


def test_forked_process_holds_nothing_of_its_parent(root: Path) -> None:
    with claim(root) as held:
        pid = os.fork()
        if pid == 0:
            waits = is_waiting(root)
            held.withdraw()  # as its parent does
            with claim(root) as own:
                own.withdraw()
            os._exit(0 if waits else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_of_two_threads_one_has_the_claim(root: Path) -> None:
    first = claim(root)
    assert is_waiting(root)
    second = ThreadPoolExecutor(1).submit(claim, root)
    time.sleep(0.05)
    assert not second.done()
    first.withdraw()
    with second.result(timeout=5) as held:
        assert held.unknown == 0
        held.settle()


# Claims that cannot be made or looked behind: nothing was sent.


@pytest.fixture
def root_below(tmp_path: Path) -> Path:
    """Return the path of a claim whose owner's file lies in a folder of this test alone."""
    folder = tmp_path / "ab"
    folder.mkdir()
    return folder / f"{KEY}{SUFFIX}"


def fail(*_: object, **__: object) -> str | None:
    raise OSError(errno.EIO, "Input/output error")


def assert_given_back(root: Path, unknown: int) -> None:
    """Check that no trace of a claim is left in this process, on the disk, or in the count of what is lost."""
    assert [path for path in module._HELD if path.startswith(str(root.parent))] == []
    assert [key for key in module._OWNERS if root.parent.parent in key] == []
    assert list(root.parent.parent.glob(".claim.*")) == []
    before = names(root)
    with claim(root) as held:
        assert held.unknown == unknown
        held.withdraw()
    assert names(root) == before
    assert len(before) == unknown


@pytest.mark.parametrize("lost", [0, 2])
def test_claim_is_withdrawn_where_the_answer_cannot_be_looked_for(root_below: Path, lost: int) -> None:
    for _ in range(lost):
        leave(root_below)
    with pytest.raises(OSError, match="Input/output"):
        take(root_below, fail)
    assert_given_back(root_below, lost)


def test_successor_is_withdrawn_where_its_chain_cannot_be_read(
    root_below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(root_below)
    read, looks = module._read_chain, iter([True, False])
    with monkeypatch.context() as patch:
        patch.setattr(module, "_read_chain", lambda path: read(path) if next(looks) else fail())
        with pytest.raises(OSError, match="Input/output"):
            claim(root_below)
    assert_given_back(root_below, 1)


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("lost", [0, 1])
def test_claim_whose_folder_cannot_be_synced_is_removed(
    root_below: Path, monkeypatch: pytest.MonkeyPatch, lost: int, links: bool
) -> None:
    for _ in range(lost):
        leave(root_below)
    with monkeypatch.context() as patch:
        patch.setattr(module, "sync_folder", fail)
        if not links:
            patch.setattr(Path, "hardlink_to", refuse_links)
        with pytest.raises(OSError, match="Input/output"):
            claim(root_below)
    assert_given_back(root_below, lost)


def test_claim_that_cannot_be_removed_is_not_held_any_more(root_below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = claim(root_below)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail)
        with pytest.raises(OSError, match="Input/output"):
            held.withdraw()
    assert not is_waiting(root_below)


# Where there are no links.


def refuse_links(path: Path, target: Path) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV])
def test_without_links_names_are_exclusive(root: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with claim(root) as held:
        assert token(root)
        assert names(root) == [root.name]
        assert is_waiting(root)
        held.settle()
    leave(root)
    with claim(root) as held:
        assert held.unknown == 1


def test_link_whose_answer_was_lost_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An NFS server links, its answer is lost, and the client asks again.
    link = Path.hardlink_to

    def link_twice(path: Path, target: Path) -> None:
        link(path, target)
        link(path, target)

    monkeypatch.setattr(Path, "hardlink_to", link_twice)
    with claim(root) as held:
        assert names(root) == [root.name]
        held.settle()


def test_stale_handle_is_no_claim(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: Path) -> bytes:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(module, "read_whole", stale)
    assert module._read_chain(root) == []


# Many at once.

RACER = """
import sys, time
from pathlib import Path
from hypermix.llm.claim import Claim, take
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
while not (folder / "go").exists():
    time.sleep(0.001)
won = 0
for number in range(rounds):
    answer = folder / f"{number}.answer"
    found = take(folder / f"{number}.started", lambda: answer.read_text() if answer.exists() else None, 60.0)
    if isinstance(found, Claim):
        with found:
            won += 1
            draft = folder / f"{number}.draft"
            with draft.open("x") as stream:
                stream.write(str(found.unknown))
            draft.rename(answer)
            found.settle()
print(won)
"""


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_of_four_racers_one_wins_each_claim(tmp_path: Path, lost: int) -> None:
    rounds = 60
    for number in range(rounds):
        path = tmp_path / f"{number}{SUFFIX}"
        for step in range(lost):
            mark = f"{step:016x}"
            write_claim(path, mark)
            path = tmp_path / f"{number}.{mark}{SUFFIX}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RACER, str(tmp_path), str(rounds)]
    racers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    time.sleep(0.5)
    (tmp_path / "go").touch()
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(won) == rounds
    assert {path.read_text() for path in tmp_path.glob("*.answer")} == {str(lost)}
    assert list(tmp_path.glob(f"*{SUFFIX}")) == []
