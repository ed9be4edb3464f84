from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.client import Client, Endpoint, Llm, Usage
from hypermix.llm.embedded import embedded_llm
from hypermix.llm.store import RequestStore, request_key
from hypermix.records import Request
from tests.gguf import CONTEXT
from tests.loopback import Loopback, Reply, completion

KEY = "sk-made-up-4815162342"
REQUEST = Request({"prompt": "Movie review:", "max_tokens": 5, "seed": 3, "stop": ["\n"]}, "42-0-0")
OTHER = Request(REQUEST.body, "42-1-0")


def as_llm(endpoint: Endpoint, identity: str = "abc") -> Llm:
    return Llm("tiny", {"model_sha256": identity}, lambda: nullcontext(endpoint))


def make_client(server: Loopback, store: RequestStore, identity: str = "abc") -> Client:
    return Client(as_llm(Endpoint(server.base_url, KEY), identity), store)


def stored_files(store: RequestStore) -> list[str]:
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file())


def key_of(request: Request, identity: str = "abc") -> str:
    body = {"model": "tiny", **request.body}
    return request_key({"model_sha256": identity}, "/v1/completions", body, request.sample)


def stored(store: RequestStore, key: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(store.path(key).read_bytes()))
    return content


def test_answer_is_read_and_counted(server: Loopback, store: RequestStore) -> None:
    client = make_client(server, store)
    found = client.complete(REQUEST)
    assert found.text == " a fine film (Sentiment: Positive)"
    assert client.usage == Usage(paid=1, replayed=0, prompt_tokens=7, completion_tokens=5)
    assert stored_files(store) == [f"{found.key}.json.gz"]


def test_body_is_sent_with_model_and_key(server: Loopback, store: RequestStore) -> None:
    make_client(server, store).complete(REQUEST)
    ((body, headers),) = server.requests
    assert body == {"model": "tiny", **REQUEST.body}
    assert headers["authorization"] == f"Bearer {KEY}"


def test_second_call_asks_nothing(server: Loopback, store: RequestStore) -> None:
    first = make_client(server, store).complete(REQUEST)
    client = make_client(server, store)
    assert client.complete(REQUEST) == first
    assert client.usage == Usage(paid=0, replayed=1, prompt_tokens=7, completion_tokens=5)
    assert len(server.requests) == 1


def test_replay_needs_no_server(server: Loopback, store: RequestStore) -> None:
    first = make_client(server, store).complete(REQUEST)
    gone = Client(as_llm(Endpoint("http://127.0.0.1:9/v1", "another key")), store)
    assert gone.complete(REQUEST) == first


def test_a_proxy_never_sees_what_is_asked_here(
    server: Loopback, store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert make_client(server, store).complete(REQUEST).text == " a fine film (Sentiment: Positive)"
    assert len(server.requests) == 1


def test_equal_bodies_are_asked_per_sample(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion("one")), Reply(completion("two"))]
    client = make_client(server, store)
    assert [client.complete(request).text for request in (REQUEST, OTHER, REQUEST)] == ["one", "two", "one"]
    assert client.usage.paid == 2


def test_other_model_is_asked_anew(server: Loopback, store: RequestStore) -> None:
    make_client(server, store, "abc").complete(REQUEST)
    client = make_client(server, store, "def")
    client.complete(REQUEST)
    assert client.usage.paid == 1
    assert len(server.requests) == 2


def test_damaged_answer_is_asked_again(server: Loopback, store: RequestStore, caplog: pytest.LogCaptureFixture) -> None:
    found = make_client(server, store).complete(REQUEST)
    store.path(found.key).write_bytes(b"{")
    with caplog.at_level(logging.WARNING):
        assert make_client(server, store).complete(REQUEST) == found
    assert "is damaged and counts as missing" in caplog.text
    assert len(server.requests) == 2


FAULTS = [
    Reply('{"error": {"message": "Invalid API Key", "code": 401}}', status=401),
    Reply('{"error": {"message": "no such model"}}', status=404),
    Reply('{"error": {"message": "slow down"}}', status=429),
    Reply('{"error": {"message": "out of memory"}}', status=500),
    Reply("<html>Bad gateway</html>", status=502, kind="text/html"),
    Reply("<html>Please log in</html>", kind="text/html"),
    Reply('{"error": {"message": "the model is loading"}}'),
    Reply('{"choices": []}'),
    Reply(reset=True),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda reply: f"{reply.status} {reply.body[:20]}{reply.reset}")
