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
from typing import Any

import pytest

from hypermix.llm import claim as module
from hypermix.llm.claim import SUFFIX, Claim, take
from hypermix.llm.process import born, place

KEY = "ab" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / f"{KEY}{SUFFIX}"


def nothing() -> str | None:
    return None


def claim(
    root: Path, stored: Callable[[], str | None] = nothing, lifetime: float = 60.0, *, remembers: bool = False
) -> Claim:
    found = take(root, stored, lifetime, remembers=remembers)
    assert isinstance(found, Claim)
    return found


def leave(root: Path) -> None:
    """Claim and lose it."""
    with claim(root):
        pass


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.parent.iterdir())


def token(path: Path) -> str:
    return str(json.loads(path.read_bytes())["token"])


def write_claim(path: Path, mark: str = "0123456789abcdef", expires: float | None = None, **owner: Any) -> None:
    """Write the claim of another process: of this machine and dead, unless told otherwise."""
    described = {"host": socket.gethostname(), "place": place(), "pid": dead_pid(), "born": "1", **owner}
    now = time.time()
    told = {"token": mark, "owner": described, "started": now, "expires": now + 60 if expires is None else expires}
    path.write_text(json.dumps(told), encoding="utf-8")


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def is_waiting(root: Path, seconds: float = 0.3) -> bool:
    """Tell whether a claim is respected, and end the wait by an answer."""
    until = time.monotonic() + seconds
    found = take(root, lambda: "answer" if time.monotonic() > until else None, 60.0)
    if isinstance(found, Claim):
        with found:
            found.withdraw()
        return False
    return found == "answer"


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


# Lost claims.


def test_claim_left_by_this_process_is_lost(root: Path) -> None:
    leave(root)
    with claim(root) as held:
        assert held.unknown == 1
        assert names(root) == sorted([root.name, f"{KEY}.{token(root)}{SUFFIX}"])
        held.settle()
    assert names(root) == []


def test_each_lost_claim_is_counted(root: Path) -> None:
    for _ in range(4):
        leave(root)
    with claim(root) as held:
        assert held.unknown == 4
        held.withdraw()
    assert len(names(root)) == 4
    with claim(root) as held:
        assert held.unknown == 4
        held.settle()
    assert names(root) == []


def test_claim_of_a_dead_process_is_lost(root: Path) -> None:
    write_claim(root)
    with claim(root) as held:
        assert held.unknown == 1


def test_claim_of_a_killed_process_is_lost(root: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from hypermix.llm.claim import take\n"
        "take(Path(sys.argv[1]), lambda: None, 60.0); print(flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(root)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_waiting(root)
        process.kill()
        with claim(root) as held:  # a zombie until its parent asks for it
            assert held.unknown == 1


def test_process_with_an_id_given_anew_is_another(root: Path) -> None:
    write_claim(root, pid=os.getppid(), born="1")
    assert not is_waiting(root)


def test_live_process_is_respected_until_its_claim_expires(root: Path) -> None:
    began = born(os.getppid())
    assert began is not None
    write_claim(root, pid=os.getppid(), born=began)
    assert is_waiting(root)
    write_claim(root, pid=os.getppid(), born=began, expires=time.time() - 1)
    assert not is_waiting(root)


@pytest.mark.parametrize("other", [{"place": "another machine"}, {"place": f"{place()}1"}, {"place": None}])
def test_claim_of_another_place_holds_until_it_expires_by_any_clock(root: Path, other: dict[str, Any]) -> None:
    for expires in (time.time() + 5, time.time() - 200):  # its clock may be behind
        write_claim(root, expires=expires, **other)
        assert is_waiting(root)
    write_claim(root, expires=time.time() - 400, **other)
    assert not is_waiting(root)


@pytest.mark.parametrize("pid", [None, "1", 0, -1, 2**40])
def test_claim_of_no_process_is_lost(root: Path, pid: object) -> None:
    write_claim(root, pid=pid)
    assert not is_waiting(root)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"token": "../../x", "owner": {}, "expires": 1}', b"\xff" * 9]
)
def test_unreadable_claim_is_lost_after_a_while(root: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UNWRITTEN", 0.2)
    root.write_bytes(content)
    assert is_waiting(root, 0.06)
    with claim(root) as held:
        assert held.unknown == 1
        held.settle()
    assert names(root) == []


def test_lost_claim_stands_for_as_many_requests_as_it_says(root: Path) -> None:
    for count in (1, 3, 2):
        with claim(root) as held:
            held.lose(count)
    with claim(root) as held:
        assert held.unknown == 6
        held.settle()
    assert names(root) == []


def test_withdrawn_claim_keeps_what_was_lost_before(root: Path) -> None:
    with claim(root) as held:
        held.lose(2)
    with claim(root) as held:
        held.withdraw()
    with claim(root) as held:
        assert held.unknown == 2


@pytest.mark.parametrize(
    ("before", "after", "unknown"), [(True, True, 0), (True, False, 1), (False, True, 1), (False, False, 1)]
)
def test_lost_request_is_known_where_the_way_that_sent_it_finds_it_again(
    root: Path, before: bool, after: bool, unknown: int
) -> None:
    with claim(root, remembers=before):
        pass
    with claim(root, remembers=after) as held:
        assert held.unknown == unknown
        held.settle()
    assert names(root) == []


def test_each_lost_request_of_a_chain_is_known_or_not_by_itself(root: Path) -> None:
    for remembers, count in ((False, 3), (True, None), (False, 2)):
        with claim(root, remembers=remembers) as held:
            if count:
                held.lose(count)
    with claim(root, remembers=True) as held:
        assert held.unknown == 3 + 2


@pytest.mark.parametrize("count", [1, 3])
def test_request_that_was_lost_for_good_is_counted_by_each_way(root: Path, count: int) -> None:
    with claim(root, remembers=True) as held:
        held.lose(count)
    with claim(root, remembers=True) as held:
        assert held.unknown == count


def test_claims_of_one_process_tell_each_its_own_way(root: Path) -> None:
    other = root.with_name(f"{'cd' * 32}{SUFFIX}")
    with claim(root, remembers=True), claim(other):
        told = [json.loads(path.read_bytes())["remembers"] for path in (root, other)]
    assert told == [True, False]


def test_claim_of_somebody_else_is_not_written_over(root: Path) -> None:
    with claim(root) as held:
        write_claim(root, "fedcba9876543210")
        before = root.read_bytes()
        held.lose(5)
        held.withdraw()
        held.settle()
    assert root.read_bytes() == before


@pytest.mark.parametrize("told", [-5, 0, 1e999, "many", None])
def test_strange_count_of_lost_requests_is_one(root: Path, told: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UNWRITTEN", 0.1)
    write_claim(root)
    content = json.loads(root.read_bytes())
    root.write_text(json.dumps({**content, "lost": told}), encoding="utf-8")
    with claim(root) as held:
        assert held.unknown == 1


def test_count_that_cannot_be_written_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_bytes", full)
    with claim(root) as held:
        held.lose(4)
    assert "stands for 4 lost requests and tells one: No space left" in caplog.text
    with claim(root) as held:
        assert held.unknown == 1


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
