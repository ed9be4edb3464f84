from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys, warnings
from hypermix.errors import AugmentError, ServerError
from hypermix.steps.job import job
with job(sys.argv[1], "augment toy 2s") as logger:
    {body}
"""


def run_job(log: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a job in a process of its own, as Snakemake does: it takes over the whole logging."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM.format(body=body), str(log)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def told(log: Path) -> str:
    """Return what a log says, without the times at the beginning of its records."""
    return re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", log.read_text(encoding="utf-8"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "augment" / "toy.log"


def test_messages_go_to_terminal_and_log(log: Path) -> None:
    ended = run_job(log, "logger.info('4 of 4 rows')")
    assert ended.returncode == 0
    assert ended.stderr == "augment toy 2s: 4 of 4 rows\n"
    assert told(log) == "4 of 4 rows\n"


def test_log_tells_the_time(log: Path) -> None:
    run_job(log, "logger.warning('late')")
    assert re.fullmatch(r"\d\d:\d\d:\d\d late\n", log.read_text(encoding="utf-8"))


def test_library_speaks_through_the_job(log: Path) -> None:
    run_job(log, "logging.getLogger('hypermix.steps.augment').info('progress')")
    assert "progress" in told(log)


def test_other_libraries_speak_of_trouble_alone(log: Path) -> None:
    run_job(log, "logging.getLogger('httpx').info('chatter'); logging.getLogger('httpx').warning('trouble')")
    assert told(log) == "trouble\n"


@pytest.mark.parametrize("kind", ["AugmentError", "ServerError"])
def test_error_of_the_user_has_no_traceback(log: Path, kind: str) -> None:
    ended = run_job(log, f"raise {kind}('none of 4 answers can be used\\n  schön')")
    assert ended.returncode == 1
    assert ended.stderr == ""  # Snakemake prints the log of a failed job
    assert told(log) == "failed: none of 4 answers can be used\n  schön\n"


def test_unexpected_error_has_a_traceback(log: Path) -> None:
    ended = run_job(log, "{}['lost']")
    assert ended.returncode == 1
    assert told(log).startswith(
        "failed: this is a mistake in HyperMix, not in your data; please report it with this log\n"
    )
    assert "Traceback (most recent call last)" in told(log)
    assert told(log).rstrip().endswith("KeyError: 'lost'")


def test_cause_of_an_error_is_not_dumped(log: Path) -> None:
    body = "\n    ".join(["try: int('x')", "except ValueError as error: raise AugmentError('plain') from error"])
    run_job(log, body)
    assert told(log) == "failed: plain\n"


def test_warnings_reach_the_log(log: Path) -> None:
    run_job(log, "warnings.warn('this is old')")
    assert "UserWarning: this is old" in told(log)


def test_new_run_starts_a_new_log(log: Path) -> None:
    run_job(log, "logger.info('one')")
    run_job(log, "logger.info('two')")
    assert told(log) == "two\n"


def test_stop_from_outside_passes_through(log: Path) -> None:
    ended = run_job(log, "raise SystemExit(3)")
    assert ended.returncode == 3
    assert told(log) == ""