def test_fault_is_told_and_not_stored(server: Loopback, store: RequestStore, fault: Reply) -> None:
    client = make_client(server, store)
    before = client.complete(REQUEST)
    server.replies = [fault]
    with pytest.raises(LlmError) as caught:
        client.complete(OTHER)
    assert KEY not in str(caught.value)
    # What broke off after it was sent was perhaps paid: its claim stays, to be counted.
    lost = [f"{key_of(OTHER)}.started"] if fault.reset else []
    assert stored_files(store) == sorted([f"{before.key}.json.gz", *lost])
    assert client.usage.paid == 1
    assert client.complete(REQUEST) == before


def test_failure_says_where_and_what_is_safe(server: Loopback, store: RequestStore) -> None:
    client = make_client(server, store)
    client.complete(REQUEST)
    client.complete(REQUEST)
    server.replies = [FAULTS[0]]
    wanted = (
        rf"tiny at {server.base_url} gave no answer: .*Invalid API Key.*; the 2 answers so far are stored, "
        "running again asks for the rest"
    )
    with pytest.raises(LlmError, match=wanted):
        client.complete(OTHER)


def test_long_message_is_shown_in_part(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(json.dumps({"error": {"message": "x" * 100_000}}), status=403)]
    with pytest.raises(LlmError, match=r"403.*xxx.*running again") as caught:
        make_client(server, store).complete(REQUEST)
    assert len(str(caught.value)) < 1000


def test_wrong_key_is_asked_once(server: Loopback, store: RequestStore) -> None:
    server.replies = [FAULTS[0]]
    with pytest.raises(LlmError):
        make_client(server, store).complete(REQUEST)
    assert len(server.requests) == 1


def test_short_failures_are_tried_again(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply("{}", status=500), Reply("{}", status=429), Reply(completion("third"))]
    client = make_client(server, store)
    assert client.complete(REQUEST).text == "third"
    assert len(server.requests) == 3
    assert client.usage.paid == 1


def test_next_run_asks_for_the_rest(server: Loopback, store: RequestStore) -> None:
    client = make_client(server, store)
    client.complete(REQUEST)
    server.replies = [FAULTS[0]]
    with pytest.raises(LlmError):
        client.complete(OTHER)
    server.replies = [Reply(completion("late"))]
    again = make_client(server, store)
    assert [again.complete(request).text for request in (REQUEST, OTHER)][1] == "late"
    assert again.usage == Usage(paid=1, replayed=1, prompt_tokens=14, completion_tokens=10)


def test_answer_is_stored_as_it_came(server: Loopback, store: RequestStore) -> None:
    raw = completion("  \u00e9\ud83c\udfac" + " ", system_fingerprint="b1")
    server.replies = [Reply(raw)]
    found = make_client(server, store).complete(REQUEST)
    assert stored(store, found.key)["response"] == raw


def test_stored_file_has_the_request(server: Loopback, store: RequestStore) -> None:
    found = make_client(server, store).complete(REQUEST)
    assert stored(store, found.key)["request"] == {
        "identity": {"model_sha256": "abc"},
        "path": "/v1/completions",
        "body": {"model": "tiny", **REQUEST.body},
        "sample": "42-0-0",
    }


def test_connections_are_closed_at_the_end(server: Loopback, store: RequestStore) -> None:
    with make_client(server, store) as client:
        client.complete(REQUEST)
    with pytest.raises(RuntimeError, match="has been closed"):
        client.complete(OTHER)
    assert len(server.requests) == 1


# The tokens of a text.


def make_tokenizer(server: Loopback, store: RequestStore, identity: str = "abc") -> Client:
    return Client(replace(as_llm(Endpoint(server.base_url, KEY), identity), tokenizer="/tokenize"), store)


def tokens_of(*pieces: str | list[int]) -> Reply:
    return Reply(json.dumps({"tokens": [{"id": number, "piece": piece} for number, piece in enumerate(pieces)]}))


def test_tokens_are_asked_for_beside_the_api(embedded: Endpoint, store: RequestStore) -> None:
    llm = Llm("gemma", {"model_sha256": "of gemma"}, lambda: nullcontext(embedded), "/tokenize")
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

    def refuse() -> AbstractContextManager[Endpoint]:
        raise AssertionError("a server was started")

    with Client(replace(llm, connect=lambda: nullcontext(embedded)), store) as client:
        first = client.tokenize(["(Type: 10)"])
    with Client(replace(llm, connect=refuse), store) as client:
        assert client.tokenize(["(Type: 10)"]) == first != [[]]
        assert client.tokenize([]) == []


