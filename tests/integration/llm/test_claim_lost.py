"""Claims whose owner is gone: each stands for requests that were perhaps paid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hypermix.llm import claim as module
from hypermix.llm.claim import SUFFIX
from hypermix.llm.process import born, place
from tests.integration.llm.claiming import KEY, claim, is_waiting, leave, names, token, write_claim


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / f"{KEY}{SUFFIX}"


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
