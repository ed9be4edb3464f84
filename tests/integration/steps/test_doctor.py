"""What `hypermix doctor` finds of hosted models, at real endpoints, and of the budget."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hypermix.config.load import load_config, merge
from hypermix.config.model import Config
from hypermix.errors import ConfigError
from hypermix.llm import archive, remote
from hypermix.llm.ledger import Caps, Cost, Ledger
from hypermix.llm.store import RequestStore
from hypermix.report.checkup import Finding
from hypermix.steps.doctor.models import Asked, asked_llms, check_budget, check_llm
from hypermix.steps.doctor.reach import within
from hypermix.steps.model import ledger_path
from tests.integration.llm.conftest import Thread
from tests.integration.steps.listing import KEY, PRICE, Listing, listing, takes_all
from tests.loopback import Reply, refusal

TODAY = date(2026, 11, 22)
Make = Callable[..., Config]


@pytest.fixture
def server() -> Iterator[Listing]:
    with listing() as running:
        yield running


@pytest.fixture
def make(tmp_path: Path, server: Listing, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a config with one hosted llm; its sender runs in a thread, which starts sooner."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(remote, "_start", Thread)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("rows.csv").write_text("text,label\n", encoding="utf-8")
    raw = {
        "datasets": {"toy": {"source": "file", "train": "rows.csv", "label_words": {"0": "bad", "1": "good"}}},
        "llms": {"near": {"api": "chat", "base_url": server.base_url, "model": "tiny", "price": PRICE}},
        "augmenters": {"none": {"method": "none"}, "mix": {"method": "gpt3mix", "llm": "near"}},
        "classifiers": {"minilm": {"method": "finetune"}},
    }
    return lambda **overlay: load_config(merge(raw, overlay))


def examine(config: Config, **how: Any) -> list[Finding]:
    (asked,) = asked_llms(config)
    return check_llm(config, asked, **{"again": False, "today": TODAY, **how})


def levels(found: list[Finding]) -> set[str]:
    return {finding.level for finding in found}


def todo(found: list[Finding]) -> Finding:
    (one,) = [finding for finding in found if finding.level == "to do"]
    assert one.todo
    return one


def warned(found: list[Finding]) -> Finding:
    (one,) = [finding for finding in found if finding.level == "warning"]
    assert one.todo
    return one


def told(found: list[Finding]) -> str:
    return "\n".join(f"{finding.about}: {finding.told}" for finding in found)


def near(**settings: Any) -> dict[str, Any]:
    return {"llms": {"near": settings}}


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# A hosted model.


@pytest.mark.parametrize("api", ["chat", "completions", "batch"])
def test_good_endpoint_gets_two_requests(make: Make, server: Listing, api: str) -> None:
    found = examine(make(**near(api=api)))
    assert levels(found) == {"ok"}
    assert len(server.requests) == 2
    assert "asked now: 2 requests, 18 prompt and 4 answer tokens, 0.000026 US dollars" in told(found)
    assert "20 likely tokens a position" in told(found)
    assert "price: 1 and 2 US dollars a million tokens" in told(found)
    assert "augmenter mix: label_source: logprobs is possible with near" in told(found)


def test_second_look_asks_nothing(make: Make, server: Listing) -> None:
    examine(make())
    found = examine(make())
    assert len(server.requests) == 2
    assert "remembered, nothing was asked" in told(found)
    assert levels(found) == {"ok"}


def test_batch_and_chat_remember_together(make: Make, server: Listing) -> None:
    examine(make(**near(api="batch")))
    assert "remembered" in told(examine(make()))


def test_again_asks_and_remembers_anew(make: Make, server: Listing) -> None:
    examine(make())

    def refuse_seed(path: str, body: dict[str, Any]) -> Reply:
        return refusal(400, "Unsupported.", param="seed") if "seed" in body else takes_all(path, body)

    server.decide = refuse_seed
    assert "no seed" not in told(examine(make()))
    found = examine(make(), again=True)
    assert "no seed" in told(found)
    assert "asked now: 2 requests" in told(found)
    assert "no seed" in told(examine(make()))
    assert len(server.requests) == 5


def test_again_asks_also_where_nothing_has_changed(make: Make, server: Listing) -> None:
    examine(make())
    assert "asked now: 2 requests" in told(examine(make(), again=True))
    assert len(server.requests) == 4
    assert archive.survey(RequestStore(Path("cache/requests"))).answers == 3  # the requests, and what they showed


def test_again_in_vain_leaves_what_is_remembered(make: Make, server: Listing) -> None:
    examine(make())
    server.decide = lambda path, body: refusal(500, "down")
    assert "gave no answer" in todo(examine(make(), again=True)).told
    assert "remembered" in told(examine(make()))


def test_price_of_the_probe_is_unknown_without_a_price(make: Make, server: Listing) -> None:
    config = make(llms={"near": None, "far": {"api": "chat", "base_url": server.base_url, "model": "tiny"}},
                  augmenters={"mix": {"llm": "far"}})  # fmt: skip
    found = examine(config)
    assert "price unknown" in told(found)
    assert warned(found).told == "price unknown, a dollar cap is not possible"
    assert warned(found).todo.startswith("write llms.far.price")


def test_what_a_probe_costs_is_counted(make: Make) -> None:
    config = make(budget={"requests": 5})
    examine(config)
    found = check_budget(config, asked_llms(config))
    assert (found.level, found.told) == (
        "ok",
        "spent so far: 0.000026 US dollars, 2 of 5 requests, 22 tokens",
    )


def test_cap_that_is_met_sends_nothing(make: Make, server: Listing) -> None:
    assert "requests" in todo(examine(make(budget={"requests": 0}))).told
    assert server.requests == []


def test_limits_are_told(make: Make) -> None:
    found = examine(make(**near(limits={"requests_per_min": 500, "concurrency": 3})))
    assert "limits: 3 requests at once, 500 requests a minute" in told(found)
    assert "limits: 8 requests at once, no limit a minute" in told(examine(make()))


# Its key.


def test_key_of_a_variable_is_found_and_sent(make: Make, server: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = KEY
    monkeypatch.setenv("NEAR_KEY", KEY)
    found = examine(make(**near(key={"env": "NEAR_KEY"})))
    assert levels(found) == {"ok"}
    assert "its key is in the variable NEAR_KEY" in told(found)
    assert server.looks == [("/v1/models", f"Bearer {KEY}")]
    assert KEY not in repr(found)


def test_key_of_a_file_is_found(make: Make, server: Listing) -> None:
    server.key = KEY
    Path("my-key").write_text(KEY, encoding="utf-8")
    found = examine(make(**near(key={"file": "my-key"})))
    assert levels(found) == {"ok"}
    assert "its key is in the file my-key" in told(found)


def test_wrong_key_costs_nothing_and_is_not_shown(make: Make, server: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = KEY
    monkeypatch.setenv("NEAR_KEY", "sk-wrong-987654321")
    found = examine(make(**near(key={"env": "NEAR_KEY"})))
    assert "refused the key (status 401)" in todo(found).told
    assert todo(found).todo.startswith("check the llm's key")
    assert server.requests == []
    assert "987654321" not in repr(found)


def test_wrong_key_is_told_by_the_probe_where_anybody_may_see_the_list(
    make: Make, server: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEAR_KEY", KEY)
    server.decide = lambda path, body: refusal(401, f"bad key {KEY}")
    found = examine(make(**near(key={"env": "NEAR_KEY"})))
    assert "the key was refused" in todo(found).told
    assert KEY not in repr(found)


def test_missing_variable_is_named(make: Make, server: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEAR_KEY", raising=False)
    one = todo(examine(make(**near(key={"env": "NEAR_KEY"}))))
    assert "the environment variable NEAR_KEY" in one.told
    assert one.todo == "put it there, or name another place with llms.near.key"
    assert server.looks == []


def test_what_stands_in_the_place_of_a_key_file_is_not_shown(make: Make, server: Listing) -> None:
    found = examine(make(**near(key={"file": KEY})))
    assert todo(found).told == "llms.near.key.file names no file"
    assert KEY not in repr(found)
    assert server.looks == []


def test_openai_without_a_key_is_told_where_it_may_stand(make: Make) -> None:
    config = make(**near(base_url="https://api.openai.com/v1"))
    one = todo(examine(config))
    assert one.told == "https://api.openai.com/v1 needs a key"
    assert one.todo.startswith("set the variable OPENAI_API_KEY, or write it into the file openai-key")


def test_what_is_asked_never_holds_a_key(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEAR_KEY", KEY)
    (asked,) = asked_llms(make(**near(key={"env": "NEAR_KEY"})))
    assert isinstance(asked, Asked)
    assert KEY not in repr(asked)


# Its address.


def test_closed_port_is_told(make: Make) -> None:
    one = todo(examine(make(**near(base_url=f"http://127.0.0.1:{closed_port()}/v1"))))
    assert "cannot be reached (ConnectError)" in one.told
    assert "base_url" in one.todo


def test_silent_server_is_given_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypermix.steps.doctor.models.SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        one = todo(examine(make(**near(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1"))))
    assert "cannot be reached (ReadTimeout)" in one.told
    assert time.monotonic() - started < 5


def test_what_hangs_is_left_alone() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer in 0\.05 s"):
        within(0.05, lambda: time.sleep(1.0))
    assert time.monotonic() - started < 0.9
    assert within(5.0, lambda: 7) == 7
    with pytest.raises(ConfigError, match="no"):
        within(5.0, lambda: (_ for _ in ()).throw(ConfigError("no")))


PAGES = [
    refusal(404),
    refusal(403),
    refusal(500),
    Reply("<html>"),
    Reply("[]"),
    Reply('{"data": 7}'),
    Reply('{"data": [{"name": "tiny"}]}'),
    Reply('{"data": []}'),
    Reply("[" * 100_000),
    Reply("", 302, headers={"location": "http://127.0.0.1:9/"}),
]


def test_server_without_a_list_is_not_blamed(make: Make, server: Listing) -> None:
    for page in PAGES:
        server.page = page
        assert levels(examine(make())) == {"ok"}
    assert len(server.looks) == len(PAGES)


# Its model.


def test_model_that_is_not_listed_and_answers_is_a_warning(make: Make, server: Listing) -> None:
    server.models = [{"id": "tiny-2"}, {"id": "other"}]
    one = warned(examine(make()))
    assert one.told == "the endpoint does not list tiny, but answers"
    assert one.todo.endswith("(did you mean 'tiny-2'?)")


def test_model_that_is_not_there_is_to_be_mended(make: Make, server: Listing) -> None:
    server.models = [{"id": "tiny-2"}]
    server.decide = lambda path, body: refusal(404, "The model does not exist")
    one = todo(examine(make()))
    assert "there is no such model" in one.told
    assert one.todo.endswith("(did you mean 'tiny-2'?)")


def test_listed_model_is_known(make: Make, server: Listing) -> None:
    for listed in ("tiny", "models/tiny", "tiny:latest"):
        server.models = [{"id": listed}]
        assert levels(examine(make())) == {"ok"}


def test_model_that_expires_is_a_warning(make: Make, server: Listing) -> None:
    for days, left in ((60, 60), (1, 1), (0, 0), (-3, 0)):
        end = TODAY + timedelta(days=days)
        seconds = int(datetime(end.year, end.month, end.day, 12, tzinfo=UTC).timestamp())
        for day in (end.isoformat(), seconds):
            server.models = [{"id": "tiny", "shutdown_date": day}]
            assert warned(examine(make())).told == f"tiny is shut down on {end.isoformat()}, in {left} days"


def test_model_that_lives_for_long_is_none(make: Make, server: Listing) -> None:
    # Of other models, and of days that are none, nothing is told.
    other = {"id": "other", "shutdown_date": TODAY.isoformat()}
    for day in ((TODAY + timedelta(days=61)).isoformat(), None, "soon", "", 1e300, [], {}):
        server.models = [other, {"id": "tiny", "shutdown_date": day}]
        assert levels(examine(make())) == {"ok"}


# What it takes.


def test_missing_log_probabilities_are_to_be_mended(make: Make, server: Listing) -> None:
    def refuse(path: str, body: dict[str, Any]) -> Reply:
        refused = next((name for name in ("logprobs", "top_logprobs") if name in body), None)
        return refusal(400, "Unsupported.", param=refused) if refused else takes_all(path, body)

    server.decide = refuse
    found = examine(make(augmenters={"votes": {"method": "gpt3mix", "llm": "near", "label_source": "vote"}}))
    one = todo(found)
    assert one.about == "augmenter mix"
    assert one.told == "label_source: logprobs needs log-probabilities, and the endpoint tells none"
    assert one.todo == "set label_source to vote, decisions or hard"
    assert "augmenter votes: label_source: vote is possible" in told(found)


def test_endpoint_that_refuses_all_is_told(make: Make, server: Listing) -> None:
    server.decide = lambda path, body: refusal(400, "Bad Request")
    one = todo(examine(make()))
    assert "Bad Request" in one.told
    assert one.todo


def test_label_words_that_are_alike_are_told(make: Make) -> None:
    one = todo(examine(make(datasets={"toy": {"label_words": {"1": "Bad"}}})))
    assert "share the label word" in one.told


def test_offline_asks_nothing(make: Make, server: Listing) -> None:
    found = examine(make(offline=True))
    assert "what it takes is not known" in told(found)
    assert (server.requests, server.looks) == ([], [])
    examine(make())
    looks = len(server.looks)
    found = examine(make(offline=True))
    assert "(remembered)" in told(found)
    assert "label_source: logprobs is possible" in told(found)
    assert len(server.looks) == looks


@pytest.mark.parametrize("method", ["eda", "contextual"])
def test_a_method_that_asks_for_labels_alone_is_possible(make: Make, server: Listing, method: str) -> None:
    mix = {"method": method, "relabel": {"by": "llm", "llm": "near"}}
    found = examine(make(augmenters={"mix": None, "changed": mix}))
    assert "augmenter changed: label_source: classify is possible with near" in told(found)


def test_only_models_that_are_asked_are_looked_at(make: Make) -> None:
    idle = {"api": "chat", "base_url": "http://127.0.0.1:9/v1", "model": "idle"}
    assert [one.name for one in asked_llms(make(llms={"idle": idle}))] == ["near"]
    assert asked_llms(make(only=[{"augmenter": "none"}])) == []


# The budget.


def test_budget_without_hosted_models(make: Make) -> None:
    assert "nothing is spent" in check_budget(make(), []).told


def test_budget_that_is_used_up_is_to_be_raised(make: Make) -> None:
    config = make(budget={"usd": 0.5, "tokens": 9000})
    (asked,) = asked_llms(config)
    ledger = Ledger(ledger_path(asked.runtime), Caps())
    ledger.settle(ledger.reserve(1.0, 100), Cost(0.5, 80))
    found = check_budget(config, [asked])
    assert (found.level, found.told) == ("to do", "spent so far: 0.50 of 0.5 US dollars, 1 requests, 80 of 9000 tokens")
    assert found.todo.startswith("raise budget.usd")


def test_budget_that_cannot_be_read_is_told(make: Make) -> None:
    config = make()
    (asked,) = asked_llms(config)
    path = ledger_path(asked.runtime)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no account" * 10_000)
    assert check_budget(config, [asked]).level == "to do"
