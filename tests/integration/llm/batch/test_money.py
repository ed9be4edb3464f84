"""What a batch may cost, how it is stopped, and what is told of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hypermix.llm.backend import Refusal
from hypermix.llm.price import most_tokens
from hypermix.llm.store import Answer
from tests.batch_server import BatchServer, End, line
from tests.integration.llm.batch.conftest import RATE, Clock, Job, Purse, asked, refused


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
