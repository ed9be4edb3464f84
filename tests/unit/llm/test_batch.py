from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.backend import Backend, Refusal
from hypermix.llm.batch.backend import BatchBackend
from hypermix.llm.batch.records import BatchRecord, BatchRecords, read_line, split
from hypermix.llm.batch.submission import Timing
from hypermix.llm.ledger import Cost, Ledger, Reservation
from hypermix.llm.price import Rate, most_tokens
from hypermix.llm.store import Answer, Question
from tests.batch_server import KEY, BatchServer, End, batch_server, line, nothing, questions, refusal, run_job, shuffled

RATE = Rate(input=1.0, output=10.0)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with batch_server() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "batches"


class Clock:
    """A clock that only sleeping moves; `interrupt` breaks the first sleep off."""

    def __init__(self, interrupt: bool = False) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._interrupt = interrupt

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if self._interrupt:
            raise KeyboardInterrupt
        self.slept.append(seconds)
        self.now += seconds

    def timing(self, **how: float) -> Timing:
        return Timing(**how, sleep=self.sleep, clock=self)


class Purse(Ledger):
    """A ledger in memory with one cap, in tokens."""

    def __init__(self, cap: int = 10**9) -> None:
        self.cap = cap
        self.held: dict[Reservation, tuple[float, int]] = {}
        self.paid: list[tuple[float, int]] = []

    def reserve(self, usd: float, tokens: int) -> Reservation:
        if sum(held for _, held in self.held.values()) + sum(paid for _, paid in self.paid) + tokens > self.cap:
            raise LlmError("the cap is reached")
        reserved = Reservation(Cost(usd, tokens))
        self.held[reserved] = usd, tokens
        return reserved

    def settle(self, reserved: Reservation, actual: Cost) -> None:
        del self.held[reserved]
        self.paid.append((actual.usd, actual.tokens))

    def release(self, reserved: Reservation) -> None:
        del self.held[reserved]


@dataclass
class Job:
    """A backend whose answers are kept as a store keeps them."""

    server: BatchServer
    folder: Path
    kept: dict[str, Answer] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    def open(self, **how: Any) -> BatchBackend:
        timing = how.pop("timing", None) or self.clock.timing()
        return BatchBackend(self.server.base_url, KEY, self.folder, self.kept.get, timing=timing, **how)

    def run(self, asked: list[Question], **how: Any) -> dict[str, Answer | Refusal]:
        backend = self.open(**how)
        try:
            return self.ask(backend, asked)
        finally:
            backend.close()

    def ask(self, backend: BatchBackend, asked: list[Question]) -> dict[str, Answer | Refusal]:
        for question in asked:
            if question.key not in self.kept:
                backend.submit(question)
        found: dict[str, Answer | Refusal] = {}
        while (came := backend.collect()) is not None:
            question, result = came
            found[question.key] = result
            if isinstance(result, Answer):
                self.kept[question.key] = result
        return found

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("*.json"))]


@pytest.fixture
def job(server: BatchServer, folder: Path) -> Job:
    return Job(server, folder)


def text(result: Answer | Refusal) -> str:
    assert isinstance(result, Answer)
    return str(json.loads(result.response)["choices"][0]["message"]["content"])


def refused(result: Answer | Refusal) -> Refusal:
    assert isinstance(result, Refusal)
    return result


def only(found: dict[str, Answer | Refusal]) -> Refusal:
    """Return the one refusal that all questions got."""
    (told,) = {str(refused(result).error) for result in found.values()}
    first = refused(next(iter(found.values())))
    assert str(first.error) == told
    return first


def asked(server: BatchServer, count: int = 5, **body: Any) -> list[Question]:
    return questions(count, server.base_url, **body)


def batch_id(record: dict[str, Any]) -> str:
    return str(record["batch"])


# The way of a batch.


def test_all_questions_are_one_batch(server: BatchServer, job: Job) -> None:
    backend: Backend = job.open()
    backend.close()
    server.ends = [End(answered=shuffled, looks=2)]
    some = asked(server)
    found = job.run(some)
    assert {key: text(result) for key, result in found.items()} == {q.key: f"answer to {q.key}" for q in some}
    assert server.counts == {"upload": 1, "create": 1, "look": 3, "content": 1}
    assert job.clock.slept == [60.0, 60.0]
    assert set(server.asked().values()) == {1}
    (batch,) = server.batches.values()
    assert batch["endpoint"] == "/v1/chat/completions"
    assert job.records() == []


