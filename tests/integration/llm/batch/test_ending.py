"""How a batch ends, and what becomes of the questions that it did not answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hypermix.llm.batch.records import read_line
from hypermix.llm.price import most_tokens
from hypermix.llm.store import Answer
from tests.batch_server import KEY, BatchServer, End, line, nothing, refusal
from tests.integration.llm.batch.conftest import RATE, Job, Purse, asked, only, refused, text


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
