"""No answer is paid for twice: processes that race, processes that are killed, and runs without a network."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hypermix import tables
from hypermix.cli import main
from hypermix.llm.archive import survey
from hypermix.llm.store import RequestStore
from tests.loopback import Loopback, Reply, completion, loopback
from tests.workflow.conftest import Workspace

# With 10 ms an answer, fifty workers that live 50 ms on average cannot finish, however fast the disk is.
KILLS, ROWS, LONGEST, ANSWERING = 50, 300, 0.1, 0.01

# A process that forks the workers, which have their packages then from the start. A worker asks for all rows in turn.
FORKER = """
import json, os, signal, sys, time
from contextlib import nullcontext
from pathlib import Path
from hypermix.llm.client import Client, Endpoint, Llm
from hypermix.llm.store import RequestStore
from hypermix.records import Request
url, folder, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def work(ready, result):
    llm = Llm("tiny", {"base_url": url}, lambda: nullcontext(Endpoint(url, "made-up")))
    with Client(llm, RequestStore(folder)) as client:
        client._connect()
        os.write(ready, b".")
        texts = [client.complete(Request({"prompt": f"row {row}"}, str(row))).text for row in range(rows)]
    Path(result).write_text(json.dumps([len(texts), vars(client.usage)]))

def start(result):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(writing, result)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return pid

for line in sys.stdin:
    words = json.loads(line)
    pids = [start(result) for result in words["results"]]
    killed = []
    for pid in pids:
        if words["seconds"] is not None:
            time.sleep(words["seconds"])
            os.kill(pid, signal.SIGKILL)
        killed.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(killed), flush=True)
"""


class Forker:
    """Runs workers over one store and one server."""

    def __init__(self, server: Loopback, folder: Path, rows: int) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", FORKER, server.base_url, str(folder / "requests"), str(rows)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._folder = folder

    def __enter__(self) -> Forker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def run(self, workers: int = 1, seconds: float | None = None) -> list[int]:
        """Run workers to their end, or kill each after some seconds; return their statuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        results = [str(self._folder / f"result-{number}") for number in range(workers)]
        self._process.stdin.write(json.dumps({"results": results, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses

    def usage(self, worker: int = 0) -> tuple[int, dict[str, Any]]:
        """Return how many rows a worker had, and what it counted."""
        rows, usage = json.loads((self._folder / f"result-{worker}").read_text(encoding="utf-8"))
        return rows, usage


def asked(server: Loopback) -> Counter[str]:
    return Counter(body["prompt"] for body, _ in server.requests)


def test_no_answer_is_lost_or_paid_twice_over_fifty_kills(tmp_path: Path) -> None:
    generator = random.Random(20)
    with loopback() as server, Forker(server, tmp_path, ROWS) as forker:
        server.replies = [Reply(completion(), seconds=ANSWERING)]
        statuses = [forker.run(seconds=generator.uniform(0.0, LONGEST)) for _ in range(KILLS)]
        before = len(server.requests)
        assert forker.run() == [0]
    assert statuses == [[-9]] * KILLS
    assert 0 < before < ROWS + KILLS
    rows, usage = forker.usage()
    assert rows == ROWS == usage["paid"] + usage["replayed"]
    counts = asked(server)
    assert len(counts) == ROWS
    # Asked again was only what was on its way at a kill, and the receipt counts each of those.
    twice = sum(counts.values()) - ROWS
    assert 0 < twice <= usage["unknown"] <= KILLS
    store = RequestStore(tmp_path / "requests")
    records = map(store.get, store.keys())
    unknown = {record.question.body["prompt"]: record.answer.unknown for record in records if record is not None}
    assert len(unknown) == ROWS
    assert all(counts[prompt] - 1 <= unknown[prompt] for prompt in counts)
    assert survey(store).claims == 0


@pytest.mark.parametrize("workers", [2, 4])
def test_processes_that_race_pay_once(tmp_path: Path, workers: int) -> None:
    with loopback() as server, Forker(server, tmp_path, 200) as forker:
        server.replies = [Reply(completion(), seconds=0.005)]
        assert forker.run(workers) == [0] * workers
    counts = asked(server)
    assert len(counts) == 200
    assert set(counts.values()) == {1}
    usages = [forker.usage(worker) for worker in range(workers)]
    assert [rows for rows, _ in usages] == [200] * workers
    assert sum(usage["paid"] for _, usage in usages) == 200
    assert sum(usage["replayed"] for _, usage in usages) == 200 * (workers - 1)
    assert sum(usage["unknown"] for _, usage in usages) == 0


def test_results_are_made_again_offline_from_an_exported_store(workspace: Workspace, tmp_path: Path) -> None:
    workspace.config["augmenters"] = {"gpt3mix": workspace.config["augmenters"]["gpt3mix"]}
    workspace.config["seeds"]["data"] = [1]
    workspace.run("--until", "augment")
    (synthetic,) = workspace.results().rglob("synthetic.parquet")
    first = synthetic.read_bytes()
    cache = workspace.folder / "cache"
    assert main(["cache", "export", str(tmp_path / "all.parquet"), "--cache", str(cache)]) == 0
    (cache / "requests").rename(tmp_path / "away")
    workspace.config["offline"] = True
    workspace.run("--until", "augment")  # the setting changes no result, so nothing is made again
    assert synthetic.read_bytes() == first

    told = workspace.run("--until", "augment", "--forcerun", "augment", fails=True)
    assert "offline: the answer to request " in told
    assert "is not stored in cache/requests; set offline: false, or import a store that has it" in told
    assert "Traceback" not in told
    assert not (cache / "requests").exists()

    assert main(["cache", "import", str(tmp_path / "all.parquet"), "--cache", str(cache)]) == 0
    workspace.run("--until", "augment")
    assert synthetic.read_bytes() == first
    receipt = tables.read(workspace.results() / "receipts", "receipt").iloc[0]
    assert (receipt["requests_paid"], receipt["requests_unknown"]) == (0, 0)
    assert receipt["requests_replayed"] == len(workspace.answers()) > 0
