"""The way of a batch that meets no fault."""

from __future__ import annotations

import json
from dataclasses import replace

from hypermix.llm.backend import Backend
from hypermix.llm.batch.records import split
from hypermix.llm.store import Answer
from tests.batch_server import BatchServer, End, line, questions, shuffled
from tests.integration.llm.batch.conftest import Job, asked, text


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
