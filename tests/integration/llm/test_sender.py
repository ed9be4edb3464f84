"""The sender over real sockets, in this process: tries, waits, caps, and that each question is answered once."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import LlmError
from hypermix.llm import sender as module
from hypermix.llm.ledger import Caps, Ledger
from hypermix.llm.sender import Sender, open_pipes, serve
from hypermix.llm.wire import Wire
from hypermix.records import COMPLETIONS
from tests.integration.llm.conftest import KEY, as_endpoint
from tests.loopback import Loopback, Reply, completion, refusal

Told = dict[str, Any]
FINE = Reply(completion("fine"))


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.02)


def body(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": f"row {number}", "max_tokens": 5, **more}


def run(
    server: Loopback | str,
    bodies: Sequence[dict[str, Any]],
    during: Callable[[Sender], Awaitable[None]] | None = None,
    **settings: Any,
) -> list[list[Told]]:
    """Ask all at once, and return what was replied to each."""
    replies: list[list[Told]] = [[] for _ in bodies]

    async def go() -> None:
        wire = Wire(as_endpoint(server, **settings))
        sender = Sender(wire.endpoint, wire)
        for number, one in enumerate(bodies):
            sender.ask(COMPLETIONS, one, replies[number].append)
        if during is not None:
            await during(sender)
        while not all(replies):
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.02)
        await wire.close()

    asyncio.run(asyncio.wait_for(go(), 20.0))
    assert [len(told) for told in replies] == [1] * len(bodies)
    return replies


def ask(server: Loopback | str, reply: Reply | None = None, **settings: Any) -> Told:
    """Ask once."""
    if reply is not None and isinstance(server, Loopback):
        server.replies = [reply]
    return run(server, [body()], **settings)[0][0]


# Answers.


def test_all_are_answered_and_no_more_than_the_width_at_once(server: Loopback) -> None:
    server.decide = lambda path, one: Reply(completion(one["prompt"]), seconds=0.01)
    told = run(server, [body(number) for number in range(60)], concurrency=8)
    assert [json.loads(replies[0]["response"])["choices"][0]["text"] for replies in told] == [
        f"row {number}" for number in range(60)
    ]
    assert set(server.asked().values()) == {1}
    assert 4 < server.most <= 8


def test_it_starts_gently(server: Loopback) -> None:
    counts: list[int] = []

    async def look(_: Sender) -> None:
        await asyncio.sleep(0.15)
        counts.append(len(server.requests))

    server.replies = [Reply(completion(), seconds=0.3)]
    run(server, [body(number) for number in range(20)], look, concurrency=64)
    assert counts == [4]


# Tries.


@pytest.mark.parametrize(
    ("fault", "unknown"),
    [
        (Reply("{}", 500), 0),
        (Reply("{}", 503), 0),
        (Reply(reset=True), 1),
        (Reply(completion(), cut=True), 1),
        (Reply(completion(), seconds=0.6), 1),
        (Reply(completion(), trickle=0.05), 1),
        (Reply("<html>"), 1),
        (Reply('{"choices": []}'), 1),
        (Reply('{"error": {"message": "loading"}}'), 1),
    ],
    ids=lambda part: getattr(part, "body", None),
)
def test_fault_is_tried_again_and_counted(server: Loopback, fault: Reply, unknown: int) -> None:
    server.replies = [fault, fault, FINE]
    told = ask(server, tries=3, deadline=0.3)
    assert told["response"] == FINE.body
    assert told["unknown"] == 2 * unknown
    assert len(server.requests) == 3


def test_tries_end(server: Loopback) -> None:
    told = ask(server, Reply(reset=True), tries=3)
    assert len(server.requests) == 3
    assert told["unknown"] == 3
    assert told["fatal"]
    assert not told["unsent"]
    assert told["refused"].startswith(f"tiny at {server.base_url} gave no answer in 3 tries: the connection broke off")
    assert told["refused"].endswith("; answers so far are stored, running again asks for the rest")


def test_nobody_there_is_told_as_unsent_spend(server: Loopback) -> None:
    told = ask("http://127.0.0.1:9/v1", tries=2)
    assert told["unknown"] == 0
    assert "gave no answer in 2 tries: no connection" in told["refused"]


def test_pauses_grow(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.1)
    server.replies = [Reply("{}", 500)]
    started = time.monotonic()
    ask(server, tries=4)
    assert 0.35 <= time.monotonic() - started <= 2.0  # halves of 0.1, 0.2 and 0.4 at least


def test_waits_that_are_asked_for_are_no_tries(server: Loopback) -> None:
    slow = Reply("{}", 429, headers={"retry-after-ms": "1"})
    server.replies = [slow, slow, slow, Reply("{}", 500), FINE]
    assert ask(server, tries=2)["response"] == FINE.body


# Overload.


@pytest.mark.parametrize(
    ("headers", "least"),
    [({}, 0.01), ({"retry-after-ms": "300"}, 0.3), ({"retry-after": "0.4"}, 0.4), ({"retry-after": "date"}, 0.0)],
)
def test_retry_after_is_waited_for(server: Loopback, headers: dict[str, str], least: float) -> None:
    if headers.get("retry-after") == "date":
        headers = {"retry-after": formatdate(time.time() + 1, usegmt=True)}
    server.replies = [Reply("{}", 429, headers=headers), FINE]
    started = time.monotonic()
    told = ask(server)
    assert least <= time.monotonic() - started < 3.0
    assert (told["response"], told["unknown"], len(server.requests)) == (FINE.body, 0, 2)


@pytest.mark.parametrize("headers", [{"retry-after": "3600"}, {"retry-after-ms": "3600000"}])
def test_an_hour_ends_it_and_names_the_wait(server: Loopback, headers: dict[str, str]) -> None:
    started = time.monotonic()
    server.replies = [Reply(refusal(429, "slow down").body, 429, headers=headers)]
    replies = run(server, [body(number) for number in range(20)], concurrency=2, longest_wait=60.0)
    assert time.monotonic() - started < 3.0
    assert len(server.requests) <= 2
    fatal = [told for (told,) in replies if told["fatal"]]
    assert 1 <= len(fatal) <= 2
    for told in fatal:
        assert "asks for a pause of 3600 s (" in told["refused"]
        assert "the llm's limits.longest_wait is 60 s; answers so far are stored: run again later" in told["refused"]
    assert all(told["unsent"] for (told,) in replies if not told["fatal"])


def test_who_asks_for_a_moment_for_ever_is_not_asked_a_thousand_times(server: Loopback) -> None:
    told = ask(server, Reply("{}", 429, headers={"retry-after-ms": "1"}), longest_wait=1.0)
    assert "limits.longest_wait is 1 s" in told["refused"]
    assert len(server.requests) < 15


def test_a_pause_holds_for_all(server: Loopback, tmp_path: Path) -> None:
    times: list[float] = []

    def decide(path: str, one: dict[str, Any]) -> Reply:
        times.append(time.monotonic())
        return Reply("{}", 429, headers={"retry-after-ms": "500"}) if len(times) == 1 else FINE

    server.decide = decide
    run(server, [body(number) for number in range(6)], concurrency=1, shared=str(tmp_path))
    assert len(times) == 7
    assert times[1] - times[0] >= 0.5


def test_overload_halves_the_width(server: Loopback) -> None:
    waves: list[float] = []

    def decide(path: str, one: dict[str, Any]) -> Reply:
        waves.append(time.monotonic())
        return Reply("{}", 429, seconds=0.1) if len(waves) <= 4 else Reply(completion(), seconds=0.1)

    server.decide = decide
    run(server, [body(number) for number in range(8)], concurrency=4)
    assert server.most == 4
    later = [at for at in waves[4:] if at - waves[0] < 0.19]
    assert len(later) <= 2


# Refusals.


@pytest.mark.parametrize("status", [401, 402, 403, 404, 413])
def test_fatal_refusal_sends_nothing_more(server: Loopback, status: int) -> None:
    server.replies = [Reply(refusal(status, "never").body, status, seconds=0.02)]
    replies = run(server, [body(number) for number in range(30)], concurrency=3, tries=6)
    assert len(server.requests) <= 3
    for (told,) in replies:
        assert told["fatal"] != told["unsent"]
        assert told["unknown"] == 0
        assert ("never" in told["refused"]) == told["fatal"]


def test_one_question_alone_may_try_other_settings(server: Loopback) -> None:
    server.decide = lambda path, one: FINE if "seed" not in one else refusal(400, "seed is not known")
    replies: list[Told] = []

    async def go() -> None:
        wire = Wire(as_endpoint(server))
        sender = Sender(wire.endpoint, wire)
        for one in (body(seed=1), body()):
            count = len(replies)
            sender.ask(COMPLETIONS, one, replies.append)
            while len(replies) == count:
                await asyncio.sleep(0.002)
        await wire.close()

    asyncio.run(go())
    assert "seed is not known" in replies[0]["said"]
    assert replies[1]["response"] == FINE.body


def test_refused_setting_is_told_to_the_first_of_many(server: Loopback) -> None:
    server.replies = [Reply(refusal(400, "seed is not known", param="seed").body, 400, seconds=0.02)]
    replies = run(server, [body(number) for number in range(30)], concurrency=3)
    assert len(server.requests) <= 3
    assert {told["param"] for (told,) in replies if told["fatal"]} == {"seed"}


def test_filtered_text_stops_nobody(server: Loopback) -> None:
    server.decide = lambda path, one: refusal(400, "no", code="content_filter") if one["prompt"] == "row 2" else FINE
    replies = run(server, [body(number) for number in range(6)])
    assert ["response" in told for (told,) in replies] == [True, True, False, True, True, True]
    assert replies[2][0]["filtered"]
    assert not replies[2][0]["fatal"]


# Stopping.


def test_stop_answers_what_is_under_way_and_drops_the_rest(server: Loopback) -> None:
    server.replies = [Reply(completion(), seconds=0.2)]

    async def stop(sender: Sender) -> None:
        while len(server.requests) < 3:
            await asyncio.sleep(0.005)
        sender.stop()
        sender.stop()

    replies = run(server, [body(number) for number in range(10)], stop, concurrency=3)
    assert len(server.requests) == 3
    assert sum("response" in told for (told,) in replies) == 3
    assert all(told["unsent"] and not told["fatal"] for (told,) in replies if "refused" in told)


def test_stop_ends_a_wait_and_keeps_count(server: Loopback) -> None:
    server.replies = [Reply(reset=True), Reply("{}", 429, headers={"retry-after": "500"})]

    async def stop(sender: Sender) -> None:
        while len(server.requests) < 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        sender.stop()

    ((told,),) = run(server, [body()], stop, tries=5)
    assert (told["unknown"], told["unsent"], told["fatal"]) == (1, True, False)


@pytest.mark.parametrize("limit", ["requests_per_min", "tokens_per_min"])
def test_stop_ends_a_wait_for_the_limits(server: Loopback, tmp_path: Path, limit: str) -> None:
    account = Ledger(tmp_path / "account", Caps())

    async def stop(sender: Sender) -> None:
        while not server.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        sender.stop()

    settings = {limit: 1.0, "shared": str(tmp_path / "limits"), "ledger": str(tmp_path / "account")}
    replies = run(server, [body(number) for number in range(4)], stop, **settings)
    assert len(server.requests) == 1
    assert sum("response" in told for (told,) in replies) == 1
    assert account.spent().requests == 1


def test_slots_of_the_machine_are_shared(server: Loopback, tmp_path: Path) -> None:
    server.replies = [Reply(completion(), seconds=0.02)]
    many = [body(number) for number in range(8)]

    async def second(_: Sender) -> None:
        wire = Wire(as_endpoint(server, concurrency=2, shared=str(tmp_path)))
        other, told = Sender(wire.endpoint, wire), list[Told]()
        for one in many:
            other.ask(COMPLETIONS, one, told.append)
        while len(told) < len(many):
            await asyncio.sleep(0.002)
        await wire.close()

    run(server, many, second, concurrency=2, shared=str(tmp_path))
    assert (server.most, len(server.requests)) == (2, 16)


# Money.


def test_requests_never_pass_a_cap(server: Loopback, tmp_path: Path) -> None:
    server.replies = [Reply(completion(), seconds=0.01)]
    path = tmp_path / "account"
    settings: dict[str, Any] = {"ledger": str(path), "concurrency": 8}
    replies = run(server, [body(number) for number in range(40)], caps={"requests": 9}, **settings)
    assert len(server.requests) == 9
    assert sum("response" in told for (told,) in replies) == 9
    assert {told["budget"] for (told,) in replies if told.get("fatal")} == {True}
    assert Ledger(path, Caps()).spent().requests == 9
    run(server, [body(number) for number in range(40)], caps={"requests": 49}, **settings)
    assert len(server.requests) == 49


def test_near_a_cap_it_waits_for_what_is_given_back(server: Loopback, tmp_path: Path) -> None:
    # One at a time has room: each reserves 42 tokens and costs 12.
    server.replies = [Reply(completion(), seconds=0.05)]
    replies = run(server, [body(number) for number in range(4)], ledger=str(tmp_path / "a"), caps={"tokens": 80})
    assert ["response" in told for (told,) in replies] == [True] * 4
    assert server.most == 1
    assert Ledger(tmp_path / "a", Caps()).spent().tokens == 48


def test_what_is_perhaps_billed_stays_spent_and_what_is_not_does_not(server: Loopback, tmp_path: Path) -> None:
    server.replies = [Reply(reset=True), Reply("{}", 500), Reply("{}", 429), FINE]
    ask(server, None, tries=3, ledger=str(tmp_path / "a"), caps={})
    spent = Ledger(tmp_path / "a", Caps()).spent()
    assert (spent.requests, spent.tokens) == (2, 42 + 12)


@pytest.mark.parametrize("claimed", [10**400, 1e308, -5, "many", None, True])
def test_answer_survives_any_usage_that_a_server_claims(server: Loopback, tmp_path: Path, claimed: object) -> None:
    raw = completion(usage={"prompt_tokens": claimed, "completion_tokens": 5})
    settings = {"ledger": str(tmp_path / "a"), "caps": {}, "rate": {"input": 1.0, "output": 1.0}}
    assert ask(server, Reply(raw), **settings)["response"] == raw


def test_answer_survives_an_account_that_breaks(
    server: Loopback, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account = tmp_path / "a"

    def decide(path: str, one: dict[str, Any]) -> Reply:
        account.write_bytes(b"spoiled")
        return FINE

    server.decide = decide
    settings: dict[str, Any] = {"ledger": str(account), "caps": {"requests": 5}, "concurrency": 1}
    replies = run(server, [body(number) for number in range(3)], **settings)
    assert replies[0][0]["response"] == FINE.body
    assert "damaged" in replies[1][0]["refused"]
    assert (replies[1][0]["fatal"], replies[1][0]["unsent"]) == (True, True)
    assert len(server.requests) == 1
    assert "what was reserved stays so" in caplog.text


# Mistakes.


def test_a_mistake_leaves_nobody_waiting(server: Loopback) -> None:
    # A body that is no JSON stands for any mistake; the loop tells of it.
    told: list[str] = []

    async def listen(_: Sender) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))

    replies = run(server, [body(seed=object()), body(1)], listen, concurrency=1)
    assert "TypeError in the process that sends requests" in replies[0][0]["refused"]
    assert (replies[0][0]["fatal"], replies[0][0]["unknown"]) == (True, 1)
    assert replies[1][0]["unsent"]
    assert "not JSON serializable" in told[0]


# The lines of its pipes.


def test_lines_are_answered_by_their_numbers(server: Loopback) -> None:
    server.decide = lambda path, one: Reply(completion(one["prompt"]), seconds=0.02 if one["prompt"] == "row 0" else 0)
    found: list[Told] = []

    async def go() -> None:
        reading, writing = os.pipe()
        back, out = os.pipe()
        wire = Wire(as_endpoint(server))
        source, target = os.fdopen(reading, "rb"), os.fdopen(out, "wb")
        lines, write = await open_pipes(source, target)
        work = asyncio.create_task(serve(lines, write, Sender(wire.endpoint, wire)))
        asked = [{"n": number, "path": COMPLETIONS, "body": body(number)} for number in range(3)]
        with os.fdopen(back, "rb") as answers:
            os.write(writing, "".join(json.dumps(one) + "\n" for one in asked).encode())
            found.extend([json.loads(await asyncio.to_thread(answers.readline)) for _ in range(3)])
            os.write(writing, b'{"stop": true}\n' + json.dumps({**asked[0], "n": 9}).encode() + b"\n")
            found.append(json.loads(await asyncio.to_thread(answers.readline)))
            os.close(writing)
            await work
        await wire.close()
        while not (source.closed and target.closed):  # by the loop
            await asyncio.sleep(0.002)

    asyncio.run(go())
    texts = {told["n"]: json.loads(told["response"])["choices"][0]["text"] for told in found[:3]}
    assert texts == {0: "row 0", 1: "row 1", 2: "row 2"}
    assert [told["n"] for told in found][2:] == [0, 9]
    assert found[3]["refused"] == "the job ends"


def test_key_is_in_no_reply(server: Loopback) -> None:
    for reply in (refusal(401, f"bad {KEY}"), refusal(500, KEY, param=KEY), Reply(KEY), Reply(completion(KEY))):
        assert KEY not in json.dumps(ask(server, reply))


def test_unreadable_account_is_told(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no account")
    told = ask(server, ledger=str(tmp_path / "a"), caps={"usd": 1.0})
    assert told["fatal"]
    assert told["unsent"]
    assert server.requests == []
    with pytest.raises(LlmError):
        Ledger(tmp_path / "a", Caps()).spent()
