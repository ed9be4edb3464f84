"""One request over real sockets: every fault of a server, and what it is taken for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest

from hypermix.llm.store import Answer
from hypermix.llm.wire import FailedError, OverloadedError, RefusedError, Wire, WireError
from hypermix.records import CHAT, COMPLETIONS, DECISIONS
from tests.integration.llm.conftest import KEY, as_endpoint
from tests.loopback import Loopback, Reply, completion, refusal

BODY = {"model": "tiny", "prompt": "It was", "max_tokens": 5}
MESSAGES = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}


def send(server: Loopback | str, body: Mapping[str, Any] = BODY, path: str = COMPLETIONS, **settings: Any) -> Answer:
    async def go() -> Answer:
        wire = Wire(as_endpoint(server, **settings))
        try:
            return await wire.send(path, body)
        finally:
            await wire.close()

    return asyncio.run(go())


def fail(server: Loopback | str, reply: Reply | None = None, **settings: Any) -> WireError:
    """Return how one request failed; it is sent once at most."""
    if reply is not None and isinstance(server, Loopback):
        server.replies = [reply]
    with pytest.raises(WireError) as caught:
        send(server, **settings)
    if isinstance(server, Loopback):
        assert len(server.requests) <= 1
    assert KEY not in str(caught.value)
    return caught.value


# Answers.


def test_answer_comes_back_as_it_was_sent(server: Loopback) -> None:
    raw = completion(" schön \U0001f3ac", id="x") + "\n"
    server.replies = [Reply(raw, headers={"X-Request-Id": "r1"})]
    answer = send(server)
    assert answer.response == raw
    assert answer.headers["x-request-id"] == "r1"
    assert answer.unknown == 0
    ((body, headers),) = server.requests
    assert (body, headers["authorization"]) == (BODY, f"Bearer {KEY}")


@pytest.mark.parametrize(
    ("path", "body", "answer", "wanted"),
    [
        (COMPLETIONS, BODY, completion(), "/v1/completions"),
        (
            CHAT,
            MESSAGES,
            json.dumps({"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}),
            "/v1/chat/completions",
        ),
        (
            DECISIONS,
            {"input": "x"},
            json.dumps(
                {"answers": [{"type": "choice", "choice": "a", "probabilities": [{"value": "a", "probability": 1.0}]}]}
            ),
            "/v1/decisions",
        ),
        ("/tokenize", {"content": "x"}, "anything", "/tokenize"),
    ],
)
def test_each_api_has_its_address(
    server: Loopback, path: str, body: Mapping[str, Any], answer: str, wanted: str
) -> None:
    server.replies = [Reply(answer)]
    assert send(server, body, path).response == answer
    assert server.paths == [wanted]


def test_other_base_url_keeps_its_path(server: Loopback) -> None:
    send(server.base_url.removesuffix("/v1") + "/v3/openai")
    assert server.paths == ["/v3/openai/completions"]


@pytest.mark.parametrize(
    "kind", ["text/plain; charset=hex", "application/json; charset=utf-16", "x; charset=\x80", "x"]
)
def test_answer_is_utf8_whatever_its_header_says(server: Loopback, kind: str) -> None:
    server.replies = [Reply(completion("schön"), kind=kind)]
    assert send(server).response == server.replies[0].body


def test_refusal_with_a_strange_charset_is_read(server: Loopback) -> None:
    error = fail(server, Reply('{"error": {"message": "not you"}}', 403, kind="text/html; charset=hex"))
    assert isinstance(error, RefusedError)
    assert "not you" in error.message


def test_no_key_is_sent_as_a_word(server: Loopback) -> None:
    send(server, api_key="")
    assert server.requests[0][1]["authorization"] == "Bearer none"


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_never_sees_what_is_asked_here(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    send(server)
    send(server.base_url.replace("127.0.0.1", "localhost"))
    assert len(server.requests) == 2


def test_missing_logprobs_are_no_fault_of_an_answer(server: Loopback) -> None:
    body = {**BODY, "logprobs": 5}
    assert json.loads(send(server, body).response)["choices"][0]["logprobs"] is None


# Refusals: nobody asks again.

REFUSALS = [
    (refusal(400, "strange"), "a request was refused: .*strange.*; if it is too long, lower", None),
    (refusal(400, "strange", param="seed"), "the setting 'seed' was refused: .*strange", "seed"),
    (refusal(422, "strange", param="n"), "the setting 'n' was refused: .*strange", "n"),
    (refusal(400, "long", code="context_length_exceeded"), "too long: .*lower the augmenter's examples or max_t", None),
    (refusal(413, "strange"), "too long: .*strange; lower the augmenter's examples or max_tokens", None),
    (refusal(401, "strange"), "the key was refused: .*strange; check the llm's key in the config", None),
    (refusal(403, "strange"), "the key may not do this: .*strange; see which models", None),
    (refusal(404, "strange"), "no such model or address: .*strange; check the llm's model and base_url", None),
    (refusal(402, "strange"), "no credit left: .*strange; add credit there, and run again", None),
    (refusal(429, "strange", code="insufficient_quota"), "no credit left: .*strange; add credit", None),
    (refusal(429, "strange", type="insufficient_quota"), "no credit left: .*strange; add credit", None),
]


def test_endpoint_without_decisions_is_told_as_such(server: Loopback) -> None:
    server.replies = [refusal(404, "not found")]
    with pytest.raises(RefusedError, match=r"makes no decisions: .*; set the augmenter's label_source to another one"):
        send(server, {"model": "m", "input": "x", "questions": []}, DECISIONS)


@pytest.mark.parametrize(("reply", "wanted", "param"), REFUSALS, ids=lambda part: getattr(part, "body", None))
def test_refusal_says_what_to_do(server: Loopback, reply: Reply, wanted: str, param: str | None) -> None:
    server.replies = [reply]
    with pytest.raises(RefusedError, match=wanted) as caught:
        send(server)
    error = caught.value
    assert (error.fatal, error.filtered, error.unknown, error.param) == (True, False, False, param)
    assert (error.said is not None) == (reply.status in {400, 422})
    assert "\n" not in error.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_content_policy_is_about_one_text(server: Loopback, code: str) -> None:
    error = fail(server, refusal(400, "not this text", code=code))
    assert isinstance(error, RefusedError)
    assert (error.fatal, error.filtered, error.unknown) == (False, True, False)


@pytest.mark.parametrize("told", [{"param": ["x"]}, {"param": {"a": 1}}, {"code": 7}, {"code": {}}, {"type": [1]}])
def test_strange_fields_of_an_error_are_read_past(server: Loopback, told: dict[str, Any]) -> None:
    error = fail(server, refusal(400, "strange", **told))
    assert isinstance(error, RefusedError)
    assert error.param is None
    assert "strange" in error.message


def test_words_of_other_forms_of_errors_are_shown(server: Loopback) -> None:
    error = fail(server, Reply('{"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}', 422))
    assert isinstance(error, RefusedError)
    assert error.said is not None
    assert "seed" in error.said


def test_long_message_is_shown_in_part(server: Loopback) -> None:
    assert 300 < len(fail(server, refusal(403, "x" * 100_000)).message) < 600


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_key_that_a_server_repeats_is_hidden(server: Loopback, status: int) -> None:
    error = fail(server, refusal(status, f"bad key {KEY}", param=KEY))
    assert "bad key [key]" in error.message


def test_x_should_retry_is_believed(server: Loopback) -> None:
    for status in (429, 500):
        server.requests.clear()
        reply = Reply("{}", status, headers={"x-should-retry": "false"})
        assert isinstance(fail(server, reply), RefusedError)


# Overload.


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
    ],
)
def test_overload_tells_its_wait(server: Loopback, headers: dict[str, str], wait: float | None) -> None:
    error = fail(server, Reply(refusal(429, "slow down").body, 429, headers=headers))
    assert isinstance(error, OverloadedError)
    assert (error.wait, error.unknown) == (wait, False)
    assert "slow down" in error.message


def test_overload_tells_its_wait_as_a_date(server: Loopback) -> None:
    headers = {"retry-after": formatdate(time.time() + 100, usegmt=True)}
    error = fail(server, Reply("{}", 429, headers=headers))
    assert isinstance(error, OverloadedError)
    assert error.wait is not None
    assert 90 < error.wait <= 101


# What may go well another time.


@pytest.mark.parametrize(
    ("status", "unknown"), [*((status, False) for status in (408, 409, 425, 500, 503)), (502, True), (504, True)]
)
def test_error_of_the_server_is_asked_again(server: Loopback, status: int, unknown: bool) -> None:
    error = fail(server, Reply("<html>Bad gateway</html>", status, kind="text/html"))
    assert isinstance(error, FailedError)
    assert error.unknown == unknown  # a gateway has passed the request on
    assert "Bad gateway" in error.message


NO_ANSWERS = {
    "html": "<html>Please log in</html>",
    "empty": "",
    "cut JSON": completion()[:-5],
    "deep JSON": "[" * 100_000,
    "no object": "[1]",
    "an error": '{"error": {"message": "loading"}}',
    "no choices": '{"choices": []}',
    "choices are null": '{"choices": null}',
    "two choices": json.dumps({"choices": [{"text": "a", "index": 0}, {"text": "b", "index": 1}]}),
    "choices are numbers": '{"choices": [1]}',
    "no text": '{"choices": [{"index": 0, "finish_reason": "stop"}]}',
    "nothing at all": '{"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}',
}


@pytest.mark.parametrize("body", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer_is_perhaps_billed(server: Loopback, body: str) -> None:
    error = fail(server, Reply(body))
    assert isinstance(error, FailedError)
    assert error.unknown
    assert "nothing was stored" in error.message


@pytest.mark.parametrize("count", [1, 2, 4])
def test_wrong_number_of_choices_is_no_answer(server: Loopback, count: int) -> None:
    choices = [{"text": "a", "index": index, "finish_reason": "stop"} for index in range(count)]
    server.replies = [Reply(json.dumps({"choices": choices}))]
    with pytest.raises(WireError) as caught:
        send(server, {**BODY, "n": 3})
    assert caught.value.unknown
    # One alone means that n is not taken, which no other try changes.
    refused = caught.value if isinstance(caught.value, RefusedError) else None
    assert (refused.param if refused else None) == ("n" if count == 1 else None)


def test_reset_after_the_request_was_read_is_perhaps_billed(server: Loopback) -> None:
    error = fail(server, Reply(reset=True))
    assert isinstance(error, FailedError)
    assert error.unknown
    assert error.message.startswith("the connection broke off (")


def test_reset_before_the_request_was_read_is_perhaps_billed(server: Loopback) -> None:
    # Nobody here can tell that it was not read.
    server.unread = 1
    error = fail(server)
    assert isinstance(error, FailedError)
    assert server.requests == []
    assert error.unknown


def test_nobody_there_costs_nothing() -> None:
    error = fail("http://127.0.0.1:9/v1")
    assert isinstance(error, FailedError)
    assert not error.unknown
    assert error.message.startswith("no connection (")


def test_body_that_is_cut_short_is_perhaps_billed(server: Loopback) -> None:
    error = fail(server, Reply(completion(), cut=True))
    assert isinstance(error, FailedError)
    assert error.unknown


@pytest.mark.parametrize("reply", [Reply(completion(), seconds=1.5), Reply(completion(), trickle=0.1)])
def test_deadline_is_that_of_the_whole_answer(server: Loopback, reply: Reply) -> None:
    # A byte every 0.1 seconds: no pause is long, and the answer would take 15 seconds.
    started = time.monotonic()
    error = fail(server, reply, deadline=0.4)
    assert 0.3 < time.monotonic() - started < 1.4
    assert isinstance(error, FailedError)
    assert error.unknown
    assert error.message == "no answer in 0.4 s"


def test_large_answer_comes_whole(server: Loopback) -> None:
    raw = completion("x" * 20_000_000)
    server.replies = [Reply(raw)]
    assert send(server, deadline=30.0).response == raw
