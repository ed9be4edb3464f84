"""What an endpoint takes, found out over real connections, one refusal after another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import BudgetError, LlmError
from hypermix.llm import archive
from hypermix.llm.backend import Backend
from hypermix.llm.client import Client, Llm
from hypermix.llm.probe import MOST_PROBES, PATH, describe, find_abilities
from hypermix.llm.store import Answer, Question, Record, RequestStore
from hypermix.records import CHAT, COMPLETIONS, Abilities
from tests.integration.llm.conftest import as_endpoint, as_llm, make_client
from tests.loopback import Loopback, Reply, refusal

pytestmark = pytest.mark.usefixtures("threads")

ALL_CHAT = Abilities(chat=True, structured=True, effort=True)
ALL_COMPLETIONS = Abilities(echo=True, prompts=True)
ROW = json.dumps({"text": "a fine film", "label": "Good"})

SETTINGS: dict[str, tuple[str, ...]] = {
    "structured": ("response_format",),
    "echo": ("echo",),
    "n": ("n",),
    "seed": ("seed",),
    "penalties": ("frequency_penalty",),
    "stop": ("stop",),
    "sampling": ("temperature", "top_p"),
}
"""The settings in a body that each ability is about."""


def tokens(count: int, text: str = "a") -> dict[str, Any]:
    top = [{"token": f"t{number}", "logprob": -1.0 - number} for number in range(count)]
    return {"content": [{"token": text, "logprob": -1.0, "top_logprobs": top}]}


def answer(path: str, body: Mapping[str, Any], likely: int = 20) -> Reply:
    """Answer as an endpoint that takes everything, with at most so many likely tokens."""
    prompts = body["prompt"] if isinstance(body.get("prompt"), list) else [body.get("prompt")]
    told = min(int(body.get("top_logprobs" if path == CHAT else "logprobs", 0)), likely)
    text = ROW if path == CHAT else (str(prompts[0]) if body.get("echo") else "") + " fine"
    about = {"finish_reason": "stop", "logprobs": tokens(told, text) if told else None}
    said = {"message": {"content": text}} if path == CHAT else {"text": text}
    choices = [{"index": index, **said, **about} for index in range(int(body.get("n", 1)) * len(prompts))]
    return Reply(json.dumps({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 2}}))


def refusing(names: set[str], word: Callable[[str], Reply]) -> Callable[[str, dict[str, Any]], Reply]:
    """Refuse the first of some settings that a body has."""

    def decide(path: str, body: dict[str, Any]) -> Reply:
        refused = next((name for name in body if name in names), None)
        return answer(path, body) if refused is None else word(refused)

    return decide


def by_param(name: str) -> Reply:
    return refusal(400, "Unsupported parameter.", param=name, code="unsupported_parameter")


def by_words(name: str) -> Reply:
    return refusal(400, f"{name!r} is not supported with this model.\n\nSee n/a.")


def by_detail(name: str) -> Reply:
    return Reply(json.dumps({"detail": [{"loc": ["body", name], "msg": "Extra inputs are not permitted"}]}), 422)


def by_silence(_: str) -> Reply:
    return refusal(400, "Bad Request")


def probe(server: Loopback, store: RequestStore, path: str = CHAT) -> Abilities:
    with make_client(server, store) as client:
        return find_abilities(client, path)


def refuse() -> AbstractContextManager[Backend]:
    raise AssertionError("an endpoint was opened")


# What is found.


@pytest.mark.parametrize(("path", "wanted"), [(CHAT, ALL_CHAT), (COMPLETIONS, ALL_COMPLETIONS)])
def test_one_request_tells_that_all_is_taken(
    server: Loopback, store: RequestStore, path: str, wanted: Abilities, caplog: pytest.LogCaptureFixture
) -> None:
    server.decide = answer
    assert probe(server, store, path) == wanted
    assert (len(server.requests), server.paths) == (2, [path, path])
    assert not caplog.records


@pytest.mark.parametrize("word", [by_param, by_words, by_detail])
@pytest.mark.parametrize("ability", SETTINGS)
def test_refused_setting_is_given_up_alone(
    server: Loopback, store: RequestStore, ability: str, word: Callable[[str], Reply]
) -> None:
    path, most = (COMPLETIONS, ALL_COMPLETIONS) if ability == "echo" else (CHAT, ALL_CHAT)
    server.decide = refusing(set(SETTINGS[ability]), word)
    assert probe(server, store, path) == Abilities(**(asdict(most) | {ability: False}))
    assert len(server.requests) == 3
    # Nothing else was left out.
    assert set(server.requests[0][0]) - set(server.requests[1][0]) == set(SETTINGS[ability])


@pytest.mark.parametrize("word", [by_param, by_words, by_detail])
def test_settings_are_refused_one_by_one(
    server: Loopback, store: RequestStore, word: Callable[[str], Reply], caplog: pytest.LogCaptureFixture
) -> None:
    names = {name for names in SETTINGS.values() for name in names} | {"top_logprobs", "logprobs"}
    server.decide = refusing(names, word)
    found = probe(server, store)
    wanted = replace(ALL_CHAT, logprobs=0, structured=False)
    assert found == replace(wanted, n=False, stop=False, seed=False, sampling=False, penalties=False)
    assert len(server.requests) <= MOST_PROBES
    (told,) = caplog.messages
    assert told == (
        "tiny takes no log-probabilities, no JSON schema, no n, no seed, no frequency_penalty, no stop, "
        "no temperature and top_p; requests go without"
    )


@pytest.mark.parametrize("word", [by_param, by_words])
def test_newer_name_of_the_limit_is_found(
    server: Loopback, store: RequestStore, word: Callable[[str], Reply], caplog: pytest.LogCaptureFixture
) -> None:
    server.decide = refusing({"max_tokens"}, word)
    assert probe(server, store) == replace(ALL_CHAT, max_tokens="max_completion_tokens")
    assert not caplog.records  # it lacks nothing


@pytest.mark.parametrize("word", [by_param, by_words, by_silence])
def test_reasoning_model_takes_messages_and_a_limit(
    server: Loopback, store: RequestStore, word: Callable[[str], Reply]
) -> None:
    taken = {"model", "messages", "max_completion_tokens"}

    def decide(path: str, body: dict[str, Any]) -> Reply:
        refused = next((name for name in body if name not in taken), None)
        if refused is not None:
            return word(refused)
        # It thinks for as long as the limit lasts, and says nothing.
        choice = {"index": 0, "message": {"content": ""}, "finish_reason": "length"}
        return Reply(json.dumps({"choices": [choice], "usage": {"completion_tokens": 60}}))

    server.decide = decide
    found = probe(server, store)
    assert found == Abilities(
        chat=True,
        logprobs=0,
        n=False,
        stop=False,
        seed=False,
        sampling=False,
        penalties=False,
        max_tokens="max_completion_tokens",
    )
    assert len(server.requests) <= MOST_PROBES


@pytest.mark.parametrize("likely", [0, 1, 5, 20])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_likely_tokens_are_counted(server: Loopback, store: RequestStore, path: str, likely: int) -> None:
    server.decide = lambda path, body: answer(path, body, likely)
    assert probe(server, store, path).logprobs == likely


def test_fewer_likely_tokens_are_asked_for_where_twenty_are_refused(server: Loopback, store: RequestStore) -> None:
    def decide(path: str, body: dict[str, Any]) -> Reply:
        return refusal(400, "too large", param="logprobs") if body.get("logprobs", 0) > 5 else answer(path, body)

    server.decide = decide
    assert probe(server, store, COMPLETIONS) == replace(ALL_COMPLETIONS, logprobs=5)
    assert len(server.requests) == 3


def test_what_is_ignored_without_a_word_is_seen(
    server: Loopback, store: RequestStore, caplog: pytest.LogCaptureFixture
) -> None:
    def decide(path: str, body: dict[str, Any]) -> Reply:
        choice = {"index": 0, "message": {"content": "A fine film. Good."}, "finish_reason": "stop"}
        return Reply(json.dumps({"choices": [choice]}))

    server.decide = decide
    found = probe(server, store)
    assert found == replace(ALL_CHAT, logprobs=0, n=False, structured=False)
    assert len(server.requests) == 3  # the answer that lacked one of two was perhaps billed
    (told,) = caplog.messages
    assert told == "tiny takes no log-probabilities, no JSON schema, no n; requests go without"


# What is tried alone.


@pytest.mark.parametrize("word", [by_param, by_words, by_detail])
@pytest.mark.parametrize(("path", "most"), [(CHAT, ALL_CHAT), (COMPLETIONS, ALL_COMPLETIONS)])
def test_what_rows_go_without_may_be_refused(
    server: Loopback,
    store: RequestStore,
    path: str,
    most: Abilities,
    word: Callable[[str], Reply],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def decide(path: str, body: dict[str, Any]) -> Reply:
        if isinstance(body.get("prompt"), list):
            return word("prompt")
        return word("reasoning_effort") if "reasoning_effort" in body else answer(path, body)

    server.decide = decide
    assert probe(server, store, path) == replace(most, prompts=False, effort=False)
    assert len(server.requests) == 2
    assert not caplog.records  # no row asks for it


def test_effort_of_another_value_is_taken(server: Loopback, store: RequestStore) -> None:
    told = "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'low'."
    late = refusal(400, told, param="reasoning_effort", code="unsupported_value")
    server.decide = lambda path, body: late if "reasoning_effort" in body else answer(path, body)
    assert probe(server, store) == ALL_CHAT


def test_list_of_prompts_that_has_one_answer_is_not_taken(server: Loopback, store: RequestStore) -> None:
    server.decide = lambda path, body: answer(path, {**body, "prompt": str(body["prompt"])})
    assert probe(server, store, COMPLETIONS) == replace(ALL_COMPLETIONS, echo=True, prompts=False)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_failure_of_what_rows_go_without_ends_nothing(server: Loopback, store: RequestStore, path: str) -> None:
    def decide(path: str, body: dict[str, Any]) -> Reply:
        alone = "reasoning_effort" in body or isinstance(body.get("prompt"), list)
        return refusal(500, "assert isinstance(prompt, str)") if alone else answer(path, body)

    server.decide = decide
    found = probe(server, store, path)
    assert not found.prompts
    assert not found.effort


@pytest.mark.parametrize("word", [by_param, by_words])
def test_effort_of_the_config_is_never_left_out(
    server: Loopback, store: RequestStore, word: Callable[[str], Reply]
) -> None:
    server.decide = refusing({"reasoning_effort"}, word)
    llm = replace(as_llm(as_endpoint(server)), extra={"reasoning_effort": "none"})
    with Client(llm, store) as client, pytest.raises(LlmError, match="reasoning_effort"):
        find_abilities(client, CHAT)
    assert len(server.requests) == 1


def test_echo_that_is_ignored_is_seen(server: Loopback, store: RequestStore) -> None:
    server.decide = lambda path, body: answer(path, {**body, "echo": False})
    assert probe(server, store, COMPLETIONS) == replace(ALL_COMPLETIONS, echo=False)


# What ends it.


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (refusal(401, "n logprobs stop"), "the key was refused"),
        (refusal(404, "no model with logprobs"), "no such model"),
        (refusal(429, "n", code="insufficient_quota"), "no credit left"),
        (refusal(500, "seed"), "gave no answer in 1 try"),
    ],
)
def test_what_no_setting_mends_ends_it_at_once(
    server: Loopback, store: RequestStore, reply: Reply, wanted: str
) -> None:
    server.replies = [reply]
    with pytest.raises(LlmError, match=wanted):
        probe(server, store)
    assert len(server.requests) == 1
    assert list(store.folder.rglob("*.*")) == []


def test_endpoint_that_refuses_everything_is_told(server: Loopback, store: RequestStore) -> None:
    server.replies = [by_silence("")]
    with pytest.raises(LlmError, match=r"a request was refused: .*Bad Request"):
        probe(server, store)
    assert len(server.requests) == 10  # one with all eight, and one for each, where log-probabilities go in two steps
    assert list(store.folder.rglob("*.*")) == []


@pytest.mark.parametrize("cap", [0, 1])
def test_cap_of_the_budget_ends_it(server: Loopback, store: RequestStore, tmp_path: Path, cap: int) -> None:
    server.decide = answer
    more: dict[str, Any] = {"ledger": str(tmp_path / "account"), "caps": {"requests": cap}}
    with make_client(server, store, **more) as client, pytest.raises(BudgetError):
        find_abilities(client, CHAT)
    assert len(server.requests) == cap


# What is remembered.


def test_second_client_asks_nothing(server: Loopback, store: RequestStore, caplog: pytest.LogCaptureFixture) -> None:
    server.decide = refusing({"seed"}, by_param)
    found = probe(server, store)
    asked = len(server.requests)
    with Client(Llm("tiny", {"model_sha256": "abc"}, refuse), store) as client:
        assert find_abilities(client, CHAT) == found
    with Client(Llm("tiny", {"model_sha256": "abc"}, refuse), store, offline=True) as client:
        assert find_abilities(client, CHAT) == found
    assert len(server.requests) == asked
    assert len(caplog.messages) == 1


def test_export_carries_it(server: Loopback, store: RequestStore, tmp_path: Path) -> None:
    server.decide = refusing({"seed"}, by_param)
    found = probe(server, store)
    archive.export_store(store, tmp_path / "all.parquet")
    other = RequestStore(tmp_path / "other")
    archive.import_store(other, tmp_path / "all.parquet")
    with Client(Llm("tiny", {"model_sha256": "abc"}, refuse), other, offline=True) as client:
        assert find_abilities(client, CHAT) == found


def test_offline_without_it_is_told(store: RequestStore) -> None:
    with (
        Client(Llm("tiny", {"model_sha256": "abc"}, refuse), store, offline=True) as client,
        pytest.raises(LlmError, match="offline: the answer to request"),
    ):
        find_abilities(client, CHAT)


@pytest.mark.parametrize("change", ["path", "extra", "identity"])
def test_each_endpoint_is_asked_for_itself(server: Loopback, store: RequestStore, change: str) -> None:
    server.decide = answer
    probe(server, store)
    llm = as_llm(as_endpoint(server), "def" if change == "identity" else "abc")
    if change == "extra":
        llm = replace(llm, extra={"reasoning_effort": "none"})
    with Client(llm, store) as client:
        find_abilities(client, COMPLETIONS if change == "path" else CHAT)
    assert len(server.requests) == (3 if change == "extra" else 4)


def test_settings_of_the_config_are_in_the_probe(server: Loopback, store: RequestStore) -> None:
    server.decide = answer
    with Client(replace(as_llm(as_endpoint(server)), extra={"reasoning_effort": "none"}), store) as client:
        find_abilities(client, CHAT)
    assert server.requests[0][0]["reasoning_effort"] == "none"


@pytest.mark.parametrize("response", ["<html>", "[]", "7", '{"mood": 1}'])
def test_what_is_remembered_wrongly_is_told(server: Loopback, store: RequestStore, response: str) -> None:
    server.decide = answer
    probe(server, store)
    (key,) = [key for key in store.keys() if (found := store.get(key)) and found.question.path == PATH]  # noqa: SIM118
    question = Question({"model_sha256": "abc"}, PATH, {"model": "tiny", "extra": {}, "path": CHAT, "version": 2}, "")
    assert question.key == key
    store.path(key).unlink()
    store.put(Record(question, Answer(response)))
    with pytest.raises(LlmError, match=f"{key} are no abilities of an endpoint: delete this file"):
        probe(server, store)


def test_probe_is_cheap(server: Loopback, store: RequestStore) -> None:
    server.decide = answer
    for path in (CHAT, COMPLETIONS):
        probe(server, store, path)
    for body, _ in server.requests:
        assert body["max_tokens"] * body.get("n", 1) <= 120
        assert len(json.dumps(body)) < 1200


@pytest.mark.parametrize(
    ("abilities", "wanted"),
    [
        (
            ALL_COMPLETIONS,
            "20 likely tokens a position, log-probabilities of prompts, lists of prompts; limit by max_tokens",
        ),
        (ALL_CHAT, "20 likely tokens a position, a reasoning effort; limit by max_tokens"),
        (replace(ALL_CHAT, logprobs=0, seed=False, effort=False), "no log-probabilities, no seed; limit by max_tokens"),
        (Abilities(logprobs=5, max_tokens="max_completion_tokens"), "5 likely .*; limit by max_completion_tokens"),
    ],
)
def test_abilities_are_described_in_a_line(abilities: Abilities, wanted: str) -> None:
    assert re.fullmatch(wanted, describe(abilities))
