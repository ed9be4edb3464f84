"""Jobs that are killed at any step, and jobs at once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from tests.batch_server import BatchServer, End, line, questions, run_job

STEPS = [
    ("upload", "before"),  # after the first record
    ("upload", "after"),
    ("create", "before"),
    ("create", "after"),
    ("look", "before"),  # after the id is written
    ("content", "before"),  # while polling
    ("content", "after"),
]


def let_pass(kind: str, when: str) -> None:
    """Do nothing at any step."""


def kill_now(process: Any) -> None:
    while process.pid is None:  # it asks before its start has returned
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("step", STEPS)
def test_killed_job_is_gone_on_with(
    server: BatchServer, tmp_path: Path, processes: ForkServerContext, step: tuple[str, str]
) -> None:
    server.ends = [End(looks=2)]
    process = processes.Process(target=run_job, args=(server.base_url, tmp_path, 6))

    def kill(kind: str, when: str) -> None:
        if (kind, when) == step:
            server.event = let_pass
            kill_now(process)

    server.event = kill
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    finish(server, tmp_path)


@pytest.mark.parametrize("stored", [0, 3])
def test_job_killed_before_it_stores_loses_nothing(
    server: BatchServer, tmp_path: Path, processes: ForkServerContext, stored: int
) -> None:
    process = processes.Process(target=run_job, args=(server.base_url, tmp_path, 6, stored))
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    finish(server, tmp_path)


def finish(server: BatchServer, folder: Path) -> None:
    """Run again to the end: each question was in exactly one batch."""
    server.event = let_pass
    run_job(server.base_url, folder, 6)
    run_job(server.base_url, folder, 6)
    assert server.asked() == Counter(question.key for question in questions(6, server.base_url))
    assert len(list((folder / "requests").glob("*/*.json.gz"))) == 6
    assert list((folder / "batches").glob("*.json")) == []


@pytest.mark.parametrize("seed", range(3))
def test_job_killed_again_and_again_pays_no_answer_twice(
    server: BatchServer, tmp_path: Path, processes: ForkServerContext, seed: int
) -> None:
    draw = random.Random(seed)
    answers: Counter[str] = Counter()

    def some(keys: list[str]) -> list[bytes]:
        done = [key for key in keys if draw.random() < 0.5]
        answers.update(done)
        return [line(key) for key in done]

    server.ends = [End("expired", looks=1, answered=some)]
    for _ in range(6):
        left = draw.randint(1, 8)
        process = processes.Process(target=run_job, args=(server.base_url, tmp_path, 6))

        def kill(kind: str, when: str, process: Any = process) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                kill_now(process)

        server.event = kill
        process.start()
        process.join(20)
        assert process.exitcode in {0, -signal.SIGKILL}
    server.event = let_pass
    run_job(server.base_url, tmp_path, 6, tries=99)
    assert answers == dict.fromkeys((question.key for question in questions(6, server.base_url)), 1)
    assert list((tmp_path / "batches").glob("*.json")) == []


def test_jobs_at_once_share_their_batches(server: BatchServer, tmp_path: Path, processes: ForkServerContext) -> None:
    server.ends = [End(looks=4)]
    jobs = [processes.Process(target=run_job, args=(server.base_url, tmp_path, 6)) for _ in range(3)]
    for process in jobs:
        process.start()
    for process in jobs:
        process.join(20)
        assert process.exitcode == 0
    finish(server, tmp_path)