def test_tokens_are_neither_paid_nor_counted(server: Loopback, store: RequestStore) -> None:
    server.replies = [tokens_of(" Pos"), tokens_of(" Neg")]
    for _ in range(2):
        client = make_tokenizer(server, store)
        assert client.tokenize([" Pos", " Neg"]) == [[b" Pos"], [b" Neg"]]
        assert client.usage == Usage()
    assert [body for body, _ in server.requests] == [
        {"content": " Pos", "with_pieces": True},
        {"content": " Neg", "with_pieces": True},
    ]
    assert {headers["authorization"] for _, headers in server.requests} == {f"Bearer {KEY}"}


def test_tokens_have_a_key_of_their_own(server: Loopback, store: RequestStore) -> None:
    server.replies = [tokens_of(" Pos")]
    make_tokenizer(server, store).tokenize([" Pos"])
    body = {"content": " Pos", "with_pieces": True}
    record = stored(store, request_key({"model_sha256": "abc"}, "/tokenize", body, ""))
    identity = {"model_sha256": "abc"}
    assert record["request"] == {"identity": identity, "path": "/tokenize", "body": body, "sample": ""}
    assert record["response"] == server.replies[0].body
    assert KEY not in json.dumps(record)
    make_tokenizer(server, store, "def").tokenize([" Pos"])
    assert len(server.requests) == 2


def test_without_tokenizer_nothing_is_asked(server: Loopback, store: RequestStore) -> None:
    client = make_client(server, store)
    assert client.tokenize([" Pos"]) is None
    assert (server.requests, stored_files(store)) == ([], [])


def test_half_characters_are_bytes(server: Loopback, store: RequestStore) -> None:
    server.replies = [tokens_of(" ", [231, 148], [181], "x")]
    assert make_tokenizer(server, store).tokenize([" 电x"]) == [[b" ", b"\xe7\x94", b"\xb5", b"x"]]


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
        make_tokenizer(server, store).tokenize([" Pos"])
    assert stored_files(store) == []


@pytest.mark.parametrize("fault", FAULTS[:5], ids=lambda reply: str(reply.status))
def test_tokenizer_that_fails_is_told(server: Loopback, store: RequestStore, fault: Reply) -> None:
    server.replies = [fault]
    with pytest.raises(LlmError, match="gave no answer") as caught:
        make_tokenizer(server, store).tokenize([" Pos"])
    assert KEY not in str(caught.value)
    assert stored_files(store) == []


# The key stays where it is.


def test_key_is_not_in_the_store(server: Loopback, store: RequestStore) -> None:
    make_client(server, store).complete(REQUEST)
    for path in store.folder.rglob("*"):
        assert KEY not in path.name
        assert path.is_dir() or KEY.encode() not in gzip.decompress(path.read_bytes())


def test_key_is_not_in_the_request_key(server: Loopback, store: RequestStore) -> None:
    one = make_client(server, store).complete(REQUEST)
    other = Client(as_llm(Endpoint(server.base_url, "sk-other")), store).complete(REQUEST)
    assert one.key == other.key


def test_key_is_not_shown(server: Loopback) -> None:
    endpoint = Endpoint(server.base_url, KEY)
    assert KEY not in repr(endpoint)
    assert KEY not in str(endpoint)
    assert server.base_url in repr(endpoint)


@pytest.mark.parametrize("status", [200, 401])
def test_key_that_a_server_echoes_is_hidden(server: Loopback, store: RequestStore, status: int) -> None:
    server.replies = [Reply(json.dumps({"error": {"message": f"Incorrect key: {KEY}."}}), status=status)]
    with pytest.raises(LlmError, match=r"Incorrect key: \[key\]\.") as caught:
        make_client(server, store).complete(REQUEST)
    assert KEY not in str(caught.value)


