"""From settings to a language model that is asked, and the talks that make rows."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hypermix.augment.base import Material, Slot
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.gpt3mix import build_gpt3mix
from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.errors import AugmentError, BudgetError, LlmError
from hypermix.llm import remote
from hypermix.llm.client import Client, Usage
from hypermix.llm.ledger import Caps, Ledger
from hypermix.llm.price import Rate
from hypermix.llm.store import Record, RequestStore
from hypermix.records import CHAT, COMPLETIONS, Abilities, Completion, Example, Request, SyntheticRow, Task
from hypermix.steps.model import _endpoint, abilities, ledger_path, open_llm, open_store
from hypermix.steps.rows import Rows
from tests.batch_server import KEY as BATCH_KEY
from tests.batch_server import End
from tests.endpoint import ANSWER_TOKENS, PROMPT_TOKENS, VARIABLE, batch_endpoint, hosted, write, write_rows
from tests.integration.llm.conftest import Thread
from tests.loopback import Loopback, Reply, loopback, refusal

KEY = "sk-unit-9b8a7c6d5e4f"
PRICE = {"input": 2.0, "output": 8.0, "as_of": "2026-11-22"}
TASK = Task("movie review", "sentiment", {"1": "negative", "5": "positive"})
EXAMPLES = [Example(f"id{number}", f"a film with {number} songs", "15"[number % 2]) for number in range(6)]


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        running.decide = write
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, with a key in the environment; senders run in threads, which start at once."""
    monkeypatch.setattr(remote, "_start", Thread)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def settle(llm: dict[str, Any], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a language model as a job gets them: the slice's, and those that change no result."""
    config = load_config(
        {
            "datasets": {"rt": {"source": "packaged", "name": "rt-snippets"}},
            "llms": {"one": llm},
            "augmenters": {"mix": {"method": "gpt3mix", "llm": "one", "labels": "hard", "examples": 2}},
            "classifiers": {"minilm": {"method": "finetune"}},
            **more,
        }
    )
    sliced = json.loads(experiment.augment_slice(config, "rt", "mix"))
    return sliced["llm"], experiment.augment_runtime(config, "mix", threads=1)


def records(runtime: dict[str, Any]) -> list[Record]:
    store = RequestStore(Path(runtime["cache"]) / "requests")
    return [record for record in map(store.get, store.keys()) if record is not None]


# What the settings become.


def test_a_hosted_model_is_known_by_its_url_and_says_its_extras() -> None:
    llm, runtime = settle(
        hosted("http://127.0.0.1:9/v1", "tiny", "chat", extra={"user": "me"}, reasoning_effort="none", price=PRICE)
    )
    opened = open_llm(llm, runtime)
    assert (opened.name, opened.identity) == ("tiny", {"base_url": "http://127.0.0.1:9/v1"})
    assert opened.extra == {"user": "me", "reasoning_effort": "none"}
    assert (opened.rate, opened.tokenizer) == (Rate(2.0, 8.0), None)


def test_without_a_price_there_is_no_rate() -> None:
    assert open_llm(*settle(hosted("http://127.0.0.1:9/v1", "tiny"))).rate is None


def test_every_limit_reaches_the_endpoint(folder: Path) -> None:
    limits = {
        "concurrency": 3,
        "deadline": 7.0,
        "tries": 2,
        "longest_wait": 11.0,
        "requests_per_min": 60.0,
        "tokens_per_min": 900.0,
    }
    budget = {"usd": 1.5, "requests": 10, "tokens": 5000}
    llm, runtime = settle(hosted("http://127.0.0.1:9/v1", "tiny", limits=limits, price=PRICE), budget=budget)
    endpoint = _endpoint(llm, runtime)
    assert {name: getattr(endpoint, name) for name in limits} == limits
    assert (endpoint.caps, endpoint.rate) == (budget, {"input": 2.0, "output": 8.0})
    assert (endpoint.name, endpoint.base_url, endpoint.api_key) == ("tiny", "http://127.0.0.1:9/v1", KEY)
    assert endpoint.shared == str(Path("cache") / "limits")
    assert endpoint.ledger == str(ledger_path(runtime))


def test_a_model_without_an_api_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        open_llm({"api": "telepathy"}, {})


@pytest.mark.parametrize(
    ("api", "limits", "least"),
    [
        ("chat", {"deadline": 2000.0, "tries": 5, "longest_wait": 4000.0}, 5 * 2000 + 2 * 4000),
        ("completions", {"deadline": 1.0, "tries": 1, "longest_wait": 0.0}, RequestStore.lifetime),
        ("batch", {}, 24 * 3600),
    ],
)
def test_claims_hold_as_long_as_an_answer_can_take(api: str, limits: dict[str, Any], least: float) -> None:
    store = open_store(*settle(hosted("http://127.0.0.1:9/v1", "tiny", api, limits=limits)))
    assert least <= store.lifetime <= 2 * least + 2 * 3600
    assert store.folder == Path("cache/requests")


def test_claims_of_a_model_that_runs_here_hold_as_long_as_ever() -> None:
    assert open_store(*settle({"api": "embedded"})).lifetime == RequestStore.lifetime


@pytest.mark.parametrize("results", ["results", "../a b/c", "/x/y", "r" * 300, "результаты", "."])
def test_an_account_is_named_by_the_results_and_lies_in_the_cache(results: str) -> None:
    path = ledger_path({"cache": "cache", "results": results})
    assert path.parent == Path("cache/spending")
    assert len(path.name) < 64
    assert path.name.isascii()


def test_two_experiments_have_two_accounts() -> None:
    named = {ledger_path({"cache": "c", "results": results}) for results in ("a-b", "a/b", "a_b", "x" * 90, "x" * 91)}
    assert len(named) == 5
    assert ledger_path({"cache": "c", "results": "a"}) == ledger_path({"cache": "c", "results": "a"})


# The key.


@pytest.mark.parametrize("api", ["chat", "batch"])
def test_the_key_of_openai_is_found_in_the_working_folder(folder: Path, api: str) -> None:
    (folder / "openai-key").write_text(f"{KEY}-of-file\n", encoding="utf-8")
    llm, runtime = settle({"api": api, "model": "gpt-6-luna"})
    assert _endpoint(llm, runtime).api_key == f"{KEY}-of-file"


def test_the_key_of_openai_goes_to_nobody_else(folder: Path, server: Loopback) -> None:
    (folder / "openai-key").write_text(KEY, encoding="utf-8")
    settings = hosted(server.base_url, "tiny")
    del settings["key"]
    llm, runtime = settle(settings)
    with Client(open_llm(llm, runtime), open_store(llm, runtime)) as client:
        abilities(llm, runtime, client)
    assert server.requests
    assert not [headers for _, headers in server.requests if KEY in str(headers)]


def test_a_key_shows_nowhere(folder: Path) -> None:
    llm, runtime = settle(hosted("http://127.0.0.1:9/v1", "tiny", price=PRICE))
    opened = open_llm(llm, runtime)
    endpoint = _endpoint(llm, runtime)
    shown = [repr(opened), repr(endpoint), str(endpoint), json.dumps(llm), json.dumps(runtime), repr(vars(opened))]
    assert not [text for text in shown if KEY in text]
    assert KEY.encode() not in pickle.dumps((llm, runtime))  # as Snakemake hands them over


def test_a_missing_key_is_told_once_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    llm, runtime = settle(hosted("http://127.0.0.1:9/v1", "tiny"))
    with Client(open_llm(llm, runtime), open_store(llm, runtime)) as client, pytest.raises(LlmError) as caught:
        abilities(llm, runtime, client)
    assert str(caught.value) == (
        f"the environment variable {VARIABLE}, which should hold the key of the language model, is not set or empty"
    )
    assert not records(runtime)


# What it takes.


@pytest.mark.parametrize(("api", "echo", "n"), [("embedded", False, False), ("transformers", True, True)])
def test_models_that_run_here_are_known(api: str, echo: bool, n: bool) -> None:
    found = abilities({"api": api}, {}, None)  # type: ignore[arg-type]
    assert (found.echo, found.chat, found.logprobs) == (echo, False, 20)


@pytest.mark.parametrize(("api", "path"), [("completions", COMPLETIONS), ("chat", CHAT)])
def test_a_hosted_model_is_asked_once(server: Loopback, api: str, path: str) -> None:
    llm, runtime = settle(hosted(server.base_url, "tiny", api))
    for _ in range(2):
        with Client(open_llm(llm, runtime), open_store(llm, runtime)) as client:
            found = abilities(llm, runtime, client)
    assert (found.chat, found.logprobs, found.n) == (api == "chat", 0, True)
    assert server.paths == [path, path]


def test_a_batch_is_asked_directly_and_that_is_counted() -> None:
    with batch_endpoint() as server:
        settings = hosted(server.base_url, "gpt-6-luna", "batch", price=PRICE)
        llm, runtime = settle({**settings, "key": {"env": "HYPERMIX_BATCH_KEY"}})
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HYPERMIX_BATCH_KEY", BATCH_KEY)
            with Client(open_llm(llm, runtime), open_store(llm, runtime)) as client:
                found = abilities(llm, runtime, client)
        assert found.chat
        assert server.counts == {"direct": 2}
        assert (client.usage.paid, client.usage.tokens_paid.prompt) == (2, 2 * PROMPT_TOKENS)
    assert Ledger(ledger_path(runtime), Caps()).spent().requests == 2


def test_a_batch_spends_from_the_account_of_the_experiment() -> None:
    with batch_endpoint() as server:
        server.ends = [End(looks=0, answered=lambda keys: write_rows(server).answered(keys))]
        settings = hosted(server.base_url, "gpt-6-luna", "batch", price=PRICE, poll=0.02)
        llm, runtime = settle({**settings, "key": {"env": "HYPERMIX_BATCH_KEY"}}, budget={"requests": 1})
        body = {"messages": [{"role": "user", "content": "Say it."}], "max_tokens": 9}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HYPERMIX_BATCH_KEY", BATCH_KEY)
            with Client(open_llm(llm, runtime), open_store(llm, runtime)) as client:
                assert client.complete(Request(CHAT, body, "one")).text in {"A", "B"}
                with pytest.raises(BudgetError, match=r"budget\.requests: of 1, 1 is spent"):
                    client.complete(Request(CHAT, body, "two"))
        assert len(server.batches) == 1
    spent = Ledger(ledger_path(runtime), Caps()).spent()
    assert (spent.requests, spent.tokens) == (1, PROMPT_TOKENS + ANSWER_TOKENS)


def test_a_batch_finds_again_what_it_sent_and_a_chat_does_not() -> None:
    models = {}
    for api in ("chat", "batch"):
        llm, runtime = settle(hosted("https://llm.example/v1", "luna", api, price=PRICE))
        models[api] = open_llm(llm, runtime)
    request = Request(CHAT, {"messages": [{"role": "user", "content": "Say it."}]}, "one")
    assert {name: model.remembers for name, model in models.items()} == {"chat": False, "batch": True}
    assert models["chat"].question(request).key == models["batch"].question(request).key


# Rows.


@dataclass
class Plain:
    """An augmenter that asks for as many answers as it is told, in one or two rounds, and keeps what is good."""

    wanted: int
    attempts: int = 1
    rounds: int = 1
    bad: Sequence[Slot] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        return self.wanted

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        answers: list[Completion] = []
        for _ in range(self.rounds):
            prompts = [f"3 {slot.row} {slot.attempt} {len(answers) + place}" for place in range(2)]
            answers += yield [Request(COMPLETIONS, {"prompt": prompt}, "") for prompt in prompts]
        text = " ".join(answer.text for answer in answers)
        return SyntheticRow(
            slot.row, text, "1", None, None, None, (), None, "bad" if slot in self.bad or not self.wanted else None
        )


def echo(path: str, body: dict[str, Any]) -> Reply:
    """Answer with the prompt; the earlier rows take longer."""
    choice = {"text": body["prompt"], "index": 0, "finish_reason": "stop", "logprobs": None}
    told = {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}
    row = int(body["prompt"].split()[1])
    return Reply(json.dumps(told), seconds=0.05 * (row < 2))


def make(server: Loopback, augmenter: Any, **limits: Any) -> tuple[Any, Usage]:
    """Make the rows of one draw."""
    llm, runtime = settle(hosted(server.base_url, "tiny", limits={"concurrency": 4, **limits}))
    with Client(open_llm(llm, runtime), open_store(llm, runtime)) as client:
        return Rows(augmenter, None, client).make(), client.usage


def test_rows_come_in_order_whoever_answers_first(server: Loopback) -> None:
    server.decide = echo
    draw, usage = make(server, Plain(6, rounds=2))
    assert [row.index for row in draw.rows] == list(range(6))
    # All answers of a row, in the order of their questions.
    assert [row.text for row in draw.rows] == [" ".join(f"3 {row} 0 {place}" for place in range(4)) for row in range(6)]
    assert (draw.discarded, usage.paid) == (0, 24)
    assert server.most > 1


def test_a_bad_row_is_tried_again_and_both_are_told(server: Loopback) -> None:
    server.decide = echo
    bad = [Slot(1, 0), Slot(2, 0), Slot(2, 1), Slot(2, 2)]
    draw, _ = make(server, Plain(4, attempts=3, bad=bad))
    assert [(row.index, row.kept) for row in draw.rows] == [
        (0, True),
        (1, False),
        (1, True),
        (2, False),
        (2, False),
        (2, False),
        (3, True),
    ]
    assert draw.discarded == 8


def test_hopeless_rows_are_given_up_after_ten_tries(server: Loopback) -> None:
    server.decide = echo
    bad = [Slot(row, attempt) for row in range(40) for attempt in range(3)]
    with pytest.raises(AugmentError) as caught:
        make(server, Plain(40, attempts=3, bad=bad))
    first, *shown, advice = str(caught.value).splitlines()
    assert first == "none of 10 answers can be used; the first are"
    assert len(shown) == 3
    assert all(line.endswith(" (bad)") for line in shown)
    assert advice.startswith("try more examples, another model, or plainer label words")
    assert len(server.requests) < 60


def test_an_augmenter_that_asks_nobody_needs_no_client() -> None:
    draw = Rows(Plain(3, rounds=0), None, None).make()
    assert [row.index for row in draw.rows] == [0, 1, 2]
    assert draw.discarded == 0


def test_no_rows_are_no_error(server: Loopback) -> None:
    draw, usage = make(server, Plain(0))
    assert (draw.rows, usage.paid) == ([], 0)


def test_a_refusal_ends_the_draw_and_what_was_answered_is_stored(server: Loopback) -> None:
    def answer(path: str, body: dict[str, Any]) -> Reply:
        return refusal(404, "gone") if body["prompt"].startswith("3 5 ") else echo(path, body)

    server.decide = answer
    with pytest.raises(
        LlmError, match=r"there is no such model or address: .*gone; check the llm's model and base_url"
    ):
        make(server, Plain(6), concurrency=1)
    _, runtime = settle(hosted(server.base_url, "tiny"))
    kept = {record.question.body["prompt"] for record in records(runtime)}
    assert {f"3 {row} 0 {place}" for row in range(4) for place in range(2)} <= kept
    server.decide = echo
    before = len(server.requests)
    draw, usage = make(server, Plain(6))
    assert len(draw.rows) == 6
    assert len(server.requests) - before == usage.paid == 12 - len(kept)
    assert usage.replayed == len(kept)


def test_progress_tells_the_usable_share(server: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    server.decide = echo
    with caplog.at_level(logging.INFO, "hypermix"):
        make(server, Plain(4, attempts=2, bad=[Slot(1, 0)]))
    assert [message.split(",")[0] for message in caplog.messages] == ["4 of 4 rows"]
    assert caplog.messages[0].endswith("80 % usable")


def test_equal_draws_are_equal_and_a_wider_one_pays_the_new_rows(server: Loopback) -> None:
    settings = {"examples": 2, "multiplier": 1.0, "attempts": 2, "labels": "hard", "label_source": "hard"}
    sampling = {"max_tokens": 40, "temperature": 1.0, "top_p": 1.0, "frequency_penalty": 0.01}
    material = Material(EXAMPLES, TASK, 3, Abilities(logprobs=0))
    first, one = make(server, build_gpt3mix({**settings, **sampling}, material))
    again, none = make(server, build_gpt3mix({**settings, **sampling}, material))
    wider, more = make(server, build_gpt3mix({**settings, **sampling, "multiplier": 2.0}, material))
    assert again.rows == first.rows == wider.rows[: len(first.rows)]
    assert (one.paid, none.paid, more.paid) == (6, 0, 6)
    assert {row.label for row in wider.rows} <= {"1", "5"}
