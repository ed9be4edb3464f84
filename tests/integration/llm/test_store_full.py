"""The store on a disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypermix.errors import LlmError
from hypermix.llm.store import Answer, Question, RequestStore
from tests.integration.llm.storing import KEY, fetch, files

FULL = """
import random, resource, sys, threading, time
from pathlib import Path
from hypermix.errors import LlmError
from hypermix.llm.store import Answer, Question, RequestStore
folder, bytes_free, frees = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "frees"
store = RequestStore(folder / "requests", patience=5.0 if frees else 0.2)
filler, limits = folder / "filler", resource.getrlimit(resource.RLIMIT_FSIZE)

def fill():
    if bytes_free:  # a limit of the process, where a small disk may not be mounted
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_free, limits[1]))
        return
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(512))
        except OSError:
            pass

def free():
    time.sleep(0.5)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    filler.unlink(missing_ok=True)

def send():
    fill()
    if frees:
        threading.Thread(target=free).start()
    return Answer(random.Random(1).randbytes(9000).hex())

try:
    question = Question({}, "/", {}, "0")
    store.finish(store.begin(question), question, send())
    print("stored")
except LlmError as error:
    print(error)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Return a folder on a disk of 64 kB, or, where none may be mounted, any folder and a limit on a file's bytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") and subprocess.run(command, capture_output=True, check=False).returncode == 0:
        yield folder, 0
        subprocess.run(["umount", str(folder)], check=True)
    else:
        yield folder, 700


def use_up(disk: tuple[Path, int], how: str) -> str:
    command = [sys.executable, "-c", FULL, str(disk[0]), str(disk[1]), how]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize("limited", [False, True])
def test_answer_without_room_is_unknown_spend(small_disk: tuple[Path, int], limited: bool) -> None:
    disk = (small_disk[0], 700 if limited else small_disk[1])
    store = RequestStore(disk[0] / "requests")
    question = Question({}, "/", {}, "0")
    (told,) = use_up(disk, "stays full").splitlines()
    reason = "File too large" if disk[1] else "No space left on device"
    assert told == (
        f"{store.path(question.key)}: the answer came and cannot be stored: {reason}; make room there, and run again: "
        "the request counts as unknown spend"
    )
    (disk[0] / "filler").unlink(missing_ok=True)
    assert [path.name for path in files(store) if path.name != "filler"] == [f"{question.key}.started"]
    record, sent = fetch(store, lambda: Answer("again"), question)
    assert (record.answer, sent) == (Answer("again", unknown=1), True)


def test_answer_waits_for_room(small_disk: tuple[Path, int]) -> None:
    assert use_up(small_disk, "frees") == "stored\n"
    assert len(list(RequestStore(small_disk[0] / "requests").keys())) == 1


def test_nothing_is_sent_where_no_claim_can_be_made(tmp_path: Path) -> None:
    (tmp_path / KEY[:2]).symlink_to(tmp_path / "a disk that is gone")
    with pytest.raises(LlmError, match=r"started: cannot be written: .*; see to the folder .*: nothing was sent"):
        fetch(RequestStore(tmp_path), lambda: pytest.fail("it was sent"))
