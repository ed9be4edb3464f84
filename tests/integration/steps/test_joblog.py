from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hypermix.steps.joblog import FAILED, read_log

PROGRAM = """
import sys
from hypermix.errors import AugmentError
from hypermix.steps.job import job
with job(sys.argv[1], "augment toy") as logger:
    logger.info("4 of 8 rows")
    print("begun", flush=True)
    {body}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "augment" / "toy.log"


@contextmanager
def started(log: Path, body: str) -> Iterator[subprocess.Popen[str]]:
    """Start a job in a process of its own, and go on when it has begun."""
    command = [sys.executable, "-c", PROGRAM.format(body=body), str(log)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process


def test_no_log_tells_nothing(log: Path) -> None:
    assert read_log(str(log)) is None


def test_job_at_work_is_seen_and_its_last_words(log: Path) -> None:
    with started(log, "sys.stdin.read()") as process:
        found = read_log(str(log))
        assert found is not None
        assert (found.running, found.error, found.last) == (True, None, "4 of 8 rows")
        process.communicate("")
    found = read_log(str(log))
    assert found is not None
    assert not found.running


def test_killed_job_is_neither_running_nor_failed(log: Path) -> None:
    with started(log, "sys.stdin.read()") as process:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    found = read_log(str(log))
    assert found is not None
    assert (found.running, found.error) == (False, None)


def test_error_is_told_whole(log: Path) -> None:
    with started(log, "raise AugmentError('none can be used; the first are\\n  schön\\nraise max_tokens')") as process:
        process.communicate()
    found = read_log(str(log))
    assert found is not None
    assert not found.running
    assert found.error == "none can be used; the first are\n  schön\nraise max_tokens"


def test_of_a_traceback_both_ends_are_told(log: Path) -> None:
    with started(log, "{}['lost']") as process:
        process.communicate()
    found = read_log(str(log))
    assert found is not None
    assert found.error is not None
    assert found.error.startswith("this is a mistake in HyperMix")
    assert found.error.endswith(": KeyError: 'lost'")
    assert "Traceback" not in found.error


def test_error_of_an_earlier_part_does_not_count_while_the_job_runs(log: Path) -> None:
    with started(log, f"logger.error('{FAILED}once'); print('told', flush=True); sys.stdin.read()") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "told\n"
        found = read_log(str(log))
        process.communicate("")
    assert found is not None
    assert found.running
    assert found.error is None


def test_look_leaves_the_log_to_the_next_job(log: Path) -> None:
    log.parent.mkdir(parents=True)
    log.touch()
    for _ in range(3):
        found = read_log(str(log))
        assert found is not None
        assert not found.running
    with log.open("w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_locks_a_fresh_log_counts_as_running(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks cannot be had here, so the system's answer is played."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    log.parent.mkdir(parents=True)
    log.write_text("12:00:00 4 of 8 rows\n", encoding="utf-8")
    monkeypatch.setattr(fcntl, "flock", refuse)
    found = read_log(str(log))
    assert found is not None
    assert found.running
    old = time.time() - 3600
    os.utime(log, (old, old))
    found = read_log(str(log))
    assert found is not None
    assert not found.running


def test_text_that_is_no_text_is_read(log: Path) -> None:
    log.parent.mkdir(parents=True)
    log.write_bytes(b"12:00:00 failed: \xff\xfe\x00 odd")
    found = read_log(str(log))
    assert found is not None
    assert found.error is not None
    assert found.error.endswith("odd")
