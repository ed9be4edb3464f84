"""The process that requests are sent from."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import BudgetError, LlmError
from hypermix.llm.backend import Refusal
from hypermix.llm.remote import RemoteBackend, open_remote
from hypermix.llm.store import Answer, Question, RequestStore
from hypermix.records import COMPLETIONS
from tests.integration.llm.asking import ask_all, row, stored_files
from tests.integration.llm.conftest import KEY, as_endpoint, make_client, wait_until
from tests.loopback import Loopback, Reply, completion, refusal


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