def test_key_is_not_logged(server: Loopback, store: RequestStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        make_client(server, store).complete(REQUEST)
    assert KEY not in caplog.text


def test_two_clients_share_a_store(server: Loopback, store: RequestStore) -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(make_client(server, store).complete(REQUEST))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({answer.text for answer in found}) == 1
    assert len(stored_files(store)) == 1
    assert len(server.requests) == 1


def test_waiting_client_counts_a_replay(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion("slow"), seconds=0.4)]
    first, second = make_client(server, store), make_client(server, store)
    sender = threading.Thread(target=first.complete, args=[REQUEST])
    sender.start()
    while not server.requests:
        time.sleep(0.005)
    assert second.complete(REQUEST).text == "slow"
    sender.join()
    assert (first.usage.paid, first.usage.replayed, second.usage.paid, second.usage.replayed) == (1, 0, 0, 1)
    assert first.usage.unknown == second.usage.unknown == 0


# Unknown spend.


def test_lost_tries_of_the_sdk_are_counted(server: Loopback, store: RequestStore) -> None:
    # Both went out and broke off; that the third was answered does not undo what they cost.
    server.replies = [Reply(reset=True), Reply(reset=True), Reply(completion("third"))]
    client = make_client(server, store)
    assert client.complete(REQUEST).text == "third"
    assert (client.usage.paid, client.usage.unknown, len(server.requests)) == (1, 2, 3)
    assert stored(store, key_of(REQUEST))["unknown"] == 2


def test_cut_answer_is_unknown_spend(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(completion("half"), cut=True)]
    with pytest.raises(LlmError, match="gave no answer"):
        make_client(server, store).complete(REQUEST)
    server.replies = [Reply(completion("whole"))]
    client = make_client(server, store)
    assert client.complete(REQUEST).text == "whole"
    assert (client.usage.paid, client.usage.unknown) == (1, 1)
    assert stored_files(store) == [f"{key_of(REQUEST)}.json.gz"]


def test_each_run_over_the_answer_tells_its_unknown(server: Loopback, store: RequestStore) -> None:
    server.replies = [Reply(reset=True), Reply(completion("second"))]
    make_client(server, store).complete(REQUEST)
    client = make_client(server, store)
    client.complete(REQUEST)
    assert (client.usage.replayed, client.usage.unknown) == (1, 1)


def test_server_that_is_not_there_costs_nothing(store: RequestStore) -> None:
    gone = Client(as_llm(Endpoint("http://127.0.0.1:9/v1", KEY)), store)
    with pytest.raises(LlmError, match="gave no answer: Connection error"):
        gone.complete(REQUEST)
    assert stored_files(store) == []


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
    make_client(server, store).complete(REQUEST)
    found = stored(store, key_of(REQUEST))["headers"]
    assert {name: value for name, value in found.items() if name != "date"} == kept
    assert KEY not in json.dumps(stored(store, key_of(REQUEST)))


# Offline.


def refuse() -> AbstractContextManager[Endpoint]:
    raise AssertionError("an endpoint was opened")


def test_offline_replays(server: Loopback, store: RequestStore) -> None:
    first = make_client(server, store).complete(REQUEST)
    client = Client(Llm("tiny", {"model_sha256": "abc"}, refuse), store, offline=True)
    assert client.complete(REQUEST) == first
    assert (client.usage.paid, client.usage.replayed) == (0, 1)


def test_offline_names_the_missing_request(store: RequestStore) -> None:
    client = Client(Llm("tiny", {"model_sha256": "abc"}, refuse), store, offline=True)
    with pytest.raises(LlmError) as caught:
        client.complete(REQUEST)
    assert str(caught.value) == (
        f"offline: the answer to request {key_of(REQUEST)} (sample 42-0-0, 'Movie review:') is not stored in "
        f"{store.folder}; set offline: false, or import a store that has it"
    )
    assert not store.folder.exists()


def test_offline_names_the_missing_tokens(store: RequestStore) -> None:
    llm = Llm("tiny", {"model_sha256": "abc"}, refuse, "/tokenize")
    with pytest.raises(LlmError, match=r"offline: the answer to request [0-9a-f]{64} \(' Pos'\) is not stored"):
        Client(llm, store, offline=True).tokenize([" Pos"])


def test_offline_takes_no_claim_for_an_answer(store: RequestStore) -> None:
    # The answer may be on its way; an offline run does not wait for it.
    path = store.path(key_of(REQUEST)).with_name(f"{key_of(REQUEST)}.started")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(LlmError, match="offline: the answer"):
        Client(Llm("tiny", {"model_sha256": "abc"}, refuse), store, offline=True).complete(REQUEST)
    assert path.exists()
