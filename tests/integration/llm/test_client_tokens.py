"""The tokens of a text, by the model's own tokenizer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hypermix.errors import LlmError
from hypermix.llm.client import Client, Llm
from hypermix.llm.embedded import embedded_llm
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.remote import open_remote
from hypermix.llm.store import RequestStore, request_key
from hypermix.llm.usage import Usage
from tests.gguf import CONTEXT
from tests.integration.llm.asking import FAULTS, refuse, stored, stored_files
from tests.integration.llm.conftest import KEY, as_endpoint, as_llm, make_client
from tests.loopback import Loopback, Reply

pytestmark = pytest.mark.usefixtures("threads")


def tokenize(
    server: Loopback | str, store: RequestStore, *texts: str, identity: str = "abc"
) -> list[list[bytes]] | None:
    with Client(as_llm(as_endpoint(server), identity, tokenizer="/tokenize"), store) as client:
        found = client.tokenize(texts)
        assert client.usage == Usage()
    return found


def tokens_of(*pieces: str | list[int]) -> Reply:
    return Reply(json.dumps({"tokens": [{"id": number, "piece": piece} for number, piece in enumerate(pieces)]}))


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
