"""The client over real connections; its sender runs in a thread but where a test needs the process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm.client import Client, Llm
from hypermix.llm.remote import open_remote
from hypermix.llm.store import RequestStore
from hypermix.llm.usage import Usage
from hypermix.records import COMPLETIONS, Request
from tests.integration.llm.asking import GONE, OTHER, REQUEST, USED, ask, ask_all, key_of, refuse, stored_files
from tests.integration.llm.conftest import KEY, as_endpoint, as_llm, make_client
from tests.loopback import Loopback, Reply, completion

pytestmark = pytest.mark.usefixtures("threads")


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
