"""The client over real connections; its sender runs in a thread but where a test needs the process."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import BudgetError, LlmError
from hypermix.llm.backend import Backend, Refusal
from hypermix.llm.client import Client, Llm
from hypermix.llm.embedded import embedded_llm
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.price import Tokens
from hypermix.llm.remote import open_remote
from hypermix.llm.store import Answer, Question, RequestStore, request_key
from hypermix.llm.usage import Usage
from hypermix.records import COMPLETIONS, Request
from tests.gguf import CONTEXT
from tests.loopback import Loopback, Reply, completion, refusal
from tests.unit.llm.conftest import KEY, as_endpoint, as_llm, make_client, wait_until

pytestmark = pytest.mark.usefixtures("threads")

REQUEST = Request(COMPLETIONS, {"prompt": "Movie review:", "max_tokens": 5, "seed": 3, "stop": ["\n"]}, "42-0-0")
OTHER = Request(COMPLETIONS, REQUEST.body, "42-1-0")
GONE = "http://127.0.0.1:9/v1"
USED = Tokens(7, 5)


def row(number: int, **more: Any) -> Request:
    return Request(COMPLETIONS, {"prompt": f"row {number}", "max_tokens": 5, **more}, str(number))


def stored_files(store: RequestStore) -> list[str]:
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file())


def key_of(request: Request, identity: str = "abc") -> str:
    body = {"model": "tiny", **request.body}
    return request_key({"model_sha256": identity}, "/v1/completions", body, request.sample)


def stored(store: RequestStore, key: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(store.path(key).read_bytes()))
    return content


def ask(server: Loopback | str, store: RequestStore, request: Request = REQUEST, **more: Any) -> tuple[str, Usage]:
    """Ask one question with a client of its own."""
    with make_client(server, store, **more) as client:
        return client.complete(request).text, client.usage


def ask_all(client: Client, count: int) -> dict[int, str]:
    """Ask many questions, as many at once as are of use."""
    found: dict[int, str] = {}
    waiting = list(range(count))
    while len(found) < count:
        while waiting and (client.room or len(waiting) == count - len(found)):
            number = waiting.pop(0)
            client.submit(number, row(number))
        tag, answer = client.take()
        assert isinstance(tag, int)
        found[tag] = answer.text
    return found


def test_answer_is_read_and_counted(server: Loopback, store: RequestStore) -> None:
    with make_client(server, store) as client:
        found = client.complete(REQUEST)
    assert found.text == " a fine film (Sentiment: Positive)"
    assert client.usage == Usage(paid=1, tokens=USED, tokens_paid=USED)
    assert stored_files(store) == [f"{found.key}.json.gz"]
    assert found.key == key_of(REQUEST)


def test_body_is_sent_with_model_and_key(server: Loopback, store: RequestStore) -> None:
    with Client(as_llm(as_endpoint(server), extra={"top_k": 3}), store) as client:
        client.complete(REQUEST)
    ((body, headers),) = server.requests
    assert body == {"model": "tiny", "top_k": 3, **REQUEST.body}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert server.paths == ["/v1/completions"]


def test_second_client_asks_nothing(server: Loopback, store: RequestStore) -> None:
    first, _ = ask(server, store)
    assert ask(server, store) == (first, Usage(replayed=1, tokens=USED))
    assert len(server.requests) == 1


def test_replay_needs_no_server(server: Loopback, store: RequestStore) -> None:
    first, _ = ask(server, store)
    assert ask(GONE, store, api_key="another key")[0] == first


def test_equal_bodies_are_asked_per_sample(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion("one")), Reply(completion("two"))]
    with make_client(server, store) as client:
        assert [client.complete(request).text for request in (REQUEST, OTHER, REQUEST)] == ["one", "two", "one"]
    assert client.usage.paid == 2


def test_other_model_is_asked_anew(server: Loopback, store: RequestStore) -> None:
    ask(server, store, identity="abc")
    assert ask(server, store, identity="def")[1].paid == 1
    assert len(server.requests) == 2


def test_key_of_an_answer_of_the_first_release_stays(server: Loopback, store: RequestStore) -> None:
    # What was computed or paid for is found again only while this stays.
    prompt = (
        "Each item in the following list contains a movie review and the respective sentiment. Sentiment is one of "
        "'negative' or 'positive'.\n\nMovie review: a fine film (Sentiment: Positive)\n"
        "Movie review: a dull story (Sentiment: Negative)\nMovie review:"
    )
    settings = {"max_tokens": 100, "temperature": 1.0, "top_p": 1.0, "frequency_penalty": 0.01, "logprobs": 20}
    request = Request(COMPLETIONS, {"prompt": prompt, "stop": ["\n"], "seed": 370775616, **settings}, "42-0-0")
    identity = {"model_sha256": "0" * 64, "context": "4096"}
    with Client(Llm("gemma-3-270m-q4_k_m", identity, lambda: open_remote(as_endpoint(server))), store) as client:
        found = client.complete(request)
    assert found.key == "86b6f8676fe01fc142bebc63c8b1cd8e36128805355f7e9f73cdf0e385bd140a"


@pytest.mark.parametrize(
    "damage", [lambda _: b"{", lambda content: content[:-9], lambda content: content[:30] + b"x" + content[31:]]
)
def test_damaged_answer_is_asked_again(
    server: Loopback, store: RequestStore, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    first, _ = ask(server, store)
    path = store.path(key_of(REQUEST))
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert ask(server, store)[0] == first
    assert "is damaged and counts as missing" in caplog.text
    assert len(server.requests) == 2
    assert stored_files(store) == [path.name]


def test_one_question_twice_at_once_is_paid_once(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion(), seconds=0.1)]
    with make_client(server, store) as client:
        for tag in range(3):
            client.submit(tag, REQUEST)
        assert {client.take()[0] for _ in range(3)} == {0, 1, 2}
    assert (client.usage.paid, client.usage.replayed, len(server.requests)) == (1, 2, 1)


def test_many_are_under_way_at_once(server: Loopback, store: RequestStore) -> None:
    server.decide = lambda path, body: Reply(completion(body["prompt"]), seconds=0.05)
    with make_client(server, store, concurrency=8) as client:
        found = ask_all(client, 40)
    assert found == {number: f"row {number}" for number in range(40)}
    assert server.most == 8
    assert (client.usage.paid, len(stored_files(store))) == (40, 40)


# What goes wrong.

FAULTS = [
    refusal(401, "Invalid API Key"),
    refusal(404, "no such model"),
    refusal(429, "slow down", code="insufficient_quota"),
    refusal(500, "out of memory"),
    Reply("<html>Bad gateway</html>", status=502, kind="text/html"),
    Reply("<html>Please log in</html>", kind="text/html"),
    Reply('{"error": {"message": "the model is loading"}}'),
    Reply('{"choices": []}'),
    Reply(completion(), cut=True),
    Reply(reset=True),
]
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


# Unknown spend.


def test_lost_tries_are_counted(server: Loopback, store: RequestStore) -> None:
    # Both went out and broke off; that the third was answered does not undo what they cost.
    server.replies = [Reply(reset=True), Reply(completion(), cut=True), Reply(completion("third"))]
    text, usage = ask(server, store, tries=3)
    assert (text, usage.paid, usage.unknown, len(server.requests)) == ("third", 1, 2, 3)
    assert stored(store, key_of(REQUEST))["unknown"] == 2
    assert ask(server, store)[1] == Usage(replayed=1, unknown=2, tokens=USED)


def test_all_lost_tries_of_an_earlier_run_are_counted(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(reset=True)]
    with pytest.raises(LlmError, match="gave no answer in 3 tries"):
        ask(server, store, tries=3)
    server.replies = [Reply(completion("whole"))]
    text, usage = ask(server, store)
    assert (text, usage.paid, usage.unknown) == ("whole", 1, 3)
    assert stored_files(store) == [f"{key_of(REQUEST)}.json.gz"]


def test_server_that_is_not_there_costs_nothing(store: RequestStore) -> None:
    with pytest.raises(LlmError, match="gave no answer in 2 tries: no connection"):
        ask(GONE, store, tries=2)
    assert stored_files(store) == []


def test_two_clients_share_a_store(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion(), seconds=0.1)]
    found: list[tuple[str, Usage]] = []
    threads = [threading.Thread(target=lambda: found.append(ask(server, store))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text for text, _ in found}) == 1
    assert sorted((usage.paid, usage.replayed) for _, usage in found) == [(0, 1)] * 3 + [(1, 0)]
    assert (len(server.requests), len(stored_files(store))) == (1, 1)


# The budget.


@pytest.mark.parametrize(
    ("caps", "rate", "most"),
    [
        ({"requests": 10}, None, 10),
        ({"tokens": 400}, None, 400 // 12),
        ({"usd": 0.0001}, {"input": 1.0, "output": 2.0}, 100 // 17),
    ],
)
def test_met_cap_stops_cleanly_and_a_higher_one_goes_on(
    server: Loopback, store: RequestStore, caps: dict[str, float], rate: dict[str, float] | None, most: int
) -> None:
    server.replies = [Reply(completion(), seconds=0.01)]
    account = str(store.folder.parent / "account.json")
    (name,) = caps
    with make_client(server, store, ledger=account, caps=caps, rate=rate) as client:  # noqa: SIM117
        with pytest.raises(
            BudgetError, match=rf"^budget\.{name}: of .*answers so far are stored: raise budget\.{name} "
        ):
            ask_all(client, 100)
    asked = len(server.requests)
    assert 1 <= asked <= most
    assert len(stored_files(store)) == asked
    with make_client(server, store, ledger=account, caps={name: 1_000_000}, rate=rate) as client:
        assert len(ask_all(client, 100)) == 100
    assert (client.usage.paid, client.usage.replayed) == (100 - asked, asked)
    assert set(server.asked().values()) == {1}


# The end.


def test_at_the_end_all_is_stored_and_nothing_more_is_sent(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion(), seconds=0.3)]
    started = time.monotonic()
    with make_client(server, store, concurrency=4) as client:
        for number in range(30):
            client.submit(number, row(number))
        wait_until(lambda: len(server.requests) >= 4)
    assert time.monotonic() - started < 3.0
    assert len(server.requests) == 4
    assert [name.endswith(".json.gz") for name in stored_files(store)] == [True] * 4
    with pytest.raises((LlmError, RuntimeError)):
        client.complete(OTHER)
    assert len(server.requests) == 4


def test_end_of_a_client_that_asked_nothing_is_quiet(store: RequestStore) -> None:
    with Client(Llm("tiny", {}, refuse), store) as client, pytest.raises(LlmError, match="was asked nothing that can"):
        client.take()


def test_endpoint_that_does_not_open_leaves_no_claim(store: RequestStore) -> None:
    def fail() -> AbstractContextManager[Backend]:
        raise LlmError("the key is not set")

    with Client(Llm("tiny", {}, fail), store) as client:
        for _ in range(2):
            with pytest.raises(LlmError, match="the key is not set"):
                client.complete(REQUEST)
    assert stored_files(store) == []


class Lame:
    """A backend that breaks when it is asked for an answer."""

    width, eager = 4, True

    def submit(self, question: Question) -> None:
        """Take it."""

    def collect(self) -> tuple[Question, Answer | Refusal] | None:
        """Break."""
        raise LlmError("it broke")

    def stored(self, question: Question) -> None:
        """Do nothing."""

    stop = close = lambda _: None


def test_backend_that_breaks_is_told_and_counted(store: RequestStore) -> None:
    @contextmanager
    def lame() -> Iterator[Backend]:
        yield Lame()

    with Client(Llm("tiny", {"model_sha256": "abc"}, lame), store) as client:
        for _ in range(2):  # the second question comes after the end of whoever collects
            with pytest.raises(LlmError, match="it broke"):
                client.complete(REQUEST)
    assert stored_files(store) == [f"{key_of(REQUEST)}.started"]


# The tokens of a text.


def tokenize(
    server: Loopback | str, store: RequestStore, *texts: str, identity: str = "abc"
) -> list[list[bytes]] | None:
    with Client(as_llm(as_endpoint(server), identity, tokenizer="/tokenize"), store) as client:
        found = client.tokenize(texts)
        assert client.usage == Usage()
    return found


def tokens_of(*pieces: str | list[int]) -> Reply:
    return Reply(json.dumps({"tokens": [{"id": number, "piece": piece} for number, piece in enumerate(pieces)]}))


def refuse() -> AbstractContextManager[Backend]:
    raise AssertionError("an endpoint was opened")


def test_tokens_are_asked_for_beside_the_api(embedded: Endpoint, store: RequestStore) -> None:
    llm = Llm("gemma", {"model_sha256": "of gemma"}, lambda: open_remote(embedded), tokenizer="/tokenize")
    texts = ["(Sentiment: Positive)", "(Sentiment: Sci/tech)", "(Type: 10)", "", "\U0001f9a4\U00013000"]
    with Client(llm, store) as client:
        found = client.tokenize(texts)
    assert found is not None
    assert found[0] == [b"(", b"Sentiment", b":", b" Positive", b")"]
    assert found[1][3:] == [b" Sci", b"/", b"tech", b")"]
    assert found[2][3:] == [b" ", b"1", b"0", b")"]
    assert [b"".join(pieces).decode() for pieces in found] == texts


def test_replayed_tokens_start_no_server(gemma: Path, embedded: Endpoint, store: RequestStore) -> None:
    llm = embedded_llm(gemma, CONTEXT, threads=1)
    with Client(replace(llm, open=lambda: open_remote(embedded)), store) as client:
        first = client.tokenize(["(Type: 10)"])
    with Client(replace(llm, open=refuse), store) as client:
        assert client.tokenize(["(Type: 10)"]) == first != [[]]
        assert client.tokenize([]) == []


def test_tokens_are_neither_paid_nor_counted(server: Loopback, store: RequestStore) -> None:
    server.replies = [tokens_of(" Pos"), tokens_of(" Neg")]
    for _ in range(2):
        assert tokenize(server, store, " Pos", " Neg") == [[b" Pos"], [b" Neg"]]
    assert [body for body, _ in server.requests] == [
        {"content": " Pos", "with_pieces": True},
        {"content": " Neg", "with_pieces": True},
    ]
    assert server.paths == ["/tokenize", "/tokenize"]
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}


def test_tokens_have_a_key_of_their_own(server: Loopback, store: RequestStore) -> None:
    server.replies = [tokens_of(" Pos")]
    tokenize(server, store, " Pos")
    body = {"content": " Pos", "with_pieces": True}
    record = stored(store, request_key({"model_sha256": "abc"}, "/tokenize", body, ""))
    identity = {"model_sha256": "abc"}
    assert record["request"] == {"identity": identity, "path": "/tokenize", "body": body, "sample": ""}
    assert record["response"] == server.replies[0].body
    assert KEY not in json.dumps(record)
    tokenize(server, store, " Pos", identity="def")
    assert len(server.requests) == 2


def test_without_tokenizer_nothing_is_asked(server: Loopback, store: RequestStore) -> None:
    with make_client(server, store) as client:
        assert client.tokenize([" Pos"]) is None
    assert (server.requests, stored_files(store)) == ([], [])


def test_half_characters_are_bytes(server: Loopback, store: RequestStore) -> None:
    server.replies = [tokens_of(" ", [231, 148], [181], "x")]
    assert tokenize(server, store, " 电x") == [[b" ", b"\xe7\x94", b"\xb5", b"x"]]


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        "null",
        "{}",
        '{"tokens": null}',
        '{"tokens": [1, 2]}',
        '{"tokens": [{"id": 1}]}',
        '{"tokens": [{"piece": null}]}',
        '{"tokens": [{"piece": 3}]}',
        '{"tokens": [{"piece": [256]}]}',
        '{"tokens": [{"piece": "\\ud83d"}]}',
    ],
)
def test_answer_without_tokens_is_told_and_not_stored(server: Loopback, store: RequestStore, body: str) -> None:
    server.replies = [Reply(body)]
    with pytest.raises(LlmError, match="which has no tokens with their pieces; nothing was stored"):
        tokenize(server, store, " Pos")
    assert stored_files(store) == []


@pytest.mark.parametrize("fault", FAULTS[:5], ids=lambda reply: str(reply.status))
def test_tokenizer_that_fails_is_told(server: Loopback, store: RequestStore, fault: Reply) -> None:
    server.replies = [fault]
    with pytest.raises(LlmError, match=f"tiny at {server.base_url}") as caught:
        tokenize(server, store, " Pos")
    assert KEY not in str(caught.value)
    assert stored_files(store) == []


# The key stays where it is.


def test_key_is_not_in_the_store(server: Loopback, store: RequestStore) -> None:
    told = f"Your key is {KEY}, is it not?"
    server.replies = [Reply(completion(told), headers={"x-request-id": KEY})]
    assert ask(server, store)[0] == "Your key is [key], is it not?"
    server.replies = [Reply(reset=True)]
    with pytest.raises(LlmError):
        ask(server, store, OTHER)
    for path in store.folder.rglob("*"):
        assert KEY not in path.name
        content = path.read_bytes() if path.is_file() else b""
        assert KEY.encode() not in (gzip.decompress(content) if path.suffix == ".gz" else content)


def test_short_key_is_a_word_like_others(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion("an EMPTY film"))]
    assert ask(server, store, api_key="EMPTY")[0] == "an EMPTY film"


def test_key_is_not_in_the_request_key(server: Loopback, store: RequestStore) -> None:
    ask(server, store)
    assert ask(server, store, api_key="sk-other")[1].replayed == 1


def test_key_is_not_shown(server: Loopback) -> None:
    endpoint = as_endpoint(server)
    assert KEY not in f"{endpoint} {endpoint!r}"
    assert server.base_url in repr(endpoint)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_key_that_a_server_repeats_is_hidden(server: Loopback, store: RequestStore, status: int) -> None:
    server.replies = [refusal(status, f"Incorrect key: {KEY}.", param=KEY)]
    with pytest.raises(LlmError, match=r"Incorrect key: \[key\]\.") as caught:
        ask(server, store)
    assert KEY not in str(caught.value)


def test_key_is_hidden_also_where_a_message_is_cut(server: Loopback, store: RequestStore) -> None:
    for length in range(150, 310, 20):
        server.replies = [Reply("x" * length + KEY, kind="text/html")]
        with pytest.raises(LlmError) as caught:
            ask(server, store, row(length))
        assert KEY[:6] not in str(caught.value)


def test_key_is_not_logged(server: Loopback, store: RequestStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(server, store)
    assert KEY not in caplog.text


# Headers.


def test_headers_are_kept_without_secrets(server: Loopback, store: RequestStore) -> None:
    kept = {
        "x-request-id": "req_1",
        "x-ratelimit-remaining-requests": "41",
        "x-ratelimit-reset-tokens": "6ms",
        "openai-version": "2020-10-01",
        "openai-processing-ms": "12",
    }
    left = {
        "set-cookie": "session=secret",
        "authorization": "Bearer x",
        "openai-organization": "lab",
        "x-api-key": "secret",
        "x-ratelimit-limit-requests": f"for {KEY}",
        "server-timing": "1",
    }
    server.replies = [Reply(completion(), headers={**kept, **left})]
    ask(server, store)
    found = stored(store, key_of(REQUEST))["headers"]
    assert {name: value for name, value in found.items() if name != "date"} == kept


# Offline.


def offline(store: RequestStore, **more: Any) -> Client:
    return Client(Llm("tiny", {"model_sha256": "abc"}, refuse, **more), store, offline=True)


def test_offline_replays(server: Loopback, store: RequestStore) -> None:
    first, _ = ask(server, store)
    with offline(store) as client:
        assert client.complete(REQUEST).text == first
    assert client.usage == Usage(replayed=1, tokens=USED)


def test_offline_names_the_missing_request(store: RequestStore) -> None:
    with offline(store) as client, pytest.raises(LlmError) as caught:
        client.complete(REQUEST)
    assert str(caught.value) == (
        f"offline: the answer to request {key_of(REQUEST)} (sample 42-0-0, 'Movie review:') is not stored in "
        f"{store.folder}; set offline: false, or import a store that has it"
    )
    assert not store.folder.exists()


def test_offline_names_the_missing_tokens(store: RequestStore) -> None:
    with (
        offline(store, tokenizer="/tokenize") as client,
        pytest.raises(LlmError, match=r"offline: the answer to request [0-9a-f]{64} \(' Pos'\) is not stored"),
    ):
        client.tokenize([" Pos"])


def test_offline_takes_no_claim_for_an_answer(store: RequestStore) -> None:
    # The answer may be on its way; an offline run does not wait for it.
    path = store.path(key_of(REQUEST)).with_name(f"{key_of(REQUEST)}.started")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with offline(store) as client, pytest.raises(LlmError, match="offline: the answer"):
        client.complete(REQUEST)
    assert path.exists()
