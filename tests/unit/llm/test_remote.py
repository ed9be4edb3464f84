"""The process that requests are sent from: killed, interrupted, raced; and where keys are found."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import BudgetError, LlmError
from hypermix.llm.archive import survey
from hypermix.llm.backend import Refusal
from hypermix.llm.remote import RemoteBackend, open_remote, read_key
from hypermix.llm.store import Answer, Question, RequestStore
from hypermix.records import COMPLETIONS
from tests.loopback import Loopback, Reply, completion, loopback, refusal
from tests.unit.llm.conftest import KEY, as_endpoint, make_client, wait_until
from tests.unit.llm.test_client import ask_all, row, stored_files

KILLS, ROWS, LONGEST, ANSWERING = 50, 400, 0.25, 0.06
"""With 60 ms an answer and a gentle start, fifty jobs that live 125 ms on average do not get through, or just about."""


def question(number: int = 0, **more: Any) -> Question:
    return Question({"base_url": "u"}, COMPLETIONS, {"prompt": f"row {number}", **more}, str(number))


def collect(backend: Any) -> tuple[Question, Answer | Refusal]:
    found: tuple[Question, Answer | Refusal] | None = backend.collect()
    assert found is not None
    return found


# The real process.


def test_the_process_answers_refuses_and_ends(server: Loopback) -> None:
    server.replies = [
        Reply(completion("one"), headers={"x-request-id": "r"}),
        refusal(400, "no", code="content_filter"),
        refusal(400, "strange", param="seed"),
        refusal(401, "bad key"),
    ]
    with open_remote(as_endpoint(server)) as backend:
        assert backend.collect() is None
        found = []
        for number in range(5):
            backend.submit(question(number))
            asked, outcome = collect(backend)
            assert asked == question(number)
            found.append(outcome)
        assert isinstance(backend, RemoteBackend)
        process = backend._process
    assert process.poll() == -signal.SIGKILL
    answer, _, refused, *_ = found
    assert isinstance(answer, Answer)
    assert (answer.response, answer.headers["x-request-id"]) == (completion("one"), "r")
    assert [getattr(one, "filtered", None) for one in found] == [None, True, False, False, False]
    assert [getattr(one, "fatal", None) for one in found] == [None, False, True, True, False]
    assert [getattr(one, "unsent", None) for one in found] == [None, False, False, False, True]
    assert isinstance(refused, Refusal)
    assert refused.param == "seed"
    assert refused.said is not None
    assert len(server.requests) == 4


def test_cap_is_a_budget_error(server: Loopback, tmp_path: Path, threads: None) -> None:
    with open_remote(as_endpoint(server, ledger=str(tmp_path / "a"), caps={"requests": 0})) as backend:
        backend.submit(question())
        outcome = collect(backend)[1]
    assert isinstance(outcome, Refusal)
    assert isinstance(outcome.error, BudgetError)
    assert outcome.unsent


def test_key_stands_in_no_argument_and_no_environment(server: Loopback) -> None:
    with open_remote(as_endpoint(server)) as backend:
        assert isinstance(backend, RemoteBackend)
        folder = Path(f"/proc/{backend._process.pid}")
        backend.submit(question())
        collect(backend)
        assert KEY.encode() not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()


def test_killed_sender_is_told_and_counted(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion(), seconds=0.1)]
    with make_client(server, store, concurrency=4) as client:
        client.complete(row(0))
        server.replies = [Reply(completion(), seconds=30.0)]
        for number in range(1, 4):
            client.submit(number, row(number))
        wait_until(lambda: len(server.requests) >= 4)
        assert isinstance(client._backend, RemoteBackend)
        client._backend._process.kill()
        with pytest.raises(LlmError, match="tiny: the process that sends requests ended with status -9; run again"):
            client.take()
        client._backend._process.wait()
        client.submit(4, row(4))  # what comes after is not sent, and nobody waits for ever
        for _ in range(3):
            with pytest.raises(LlmError, match="ended with status -9"):
                client.take()
    assert len([name for name in stored_files(store) if name.endswith(".started")]) == 3
    server.replies = [Reply(completion())]
    with make_client(server, store) as client:
        ask_all(client, 4)
    assert (client.usage.paid, client.usage.replayed, client.usage.unknown) == (3, 1, 3)


def test_question_after_the_death_of_the_sender_is_unsent(server: Loopback) -> None:
    backend = RemoteBackend(as_endpoint(server))
    backend._process.kill()
    backend._process.wait()
    for number in range(2):
        backend.submit(question(number))
    outcomes = [collect(backend)[1] for _ in range(2)]
    backend.stop()
    backend.close()
    for outcome in outcomes:
        assert isinstance(outcome, Refusal)
        assert (outcome.unsent, outcome.unknown, outcome.fatal) == (True, 0, True)
    assert backend.collect() is None


def test_answer_that_is_cut_by_death_is_lost(server: Loopback, threads: None) -> None:
    backend = RemoteBackend(as_endpoint(server))
    backend.submit(question())
    reading, writing = os.pipe()
    os.write(writing, b'{"n": 1, "response": "half')
    os.close(writing)
    assert backend._process.stdout is not None
    with backend._process.stdout as real, os.fdopen(reading, "rb") as torn:
        backend._process.stdout = torn
        backend._process.kill()
        assert backend._process.stdin is not None
        backend._process.stdin.close()
        real.close()
        _, outcome = collect(backend)
        assert isinstance(outcome, Refusal)
        assert outcome.unknown == 1
    backend.close()


# Jobs that are killed.

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


def claims(store: RequestStore) -> int:
    """Count the claims of requests that have no answer."""
    paths = store.folder.rglob("*.started")
    return sum(not store.path(path.name.partition(".")[0]).exists() for path in paths)


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


# Ctrl-C.

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


# Where the key is.

OPENAI = "https://api.openai.com/v1"
ELSEWHERE = "https://llm.example/v1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with no key anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def find(place: dict[str, str | None] | None = None, url: str = OPENAI) -> str:
    return read_key(place, url, "OPENAI_API_KEY", "openai-key")


def test_usual_places_are_looked_at_for_openai_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "openai-key").write_text("sk-of-file\n", encoding="utf-8")
    assert find() == "sk-of-file"
    monkeypatch.setenv("OPENAI_API_KEY", " sk-of-variable\n")
    assert find() == "sk-of-variable"
    for url in (ELSEWHERE, "https://api.openai.com.example/v1", "http://127.0.0.1:1/api.openai.com/v1"):
        assert find(url=url) == ""


def test_named_place_is_the_only_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    monkeypatch.setenv("OTHER", "sk-other")
    (folder / "key").write_text("sk-file\nsecond line\n", encoding="utf-8")
    assert find({"env": "OTHER", "file": None}, ELSEWHERE) == "sk-other"
    assert find({"env": None, "file": "key"}) == "sk-file"


@pytest.mark.parametrize(
    ("place", "content", "wanted"),
    [
        (
            None,
            None,
            "https://api.openai.com/v1 needs a key: set the variable OPENAI_API_KEY, or write it into the file",
        ),
        (
            {"env": "NOT_SET"},
            None,
            "the environment variable NOT_SET, which should hold the key .* is not set or empty",
        ),
        ({"file": "key"}, None, "key: the key cannot be read from this file: FileNotFoundError; see llms"),
        ({"file": "key"}, b"", "the file key, which should hold the key .* is not set or empty"),
        ({"file": "key"}, b"\xff\xfe", "key: the key cannot be read from this file: UnicodeDecodeError; see llms"),
        ({"file": "key"}, b"sk-two words", "the file key holds no key: a key is one word of ASCII characters"),
        ({"file": "key"}, "sk-schlüssel".encode(), "the file key holds no key"),
    ],
)
def test_missing_key_is_told_without_it(
    folder: Path, place: dict[str, str | None] | None, content: bytes | None, wanted: str
) -> None:
    if content is not None:
        (folder / "key").write_bytes(content)
    with pytest.raises(LlmError, match=f"^{wanted}") as caught:
        find(place)
    assert "sk-" not in str(caught.value)
