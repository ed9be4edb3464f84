"""What a client counts as perhaps paid, and where a cap stops it."""

from __future__ import annotations

import threading

import pytest

from hypermix.errors import BudgetError, LlmError
from hypermix.llm.store import RequestStore
from hypermix.llm.usage import Usage
from tests.integration.llm.asking import GONE, REQUEST, USED, ask, ask_all, key_of, stored, stored_files
from tests.integration.llm.conftest import make_client
from tests.loopback import Loopback, Reply, completion

pytestmark = pytest.mark.usefixtures("threads")


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
