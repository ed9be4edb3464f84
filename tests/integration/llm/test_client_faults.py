"""What a client tells of faults, and what it stores of odd answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.store import Answer, Question, RequestStore
from hypermix.llm.usage import Usage
from hypermix.records import COMPLETIONS
from tests.integration.llm.asking import (
    FAULTS,
    GONE,
    OTHER,
    REQUEST,
    USED,
    ask,
    ask_all,
    key_of,
    row,
    stored,
    stored_files,
)
from tests.integration.llm.conftest import KEY, make_client
from tests.loopback import Loopback, Reply, completion, refusal

pytestmark = pytest.mark.usefixtures("threads")


PERHAPS_PAID = FAULTS[4:]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda reply: f"{reply.status} {reply.body[:20]}{reply.reset}")
def test_fault_is_told_and_not_stored(server: Loopback, store: RequestStore, fault: Reply) -> None:
    with make_client(server, store) as client:
        before = client.complete(REQUEST)
        server.replies = [fault]
        with pytest.raises(LlmError) as caught:
            client.complete(OTHER)
        assert client.complete(REQUEST) == before
    assert KEY not in str(caught.value)
    assert str(caught.value).startswith(f"tiny at {server.base_url}")
    # What was perhaps paid leaves its claim, to be counted.
    lost = [f"{key_of(OTHER)}.started"] if fault in PERHAPS_PAID else []
    assert stored_files(store) == sorted([f"{before.key}.json.gz", *lost])
    assert (client.usage.paid, len(server.requests)) == (1, 2)


def test_next_run_asks_for_the_rest(server: Loopback, store: RequestStore) -> None:
    with make_client(server, store) as client:
        client.complete(REQUEST)
        server.replies = [FAULTS[0]]
        with pytest.raises(LlmError):
            client.complete(OTHER)
    server.replies = [Reply(completion("late"))]
    with make_client(server, store) as again:
        assert [again.complete(request).text for request in (REQUEST, OTHER)][1] == "late"
    assert again.usage == Usage(paid=1, replayed=1, tokens=USED + USED, tokens_paid=USED)


@pytest.mark.parametrize(
    ("fault", "code"), [(401, None), (402, None), (403, None), (404, None), (413, None), (429, "insufficient_quota")]
)
def test_fatal_error_stops_within_the_requests_under_way(
    server: Loopback, store: RequestStore, fault: int, code: str | None
) -> None:
    server.replies = [replace(refusal(fault, "nothing goes", code=code), seconds=0.02)]
    with make_client(server, store, concurrency=4, tries=6) as client, pytest.raises(LlmError, match="nothing goes"):
        ask_all(client, 50)
    assert len(server.requests) <= 4
    assert stored_files(store) == []


def test_refused_setting_stops_within_the_requests_under_way(server: Loopback, store: RequestStore) -> None:
    server.replies = [replace(refusal(400, "unknown", param="seed"), seconds=0.02)]
    with make_client(server, store, concurrency=4) as client, pytest.raises(LlmError, match="the setting 'seed' was"):
        ask_all(client, 50)
    assert len(server.requests) <= 4


def test_text_that_a_policy_refuses_costs_its_row_alone(server: Loopback, store: RequestStore) -> None:
    def decide(path: str, body: dict[str, Any]) -> Reply:
        bad = body["prompt"] == "row 3"
        return refusal(400, "not this", code="content_filter") if bad else Reply(completion("fine"))

    server.decide = decide
    found = {}
    with make_client(server, store) as client:
        for number in range(6):
            client.submit(number, row(number))
        for _ in range(6):
            tag, answer = client.take()
            found[tag] = (answer.text, answer.finish_reason)
    assert found.pop(3) == ("", "content_filter")
    assert set(found.values()) == {("fine", "stop")}
    assert (client.usage.paid, len(server.requests), len(stored_files(store))) == (5, 6, 5)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_answer_that_was_cut_is_stored_and_not_asked_again(server: Loopback, store: RequestStore, reason: str) -> None:
    choice = {"text": "", "index": 0, "finish_reason": reason, "logprobs": None}
    server.replies = [Reply(json.dumps({"choices": [choice]}))]
    for _ in range(2):
        with make_client(server, store) as client:
            answer = client.complete(REQUEST)
        assert (answer.text, answer.finish_reason, answer.tokens) == ("", reason, ())
    assert len(server.requests) == 1


@pytest.mark.parametrize("logprobs", [None, {}, {"content": []}, {"tokens": ["a"], "token_logprobs": []}, "none", 3])
def test_answer_with_poor_logprobs_is_stored_and_read(server: Loopback, store: RequestStore, logprobs: object) -> None:
    choice = {"text": "a", "index": 0, "finish_reason": "stop", "logprobs": logprobs}
    server.replies = [Reply(json.dumps({"choices": [choice]}))]
    for _ in range(2):
        assert ask(server, store)[0] == "a"
    assert len(server.requests) == 1


def test_logprobs_are_stored_and_read(server: Loopback, store: RequestStore) -> None:
    entry = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.5}]}
    choice = {"text": "a", "index": 0, "finish_reason": "stop", "logprobs": {"content": [entry]}}
    server.replies = [Reply(json.dumps({"choices": [choice]}))]
    for _ in range(2):
        with make_client(server, store) as client:
            (token,) = client.complete(REQUEST).tokens
        assert (token.text, token.logprob, token.top) == (b"a", -0.5, ((b"b", -1.5),))


def test_shuffled_choices_are_put_in_order(server: Loopback, store: RequestStore) -> None:
    choices = [{"text": str(number), "index": number, "finish_reason": "stop"} for number in (2, 0, 1)]
    server.replies = [Reply(json.dumps({"choices": choices}))]
    with make_client(server, store) as client:
        answer = client.complete(row(0, n=3))
    assert [choice.text for choice in answer.choices] == ["0", "1", "2"]


def test_large_answer_is_stored_whole(server: Loopback, store: RequestStore) -> None:
    text = "fine film " * 2_000_000
    server.replies = [Reply(completion(text))]
    assert ask(server, store, deadline=30.0)[0] == text
    assert ask(GONE, store)[0] == text


def test_answer_is_stored_as_it_came(server: Loopback, store: RequestStore) -> None:
    raw = completion("  \u00e9\ud83c\udfac" + " ", system_fingerprint="b1")
    server.replies = [Reply(raw)]
    ask(server, store)
    assert stored(store, key_of(REQUEST))["response"] == raw


def test_stored_file_has_the_request(server: Loopback, store: RequestStore) -> None:
    ask(server, store)
    assert stored(store, key_of(REQUEST))["request"] == {
        "identity": {"model_sha256": "abc"},
        "path": "/v1/completions",
        "body": {"model": "tiny", **REQUEST.body},
        "sample": "42-0-0",
    }


def test_what_was_stored_and_is_no_answer_is_told(server: Loopback, store: RequestStore) -> None:
    for response in ("<html>", "{}", "[]", '{"choices": 3}', '{"choices": [4]}'):
        question = Question({"model_sha256": "abc"}, COMPLETIONS, {"model": "tiny", **row(1).body}, "1")
        store.path(question.key).unlink(missing_ok=True)
        claim = store.begin(question)
        store.finish(claim, question, Answer(response))  # type: ignore[arg-type]
        with make_client(GONE, store) as client, pytest.raises(LlmError, match=f"{question.key} is no answer"):
            client.complete(row(1))
