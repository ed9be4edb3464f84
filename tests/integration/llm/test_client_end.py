"""The end of a client, also of one whose backend breaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest

from hypermix.errors import LlmError
from hypermix.llm.backend import Backend, Refusal
from hypermix.llm.client import Client, Llm
from hypermix.llm.store import Answer, Question, RequestStore
from tests.integration.llm.asking import OTHER, REQUEST, key_of, refuse, row, stored_files
from tests.integration.llm.conftest import as_endpoint, as_llm, make_client, wait_until
from tests.loopback import Loopback, Reply, completion

pytestmark = pytest.mark.usefixtures("threads")


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


@pytest.mark.parametrize(("remembers", "unknown"), [(False, 1), (True, 0)])
def test_request_that_another_way_lost_is_counted_where_a_batch_asks_it_again(
    server: Loopback, store: RequestStore, remembers: bool, unknown: int
) -> None:
    @contextmanager
    def lame() -> Iterator[Backend]:
        yield Lame()

    llm = replace(as_llm(as_endpoint(server)), remembers=True)
    broken = replace(llm, open=lame, remembers=remembers)
    with Client(broken, store) as client, pytest.raises(LlmError, match="it broke"):
        client.complete(REQUEST)
    with Client(llm, store) as client:
        client.complete(REQUEST)
    assert (client.usage.paid, client.usage.unknown) == (1, unknown)


def test_backend_that_breaks_is_told_and_counted(store: RequestStore) -> None:
    @contextmanager
    def lame() -> Iterator[Backend]:
        yield Lame()

    with Client(Llm("tiny", {"model_sha256": "abc"}, lame), store) as client:
        for _ in range(2):  # the second question comes after the end of whoever collects
            with pytest.raises(LlmError, match="it broke"):
                client.complete(REQUEST)
    assert stored_files(store) == [f"{key_of(REQUEST)}.started"]
