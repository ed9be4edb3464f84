"""Jobs that are killed, and jobs that race."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from hypermix.llm.archive import survey
from hypermix.llm.store import RequestStore
from tests.integration.llm.asking import claims
from tests.loopback import Loopback, Reply, completion, loopback

KILLS, ROWS, LONGEST, ANSWERING = 50, 400, 0.25, 0.06
"""With 60 ms an answer and a gentle start, fifty jobs that live 125 ms on average do not get through, or just about."""


# A process that forks the jobs, and each job forks its sender: so all of them have their packages from the start.
FORKER = """
import asyncio, json, os, signal, sys, time
from pathlib import Path
from hypermix.llm import remote, sender
from hypermix.llm.client import Client, Llm
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.store import RequestStore
from hypermix.llm.wire import Wire
from hypermix.records import COMPLETIONS, Request
url, folder, rows, width = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

class Forked:
    def __init__(self):
        source, mine = os.pipe()
        back, target = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(source, 0)
            os.dup2(target, 1)
            os.closerange(3, 100)
            asyncio.run(sender._main())
        os.close(source)
        os.close(target)
        self.stdin, self.stdout = os.fdopen(mine, "wb"), os.fdopen(back, "rb")
    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

async def warm_up():
    wire = Wire(Endpoint("tiny", url, "made-up", width))
    await wire.send("/warm-up", {"prompt": "warm-up"})
    await wire.close()

asyncio.run(warm_up())
remote._start = Forked

def work(ready, result):
    endpoint = Endpoint("tiny", url, "made-up", width)
    llm = Llm("tiny", {"base_url": url}, lambda: remote.open_remote(endpoint))
    with Client(llm, RequestStore(folder)) as client:
        client._connect()
        os.write(ready, b".")
        waiting, texts = list(range(rows)), []
        while len(texts) < rows:
            while waiting and client.room:
                row = waiting.pop(0)
                client.submit(row, Request(COMPLETIONS, {"prompt": f"row {row}"}, str(row)))
            texts.append(client.take()[1].text)
    usage = {name: getattr(client.usage, name) for name in ("paid", "replayed", "unknown")}
    Path(result).write_text(json.dumps([len(texts), usage]))

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
    statuses = []
    for pid in pids:
        if words["seconds"] is not None:
            time.sleep(words["seconds"])
            os.kill(pid, signal.SIGKILL)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(statuses), flush=True)
"""


class Forker:
    """Runs jobs over one store and one server."""

    def __init__(self, server: Loopback, folder: Path, rows: int, width: int) -> None:
        words = [server.base_url, str(folder / "requests"), str(rows), str(width)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKER, *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._folder = folder

    def __enter__(self) -> Forker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def run(self, jobs: int = 1, seconds: float | None = None) -> list[int]:
        """Run jobs to their end, or kill each after some seconds; return their statuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        results = [str(self._folder / f"result-{number}") for number in range(jobs)]
        self._process.stdin.write(json.dumps({"results": results, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses

    def usage(self, job: int = 0) -> tuple[int, dict[str, int]]:
        """Return how many rows a job had, and what it counted."""
        rows, usage = json.loads((self._folder / f"result-{job}").read_text(encoding="utf-8"))
        return rows, usage


def asked(server: Loopback) -> Counter[str]:
    counts = server.asked()
    del counts["warm-up"]
    return counts


def lost(store: RequestStore) -> dict[str, int]:
    """Return how many requests were lost behind each answer."""
    records = [store.get(key) for key in store.keys()]  # noqa: SIM118 - a store is no dictionary
    return {str(one.question.body["prompt"]): one.answer.unknown for one in records if one is not None}


def test_no_answer_is_lost_or_paid_twice_over_fifty_kills(tmp_path: Path) -> None:
    generator = random.Random(20)
    store = RequestStore(tmp_path / "requests")
    with loopback() as server, Forker(server, tmp_path, ROWS, 64) as forker:
        server.replies = [Reply(completion(), seconds=ANSWERING)]
        statuses = [forker.run(seconds=generator.uniform(0.0, LONGEST)) for _ in range(KILLS)]
        before, left, sent = lost(store), claims(store), asked(server).total()
        assert forker.run() == [0]
    assert statuses.count([-9]) > KILLS / 2  # the last ones may have had nothing to do
    assert 0 < len(before) < sent
    rows, usage = forker.usage()
    assert rows == ROWS == usage["paid"] + usage["replayed"]
    counts, unknown = asked(server), lost(store)
    assert len(counts) == len(unknown) == ROWS
    # Asked again was only what was on its way at a kill, and the receipt counts each of those, and no more.
    assert all(counts[prompt] - 1 <= unknown[prompt] for prompt in counts)
    assert 0 < counts.total() - ROWS <= usage["unknown"] == sum(unknown.values())
    assert usage["unknown"] == sum(before.values()) + left
    assert survey(store).claims == 0


def test_jobs_that_race_pay_once(tmp_path: Path) -> None:
    jobs = 2
    with loopback() as server, Forker(server, tmp_path, 200, 16) as forker:
        server.replies = [Reply(completion(), seconds=0.005)]
        assert forker.run(jobs) == [0] * jobs
    counts = asked(server)
    assert len(counts) == 200
    assert set(counts.values()) == {1}
    usages = [forker.usage(job) for job in range(jobs)]
    assert [rows for rows, _ in usages] == [200] * jobs
    assert sum(usage["paid"] for _, usage in usages) == 200
    assert sum(usage["replayed"] for _, usage in usages) == 200 * (jobs - 1)
    assert sum(usage["unknown"] for _, usage in usages) == 0
