"""The list of an endpoint's models, over real connections."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import date

import pytest

from hypermix.errors import LlmError
from hypermix.llm import catalog
from hypermix.llm.catalog import Catalog, read_catalog
from tests.integration.steps.listing import KEY, Listing, listing
from tests.loopback import Reply, refusal


@pytest.fixture
def server() -> Iterator[Listing]:
    with listing() as running:
        yield running


def read(server: Listing, key: str = KEY) -> Catalog:
    return read_catalog(server.base_url, key, 5.0)


def test_models_and_their_last_days_are_read(server: Listing) -> None:
    server.models = [
        {"id": "a", "object": "model"},
        {"id": "b", "shutdown_date": "2027-01-14"},
        {"id": "c", "shutdown_date": "2027-01-14T00:00:00Z"},
        {"id": "d", "shutdown_date": 1799884800},
    ]
    assert read(server).models == {"a": None, **dict.fromkeys("bcd", date(2027, 1, 14))}
    assert server.looks == [("/v1/models", f"Bearer {KEY}")]
    assert server.requests == []


def test_without_a_key_none_is_sent(server: Listing) -> None:
    read(server, "")
    assert server.looks == [("/v1/models", "")]


def test_refused_key_is_told_and_never_quoted(server: Listing) -> None:
    server.key = "sk-another"
    with pytest.raises(LlmError, match=r"refused the key \(status 401\); check the llm's key") as raised:
        read(server)
    assert KEY not in str(raised.value)


def test_key_goes_to_no_other_address(server: Listing) -> None:
    with listing() as other:
        server.page = Reply("", 302, headers={"location": f"{other.base_url}/models"})
        assert read(server) == Catalog()
        assert other.looks == []


@pytest.mark.parametrize("page", [refusal(404), refusal(500), Reply("<html>"), Reply("null"), Reply('{"data": {}}')])
def test_no_list_is_an_empty_one(server: Listing, page: Reply) -> None:
    server.page = page
    assert read(server) == Catalog()


def test_endless_list_is_left(server: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    server.models = [{"id": "tiny" * 1000}]
    assert read(server).models
    monkeypatch.setattr(catalog, "_MOST_BYTES", 3000)
    assert read(server) == Catalog()


def test_nobody_there_is_told() -> None:
    started = time.monotonic()
    with pytest.raises(LlmError, match=r"127\.0\.0\.1:9/v1 cannot be reached \(ConnectError\); see that its server"):
        read_catalog("http://127.0.0.1:9/v1", KEY, 5.0)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("tiny", "tiny"), ("pro", "models/pro"), ("llama", "llama:latest"), ("tin", None), ("models", None)],
)
def test_model_is_found_by_its_names(name: str, wanted: str | None) -> None:
    assert Catalog(dict.fromkeys(["tiny", "models/pro", "llama:latest"])).find(name) == wanted


def test_nearest_name(server: Listing) -> None:
    server.models = [{"id": "gpt-6-luna"}, {"id": "other"}, {"id": json.dumps({})}]
    assert read(server).nearest("gpt-6-lune") == "gpt-6-luna"
    assert read(server).nearest("qqq") is None
    assert Catalog().nearest("tiny") is None
