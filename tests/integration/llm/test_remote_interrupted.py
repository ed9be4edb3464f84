"""Jobs that end by Ctrl-C, by a kill, and on a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hypermix.llm.store import RequestStore
from tests.integration.llm.asking import claims, stored_files
from tests.integration.llm.conftest import wait_until
from tests.loopback import Loopback, Reply, completion

JOB = """
import logging, resource, sys, time
from pathlib import Path
from hypermix.errors import LlmError
from hypermix.llm.client import Client, Llm
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.remote import open_remote
from hypermix.llm.store import RequestStore
from hypermix.records import COMPLETIONS, Request
logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
url, limit = sys.argv[1], int(sys.argv[3])
if limit:  # no file may be larger, as on a disk that is full
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
llm = Llm("tiny", {"base_url": url}, lambda: open_remote(Endpoint("tiny", url, "made-up", 8, deadline=5.0)))
try:
    with Client(llm, RequestStore(Path(sys.argv[2]), patience=1.0)) as client:
        waiting = list(range(100))
        while True:
            while waiting and client.room:
                row = waiting.pop(0)
                client.submit(row, Request(COMPLETIONS, {"prompt": f"row {row}"}, str(row)))
            client.take()
except KeyboardInterrupt:
    sys.exit(130)
except LlmError as error:
    sys.exit(f"ended: {error}")
"""


@contextmanager
def running(server: Loopback, store: RequestStore, limit: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Run a job in a group of its own, as a shell does."""
    with subprocess.Popen(
        [sys.executable, "-c", JOB, server.base_url, str(store.folder), str(limit)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def job(server: Loopback, store: RequestStore) -> Iterator[subprocess.Popen[str]]:
    """Return a running job."""
    with running(server, store) as process:
        yield process


def interrupt(job: subprocess.Popen[str]) -> None:
    os.killpg(job.pid, signal.SIGINT)


def test_ctrl_c_stores_what_is_under_way_and_withdraws_the_rest(
    server: Loopback, store: RequestStore, job: subprocess.Popen[str]
) -> None:
    server.replies = [*[Reply(completion())] * 4, Reply(completion(), seconds=0.8)]
    wait_until(lambda: len(server.requests) >= 12)
    interrupt(job)
    told = job.communicate(timeout=10)[1]
    assert job.returncode == 130
    assert "Traceback" not in told
    assert "requests are under way: their answers are waited for and stored" in told
    asked = len(server.requests)
    assert asked == 12
    assert [name.endswith(".json.gz") for name in stored_files(store)] == [True] * asked


def test_second_ctrl_c_ends_at_once(server: Loopback, store: RequestStore, job: subprocess.Popen[str]) -> None:
    server.replies = [*[Reply(completion())] * 4, Reply(completion(), seconds=4.0)]
    wait_until(lambda: len(server.requests) >= 12)
    interrupt(job)
    time.sleep(0.3)
    interrupt(job)
    started = time.monotonic()
    told = job.communicate(timeout=10)[1]
    assert time.monotonic() - started < 2.0
    assert job.returncode == 130
    assert "Traceback" not in told
    # What was under way is perhaps paid: its claims stay.
    names = stored_files(store)
    assert (len([name for name in names if name.endswith(".json.gz")]), claims(store)) == (4, 8)


def test_ctrl_c_while_the_sender_starts_is_quiet(
    server: Loopback, store: RequestStore, job: subprocess.Popen[str]
) -> None:
    wait_until(lambda: claims(store) >= 4)
    assert server.requests == []
    interrupt(job)
    told = job.communicate(timeout=10)[1]
    assert job.returncode == 130
    assert "Traceback" not in told
    assert all(name.endswith(".json.gz") for name in stored_files(store))


def test_a_killed_job_leaves_no_sender(server: Loopback, store: RequestStore, job: subprocess.Popen[str]) -> None:
    server.replies = [Reply(completion(), seconds=30.0)]
    wait_until(lambda: len(server.requests) >= 4)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text(encoding="utf-8").split()
    children += [
        child
        for task in Path(f"/proc/{job.pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="utf-8").split()
    ]
    assert children
    job.kill()
    job.wait()
    until = time.monotonic() + 5
    while any(_lives(pid) for pid in children) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(_lives(pid) for pid in children)


def test_full_disk_is_waited_for_once_and_told(server: Loopback, store: RequestStore) -> None:
    noise = random.Random(1).randbytes(9000).hex()
    server.replies = [*[Reply(completion("fits"))] * 4, Reply(completion(noise))]
    with running(server, store, limit=700) as job:
        told = job.communicate(timeout=30)[1]
    assert job.returncode == 1
    ended = [line for line in told.splitlines() if line.startswith("ended: ")]
    assert len(ended) == 1
    assert "the answer came and cannot be stored: File too large; make room there, and run again: the req" in ended[0]
    assert "Traceback" not in told
    assert len(server.requests) > 8
    assert told.count("the answer waits up to 1 s for room") == 4  # one for each thread, and none after them
    assert claims(store) == len(server.requests) - 4
    assert len(list(store.keys())) == 4


def _lives(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}
