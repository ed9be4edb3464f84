"""Keys and headers: what is kept, and what is never shown."""

from __future__ import annotations

import gzip
import logging

import pytest

from hypermix.errors import LlmError
from hypermix.llm.store import RequestStore
from tests.integration.llm.asking import OTHER, REQUEST, ask, key_of, row, stored
from tests.integration.llm.conftest import KEY, as_endpoint
from tests.loopback import Loopback, Reply, completion, refusal

pytestmark = pytest.mark.usefixtures("threads")


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