def test_lines_hold_the_body_as_it_is(server: BatchServer, job: Job) -> None:
    (question,) = asked(server, 1, messages=[{"role": "user", "content": "ä \u2028 \ud800"}])
    job.run([question])
    (told,) = [json.loads(content) for content in server.files["file-1"].splitlines()]
    assert told["body"] == question.body
    assert told["custom_id"] == question.key


def test_answer_is_the_body_and_the_request_id(server: BatchServer, job: Job) -> None:
    body = {"b": 1.50, "choices": [], "a": "\ud800ä"}
    server.ends = [End(answered=lambda keys: [line(keys[0], body)])]
    (result,) = job.run(asked(server, 1)).values()
    assert isinstance(result, Answer)
    assert json.loads(result.response) == body
    assert result.response.startswith('{"b":1.5,"choices":[],')
    assert list(result.headers) == ["x-request-id"]
    assert len(result.sha256) == 64
    result.response.encode()


def test_questions_are_split_by_model_path_and_size() -> None:
    some = questions(5, "u") + questions(2, "u", model="other")
    some += [replace(question, path="/v1/completions") for question in questions(2, "v")]
    chunks = list(split(some, most=3))
    assert [(chunk.path, len(chunk.questions)) for chunk in chunks] == [
        ("/v1/chat/completions", 3),
        ("/v1/chat/completions", 2),
        ("/v1/chat/completions", 2),
        ("/v1/completions", 2),
    ]
    assert [q.key for chunk in chunks for q in chunk.questions] == [q.key for q in some]
    size = len(chunks[0].content) // 3
    small = list(split(questions(5, "u"), most_bytes=2 * size + size // 2))
    assert [len(chunk.questions) for chunk in small] == [2, 2, 1]
    assert max(len(chunk.content) for chunk in small) <= 2 * size + size // 2
    assert [len(chunk.questions) for chunk in split(questions(2, "u"), most_bytes=1)] == [1, 1]


def test_several_batches_wait_together(server: BatchServer, job: Job) -> None:
    server.ends = [End(looks=3), End(), End()]
    found = job.run(asked(server, 5), most=2)
    assert len(found) == 5
    assert [len(server.keys(name)) for name in server.batches] == [2, 2, 1]
    order = list(found)
    assert order[-2:] == [question.key for question in asked(server, 5)][:2]  # the slow one last
    assert len(job.clock.slept) <= 3


def test_what_is_asked_later_is_another_batch(server: BatchServer, job: Job) -> None:
    backend = job.open()
    first, later = asked(server, 2), asked(server, 4)[2:]
    assert len(job.ask(backend, first)) == 2
    assert [record["keys"] for record in job.records()] == [[question.key for question in first]]
    assert len(job.ask(backend, later)) == 2
    assert [record["keys"] for record in job.records()] == [[question.key for question in later]]
    assert backend.collect() is None
    backend.close()
    assert job.records() == []


def test_equal_questions_are_sent_once_and_answered_each(server: BatchServer, job: Job) -> None:
    (question,) = asked(server, 1)
    backend = job.open()
    backend.submit(question)
    backend.submit(question)
    assert [backend.collect() is not None for _ in range(3)] == [True, True, False]
    assert server.asked() == {question.key: 1}
    backend.close()


# Endings.


def test_expired_rest_is_sent_again(server: BatchServer, job: Job) -> None:
    some = asked(server)
    server.ends = [
        End(
            "expired",
            answered=lambda keys: [line(key) for key in keys[:2]],
            failed=lambda keys: [line(key, error={"code": "batch_expired", "message": "late"}) for key in keys[2:4]],
        ),
        End(),
    ]
    purse = Purse()
    found = job.run(some, ledger=purse, rate=RATE)
    assert {text(result) for result in found.values()} == {f"answer to {question.key}" for question in some}
    assert {result.unknown for result in found.values()} == {0}
    assert server.keys("batch_2") == [question.key for question in some[2:]]
    assert purse.held == {}
    assert len(purse.paid) == 5
    assert job.records() == []


def test_what_is_never_answered_ends(server: BatchServer, job: Job) -> None:
    server.ends = [End("expired", answered=nothing)]
    purse = Purse()
    results = [refused(result) for result in job.run(asked(server, 3), tries=3, ledger=purse).values()]
    assert len(results) == 3
    assert all("in 3 batches" in str(result.error) for result in results)
    assert {(result.fatal, result.unsent, result.unknown) for result in results} == {(False, False, 0)}
    assert len(server.batches) == 3
    assert (purse.held, purse.paid) == ({}, [])
    assert job.records() == []


def test_missing_lines_were_perhaps_paid(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    server.ends = [End(answered=lambda keys: [line(key) for key in keys[1:]]), End()]
    purse = Purse()
    some = asked(server, 3)
    found = job.run(some, ledger=purse, rate=RATE)
    assert [found[question.key].unknown for question in some] == [1, 0, 0]
    most = most_tokens(some[0].body)
    assert (RATE.usd(most), most.total) in purse.paid
    assert len(purse.paid) == 4
    assert "1 questions have no line" in caplog.text


@pytest.mark.parametrize(
    "again",
    [
        lambda key: refusal(key, 429, code="rate_limit_exceeded"),
        lambda key: refusal(key, 500),
        lambda key: refusal(key, 503),
        lambda key: refusal(key, 200),
        lambda key: line(key, error={"code": "request_timeout", "message": "slow"}),
    ],
)
def test_passing_faults_of_a_line_are_asked_again(server: BatchServer, job: Job, again: Callable[[str], bytes]) -> None:
    server.ends = [
        End(answered=lambda keys: [line(key) for key in keys[1:]], failed=lambda keys: [again(keys[0])]),
        End(),
    ]
    some = asked(server, 3)
    found = job.run(some)
    assert [text(found[question.key]) for question in some] == [f"answer to {question.key}" for question in some]
    assert server.asked() == {some[0].key: 2, some[1].key: 1, some[2].key: 1}


def test_lines_are_refused_each_for_itself(server: BatchServer, job: Job) -> None:
    lines = [
        lambda key: refusal(key, 400, f"flagged, {KEY}", code="content_filter"),
        lambda key: refusal(key, 400, "unsupported", code="unsupported_parameter", param="top_logprobs"),
        lambda key: refusal(key, 429, "no money", code="insufficient_quota"),
        lambda key: refusal(key, 404, "no such model", param=["x"]),
    ]
    server.ends = [
        End(answered=nothing, failed=lambda keys: [word(key) for word, key in zip(lines, keys, strict=True)])
    ]
    purse = Purse()
    some = asked(server, 4)
    found = job.run(some, ledger=purse)
    results = [refused(found[question.key]) for question in some]
    assert [result.filtered for result in results] == [True, False, False, False]
    assert [result.fatal for result in results] == [False, True, True, True]
    assert [result.param for result in results] == [None, "top_logprobs", None, None]
    assert "content policy" in str(results[0].error)
    assert "top it up" in str(results[2].error)
    assert KEY not in " ".join(str(result.error) for result in results)
    assert (purse.held, purse.paid) == ({}, [])
    assert job.records() == []


def test_foreign_and_broken_lines_are_ignored(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    def answered(keys: list[str]) -> list[bytes]:
        good = [line(key) for key in keys]
        other = line(keys[0], {"choices": "second"})
        return [b"{\n", b"\n", line("f" * 64), line("../x"), b"[1]\n", *good, other, b'{"custom_id": NaN}\n', b"\xff\n"]

    server.ends = [End(answered=answered)]
    some = asked(server, 2)
    found = job.run(some)
    assert [text(found[question.key]) for question in some] == [f"answer to {question.key}" for question in some]
    assert "5 lines are malformed, 2 of no question of it, 1 there twice" in caplog.text
    assert len(server.batches) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"1",
        b'{"custom_id": 1, "response": {"status_code": 200, "body": {}}}',
        b'{"custom_id": "a", "response": null, "error": null}',
        b'{"custom_id": "a", "response": {"body": {"x": Infinity}}}',
        b"[" * 100_000,
    ],
)
def test_line_without_an_answer_is_malformed(content: bytes) -> None:
    assert read_line(content) is None


def test_failed_batch_says_why(server: BatchServer, job: Job) -> None:
    errors = [{"code": "model_not_found", "message": f"no model {KEY} {'x' * 999}", "param": "model", "line": 1}]
    server.ends = [End("failed", errors=errors), End()]
    purse = Purse()
    some = asked(server, 2)
    found = only(job.run(some, ledger=purse))
    assert (found.fatal, found.param) == (True, "model")
    assert "no model [key]" in str(found.error)
    assert "(line 1)" in str(found.error)
    assert len(str(found.error)) < 500
    assert purse.held == {}
    assert job.records() == []
    assert len(job.run(some)) == 2  # mended by now


def test_failed_batch_without_a_reason(server: BatchServer, job: Job) -> None:
    server.ends = [End("failed")]
    assert "no reason" in str(only(job.run(asked(server, 1))).error)


def test_cancelled_batch_gives_what_it_has(server: BatchServer, job: Job) -> None:
    server.ends = [End("cancelled", answered=lambda keys: [line(keys[0])]), End()]
    some = asked(server, 2)
    found = job.run(some)
    assert text(found[some[0].key]) == f"answer to {some[0].key}"
    assert "was cancelled" in str(refused(found[some[1].key]).error)
    assert job.records() == []
    job.run(some)
    assert server.asked() == {some[0].key: 1, some[1].key: 2}


def test_full_queue_takes_smaller_batches(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    full = End("failed", errors=[{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}])
    server.ends = [full, full, End(looks=1)]
    found = job.run(asked(server, 8))
    assert len(found) == 8
    assert [len(server.keys(name)) for name in server.batches][:3] == [8, 4, 2]
    assert all(isinstance(result, Answer) for result in found.values())
    assert "no room" in caplog.text


def test_queue_that_stays_full_ends_the_job(server: BatchServer, job: Job) -> None:
    server.ends = [End("failed", errors=[{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}])]
    found = only(job.run(asked(server, 1), timing=job.clock.timing(poll=3600)))
    assert "Enqueued token limit" in str(found.error)
    assert found.fatal
    assert 86_400 <= job.clock.now - 1000 <= 90_000
    assert server.counts["create"] < 30


# Faults of the endpoint.


@pytest.mark.parametrize("fault", ["after reset", "after html", "after 500", "after 408", "reset", 500, 429, "html"])
def test_batch_without_a_clear_answer_is_searched_for(server: BatchServer, job: Job, fault: int | str) -> None:
    server.faults["create"] = [fault]
    some = asked(server, 3)
    assert len(job.run(some)) == 3
    assert set(server.asked().values()) == {1}
    assert server.counts["create"] == (1 if "after" in str(fault) else 2)
    assert server.counts["list"] >= 1
    assert server.counts["upload"] == 1


def test_batch_that_comes_late_to_the_list_is_found(server: BatchServer, job: Job) -> None:
    server.faults["create"] = ["after reset"]
    server.hidden = 4
    assert len(job.run(asked(server, 3))) == 3
    assert server.counts["create"] == 1
    assert job.clock.slept[:4] == [5.0] * 4


def test_batch_is_found_on_a_later_page(server: BatchServer, job: Job) -> None:
    server.page = 2
    server.faults["create"] = ["after reset"]

    def add_others(kind: str, when: str) -> None:
        if (kind, when) == ("create", "after"):
            others = {f"other_{n}": {**server.batches["batch_1"], "id": f"other_{n}"} for n in range(5)}
            for number, other in enumerate(others.values()):
                other["metadata"] = [None, {}, {"hypermix": "x"}][number % 3]
            server.batches.update(others)

    server.event = add_others
    assert len(job.run(asked(server, 3))) == 3
    assert server.counts["create"] == 1
    assert server.counts["list"] == 3


def test_endpoint_that_never_says_ends_the_job(server: BatchServer, job: Job) -> None:
    server.faults["create"] = [500] * 9
    purse = Purse()
    found = only(job.run(asked(server, 2), tries=3, ledger=purse))
    assert (found.fatal, found.unsent) == (True, False)
    assert server.counts["create"] == 3
    assert len(purse.held) == 2  # there may be a batch
    assert [record["state"] for record in job.records()] == ["submitting"]
    server.faults.clear()
    assert len(job.run(asked(server, 2))) == 2
    assert job.records() == []


@pytest.mark.parametrize(
    ("fault", "word"),
    [(401, "set a key"), (403, "the right"), (404, "Batch API"), (413, "lower"), ("quota", "top up"), (400, "see to")],
)
@pytest.mark.parametrize("kind", ["upload", "create"])
def test_refused_batch_is_fatal_and_free(
    server: BatchServer, job: Job, kind: str, fault: int | str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults[kind] = [fault] * 9
    purse = Purse()
    found = only(job.run(asked(server, 2), ledger=purse))
    assert (found.fatal, found.unsent, found.unknown) == (True, True, 0)
    assert word in str(found.error)
    assert KEY not in str(found.error) + caplog.text
    assert found.error.__cause__ is None
    assert purse.held == {}
    assert job.records() == []
    assert server.batches == {}


def test_upload_and_looks_are_repeated(server: BatchServer, job: Job) -> None:
    server.faults = {"upload": [500, "html"], "look": [503, 429], "content": [500, "cut"]}
    assert "no clear answer" in str(only(job.run(asked(server, 3))).error)  # HTML is no answer to repeat
    server.faults["upload"] = [500]
    assert len(job.run(asked(server, 3))) == 3
    assert set(server.asked().values()) == {1}


def test_outage_is_waited_for(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    server.faults["look"] = [500] * 40  # ten looks
    found = job.run(asked(server, 1))
    assert [type(result) for result in found.values()] == [Answer]
    assert len(job.clock.slept) == 10
    assert "goes on" in caplog.text


@pytest.mark.parametrize(("fault", "word"), [(500, "no clear answer|refused"), (401, "set a key"), (404, "delete")])
def test_batch_that_cannot_be_looked_at_keeps_its_record(server: BatchServer, job: Job, fault: int, word: str) -> None:
    server.faults["look"] = [fault] * 999
    some = asked(server, 2)
    purse = Purse()
    found = only(job.run(some, ledger=purse, timing=job.clock.timing(poll=900)))
    assert found.fatal
    assert any(part in str(found.error) for part in word.split("|"))
    assert KEY not in str(found.error)
    assert len(purse.held) == 2
    assert [batch_id(record) for record in job.records()] == ["batch_1"]
    server.faults.clear()
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}
    assert job.records() == []


def test_download_that_breaks_off_is_paid_for_once(server: BatchServer, job: Job) -> None:
    server.faults["content"] = ["cut"] * 4
    some = asked(server, 3)
    found = only(job.run(some))
    assert "download" in str(found.error)
    assert len(job.records()) == 1
    server.faults["content"] = ["cut", "cut"]
    assert len(job.run(some)) == 3
    assert set(server.asked().values()) == {1}


def test_lost_file_of_answers_is_asked_again(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    server.faults["content"] = [404]
    found = job.run(asked(server, 2))
    assert [result.unknown for result in found.values()] == [1, 1]
    assert set(server.asked().values()) == {2}
    assert "is gone" in caplog.text


def test_full_disk_keeps_the_batch(server: BatchServer, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    some = asked(server, 2)
    with monkeypatch.context() as patch:
        patch.setattr("hypermix.llm.batch.backend.tempfile.TemporaryFile", full)
        found = only(job.run(some))
    assert "No space left" in str(found.error)
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}


@pytest.mark.parametrize("written", [0, 1])
def test_record_that_cannot_be_written_sends_nothing(
    server: BatchServer, job: Job, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    write = BatchRecords.write
    calls = iter(range(9))

    def fail(records: BatchRecords, record: BatchRecord) -> None:
        if next(calls) >= written:
            raise OSError(28, "No space left on device")
        write(records, record)

    monkeypatch.setattr(BatchRecords, "write", fail)
    purse = Purse()
    found = only(job.run(asked(server, 2), ledger=purse))
    assert (found.fatal, found.unsent) == (True, True)
    assert server.batches == {}
    assert (purse.held, job.records()) == ({}, [])


def test_id_that_cannot_be_written_is_found_again(
    server: BatchServer, job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = BatchRecords.write

    def fail(records: BatchRecords, record: BatchRecord) -> None:
        if record.batch:
            raise OSError(28, "No space left on device")
        write(records, record)

    server.ends = [End(looks=1)]
    some = asked(server, 2)
    with monkeypatch.context() as patch:
        patch.setattr(BatchRecords, "write", fail)
        backend = job.open(timing=Clock(interrupt=True).timing())
        with pytest.raises(KeyboardInterrupt):
            job.ask(backend, some)
        backend.close()
    assert "found again by metadata" in caplog.text
    assert [record["state"] for record in job.records()] == ["submitting"]
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}


# Records.


def test_record_is_on_the_disk_before_each_step(server: BatchServer, job: Job) -> None:
    seen: list[tuple[str, Any, Any, Any]] = []

    def look(kind: str, when: str) -> None:
        if when == "before":
            seen.extend((kind, told["state"], told["file"], told["batch"]) for told in job.records())

    server.event = look
    some = asked(server, 2)
    job.run(some)
    assert seen == [
        ("upload", "submitting", None, None),
        ("create", "submitting", "file-1", None),
        ("look", "sent", "file-1", "batch_1"),
        ("content", "sent", "file-1", "batch_1"),
    ]
    (batch,) = server.batches.values()
    assert batch["metadata"]["hypermix"] == BatchRecord("t", "u", tuple(q.key for q in reversed(some)), 0.0).digest


def test_record_stays_until_all_is_stored(server: BatchServer, job: Job) -> None:
    some = asked(server, 2)
    backend = job.open()
    for question in some:
        backend.submit(question)
    assert backend.collect() is not None
    assert backend.collect() is not None
    backend.close()  # as after a failure to store
    assert len(job.records()) == 1
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}
    assert job.records() == []


def test_record_of_a_lost_half_gives_that_half(server: BatchServer, job: Job) -> None:
    some = asked(server, 4)
    backend = job.open()
    for question in some:
        backend.submit(question)
    for _ in range(2):
        came = backend.collect()
        assert came is not None
        assert isinstance(came[1], Answer)
        job.kept[came[0].key] = came[1]
    backend.close()
    found = job.run(some)
    assert set(found) == {question.key for question in some[2:]}
    assert set(server.asked().values()) == {1}
    assert job.records() == []


def test_ctrl_c_leaves_the_batch(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    server.ends = [End(looks=1)]
    some = asked(server, 3)
    purse = Purse()
    backend = job.open(timing=Clock(interrupt=True).timing(), ledger=purse)
    for question in some:
        backend.submit(question)
    with pytest.raises(KeyboardInterrupt):
        backend.collect()
    backend.close()
    assert caplog.text.count("goes on at the endpoint") == 1
    assert len(purse.held) == 3
    later = Purse()
    assert len(job.run(some, ledger=later)) == 3
    assert (later.held, later.paid) == ({}, [])  # set aside by the first run
    assert set(server.asked().values()) == {1}


def test_expired_rest_is_known_after_a_crash(server: BatchServer, job: Job) -> None:
    server.ends = [End("expired", answered=lambda keys: [line(key) for key in keys[:1]]), End(looks=1)]
    some = asked(server, 3)
    clock = Clock(interrupt=True)
    backend = job.open(timing=clock.timing())
    for question in some:
        backend.submit(question)
    assert backend.collect() is not None  # not stored
    with pytest.raises(KeyboardInterrupt):
        backend.collect()
    assert len(job.records()) == 2
    found = job.run(some)
    assert len(found) == 3
    assert server.asked() == {some[0].key: 1, some[1].key: 2, some[2].key: 2}
    assert job.records() == []


def test_key_in_two_batches_waits_for_the_second(server: BatchServer, job: Job) -> None:
    # With one try a question of an expired batch would be refused, but another batch holds it.
    server.ends = [End("expired", answered=nothing), End(looks=1)]
    some = asked(server, 2)
    with pytest.raises(KeyboardInterrupt):
        job.ask(job.open(timing=Clock(interrupt=True).timing()), some)
    assert len(server.batches) == 2
    assert all(isinstance(result, Answer) for result in job.run(some, tries=1).values())
    assert len(server.batches) == 2


def test_question_of_another_process_waits_for_its_batch(server: BatchServer, folder: Path) -> None:
    server.ends = [End(looks=2)]
    some = asked(server, 4)
    one, two = Job(server, folder), Job(server, folder)
    first, second = one.open(), two.open()
    for question in some[:3]:
        first.submit(question)
    first._take()
    first._send()
    found = two.ask(second, some[2:])
    assert set(found) == {some[2].key, some[3].key}
    found = one.ask(first, [])
    assert set(found) == {question.key for question in some[:3]}
    assert set(server.asked().values()) == {1}
    second.close()
    first.close()
    assert one.records() == []


def test_answer_that_was_stored_meanwhile_is_not_asked(server: BatchServer, job: Job) -> None:
    some = asked(server, 3)
    backend = job.open()
    for question in some:
        backend.submit(question)
    job.kept[some[0].key] = Answer('{"choices":[]}')
    found = {question.key: result for question, result in iter(backend.collect, None)}
    assert found[some[0].key] == Answer('{"choices":[]}')
    assert len(found) == 3
    assert set(server.asked()) == {some[1].key, some[2].key}
    backend.close()


def test_records_of_other_endpoints_are_left(server: BatchServer, job: Job) -> None:
    some = asked(server, 2)
    other = BatchRecord("0" * 16, "http://elsewhere/v1", (some[0].key,), time.time(), "file-9", "batch_9")
    BatchRecords(job.folder).write(other)
    (job.folder / "notes.json").write_text("mine", encoding="utf-8")
    assert len(job.run(some)) == 2
    assert BatchRecords(job.folder).read(other.base_url) == [other]


def test_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    records = BatchRecords(tmp_path)
    made = [BatchRecord.begin("u", [f"{number:064x}"]) for number in range(3)]
    made[1] = replace(made[1], file="f", batch="b/../\u2028x")
    for record in reversed(made):
        records.write(record)
    assert records.read("u") == sorted(made, key=lambda record: (record.started, record.token))
    assert "\u2028" not in made[1].shown
    assert len({record.token for record in made}) == 3
    records.drop(made[0])
    records.drop(made[0])
    assert len(records.read("u")) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"token": 1}', "flip"])
def test_damaged_record_stops_the_job(server: BatchServer, job: Job, content: str) -> None:
    some = asked(server, 1)
    record = BatchRecord.begin(server.base_url, [some[0].key])
    BatchRecords(job.folder).write(record)
    path = job.folder / f"{record.token}.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(some[0].key[:8], "00000000") if content == "flip" else content, encoding="utf-8")
    found = only(job.run(some))
    assert "is damaged" in str(found.error)
    assert (found.fatal, found.unsent) == (True, True)
    assert server.counts == {}


def test_folder_that_cannot_be_made_stops_the_job(server: BatchServer, job: Job) -> None:
    job.folder.write_text("a file", encoding="utf-8")
    found = only(job.run(asked(server, 1)))
    assert "cannot be locked" in str(found.error)
    assert server.counts == {}


def test_no_file_and_no_message_holds_the_key(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="hypermix")
    server.faults = {"create": [500, "reset", 401]}
    backend = job.open()
    found = only(job.ask(backend, asked(server, 2)))
    server.ends = [End(looks=1)]
    with pytest.raises(KeyboardInterrupt):
        job.ask(job.open(timing=Clock(interrupt=True).timing()), asked(server, 2))
    kept = b"".join(path.read_bytes() for path in job.folder.iterdir())
    assert kept
    assert KEY not in kept.decode() + caplog.text + str(found.error) + repr(backend)
    backend.close()


def test_batch_whose_questions_another_answered_is_let_go(server: BatchServer, job: Job) -> None:
    server.ends = [End("expired", answered=lambda keys: [line(keys[0])]), End(looks=1)]
    some = asked(server, 2)
    with pytest.raises(KeyboardInterrupt):
        job.ask(job.open(timing=Clock(interrupt=True).timing()), some)
    (first, second) = sorted(job.records(), key=batch_id)
    server.sent["batch_1"] = End()
    server.batches["batch_1"].update(status="in_progress")
    assert len(job.run(some)) == 1  # the first was stored
    assert job.records() == []
    assert (first["batch"], second["keys"]) == ("batch_1", [some[1].key])


def test_completed_batch_without_files_is_looked_at_again(server: BatchServer, job: Job) -> None:
    looks = iter(range(99))

    def hide(kind: str, when: str) -> None:
        # The handler looks at the batch after this; the files come with the third look.
        batch = server.batches.get("batch_1")
        if (kind, when) == ("look", "before") and batch and next(looks) < 2:
            server.sent["batch_1"] = End(looks=99)
            batch.update(status="completed", request_counts={"total": 1, "completed": 1, "failed": 0})
        elif kind == "look" and when == "before" and batch:
            server.sent["batch_1"] = End()
            batch.update(status="in_progress")

    server.event = hide
    found = job.run(asked(server, 1))
    assert [type(result) for result in found.values()] == [Answer]
    assert len(job.clock.slept) == 2


def test_list_of_batches_is_read_no_further_than_the_record(server: BatchServer, job: Job) -> None:
    server.page = 2
    for number in range(9):
        server.batches[f"old_{number}"] = {
            "id": f"old_{number}",
            "object": "batch",
            "created_at": 1000 * number,
            "status": "completed",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "input_file_id": "file-0",
        }
    server.faults["create"] = [500]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchServer, "keys", lambda self, batch: [q.key for q in asked(server, 1)])
        assert len(job.run(asked(server, 1), timing=job.clock.timing(settling=0))) == 1
    assert server.counts["list"] == 1


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_record_that_is_no_file(server: BatchServer, job: Job, kind: str) -> None:
    job.folder.mkdir()
    path = job.folder / f"{'0' * 16}.json"
    if kind == "folder":
        path.mkdir()
        assert "cannot be read" in str(only(job.run(asked(server, 1))).error)
    else:
        path.symlink_to("nowhere")  # as where another process removes it
        assert len(job.run(asked(server, 1))) == 1


# Money and limits.


def test_what_does_not_fit_the_cap_is_refused_and_the_rest_sent(server: BatchServer, job: Job) -> None:
    some = asked(server, 4)
    each = most_tokens(some[0].body).total
    purse = Purse(cap=2 * each + each // 2)
    found = job.run(some, ledger=purse, rate=RATE)
    results = [found[question.key] for question in some]
    assert [type(result) for result in results] == [Answer, Answer, Refusal, Refusal]
    last = refused(results[3])
    assert (str(last.error), last.unsent, last.fatal) == ("the cap is reached", True, True)
    assert purse.held == {}
    assert purse.paid == [((7 * 1.0 + 5 * 10.0) / 1e6, 12)] * 2
    assert sum(server.asked().values()) == 2


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "7", "completion_tokens": 5}, {"prompt_tokens": -1}])
def test_answer_that_tells_no_tokens_costs_the_most(server: BatchServer, job: Job, usage: Any) -> None:
    server.ends = [End(answered=lambda keys: [line(key, {"choices": [], "usage": usage}) for key in keys])]
    purse = Purse()
    some = asked(server, 1)
    job.run(some, ledger=purse, rate=RATE)
    most = most_tokens(some[0].body)
    assert purse.paid == [(RATE.usd(most), most.total)]


def test_stopped_backend_gives_what_has_come_and_lets_the_rest_go(server: BatchServer, job: Job) -> None:
    server.ends = [End("expired", answered=lambda keys: [line(key) for key in keys[:2]]), End()]
    some = asked(server, 5)
    purse = Purse()
    backend = job.open(ledger=purse)
    for question in some[:3]:
        backend.submit(question)
    assert backend.collect() is not None
    backend.stop()
    for question in some[3:]:
        backend.submit(question)
    results = {question.key: result for question, result in iter(backend.collect, None)}
    assert isinstance(results[some[1].key], Answer)
    gone = [refused(results[question.key]) for question in some[2:]]
    assert [(refusal.unsent, refusal.fatal) for refusal in gone] == [(True, False)] * 3
    assert len(server.batches) == 1
    assert purse.held == {}
    backend.close()


def test_closing_gives_back_what_was_set_aside_and_not_sent(server: BatchServer, job: Job) -> None:
    full = End("failed", errors=[{"code": "token_limit_exceeded"}])
    server.ends = [full, End(looks=9)]
    purse = Purse()
    clock = Clock()
    backend = job.open(ledger=purse, timing=clock.timing())
    for question in asked(server, 4):
        backend.submit(question)
    backend._take()
    for _ in range(4):
        backend._send()
        backend._stream = backend._wait()
        next(backend._stream, None)
    assert len(purse.held) == 4
    backend.close()
    assert len(purse.held) == 2  # the other half was not sent


def test_progress_is_told_once_a_minute(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="hypermix")
    server.ends = [End(looks=30)]
    job.run(asked(server, 3), timing=job.clock.timing(poll=10))
    told = [message for message in caplog.messages if " done" in message]
    assert 5 <= len(told) <= 6
    assert told[0] == "batch 'batch_1': 0 of 3 done"


# Processes that are killed.

STEPS = [
    ("upload", "before"),  # after the first record
    ("upload", "after"),
    ("create", "before"),
    ("create", "after"),
    ("look", "before"),  # after the id is written
    ("content", "before"),  # while polling
    ("content", "after"),
]


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.batch_server"])
    return context


def let_pass(kind: str, when: str) -> None:
    """Do nothing at any step."""


def kill_now(process: Any) -> None:
    while process.pid is None:  # it asks before its start has returned
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("step", STEPS)
def test_killed_job_is_gone_on_with(
    server: BatchServer, tmp_path: Path, processes: multiprocessing.context.ForkServerContext, step: tuple[str, str]
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
    server: BatchServer, tmp_path: Path, processes: multiprocessing.context.ForkServerContext, stored: int
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
    server: BatchServer, tmp_path: Path, processes: multiprocessing.context.ForkServerContext, seed: int
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


def test_jobs_at_once_share_their_batches(
    server: BatchServer, tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    server.ends = [End(looks=4)]
    jobs = [processes.Process(target=run_job, args=(server.base_url, tmp_path, 6)) for _ in range(3)]
    for process in jobs:
        process.start()
    for process in jobs:
        process.join(20)
        assert process.exitcode == 0
    finish(server, tmp_path)
