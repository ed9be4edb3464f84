"""Hosted endpoints through real runs: a real server, one with faults, batches, and a local model by transformers."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from hypermix import tables
from hypermix.files import read_provenance
from hypermix.hashing import canonical_json
from hypermix.llm.embedded import serve
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.ledger import Caps, Ledger
from hypermix.llm.store import RequestStore
from hypermix.records import CHAT
from hypermix.steps.model import ledger_path
from tests.batch_server import KEY as BATCH_KEY
from tests.batch_server import End
from tests.endpoint import VARIABLE, batch_endpoint, dollars, hosted, write, write_rows
from tests.loopback import Loopback, Reply, loopback, refusal
from tests.tiny import save_tiny_bert
from tests.trained_lm import save_trained_lm
from tests.workflow.conftest import Workspace, review_rows

PRICE = {"input": 3.0, "output": 7.0, "as_of": "2026-11-22"}
MIX = {"method": "gpt3mix", "examples": 4, "max_tokens": 40, "attempts": 3}
NONE = {"method": "none"}
KEY = "sk-right-5d0c7f"


def mix(llm: str, label_source: str = "hard", **more: Any) -> dict[str, Any]:
    """Return the settings of an augmenter."""
    labels = "hard" if label_source == "hard" else "soft"
    return {**MIX, "llm": llm, "labels": labels, "label_source": label_source, **more}


def receipts(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Return the receipts by augmenter."""
    frame = tables.read(workspace.results() / "receipts", "receipt")
    return {row["augmenter"]: row for row in frame.to_dict("records")}


def rows_of(workspace: Workspace, augmenter: str) -> Any:
    """Return the rows of an augmenter that can be used."""
    rows = tables.read(workspace.results() / "augment", "synthetic")
    return rows[(rows["augmenter"] == augmenter) & rows["kept"]]


def provenance(workspace: Workspace, augmenter: str) -> dict[str, Any]:
    """Return what a file of rows says of its making."""
    (path,) = (workspace.results() / "augment").rglob(f"augmenter={augmenter}/*/synthetic.parquet")
    return dict(read_provenance(path))


def stored(workspace: Workspace) -> dict[Path, int]:
    """Return the files of the request store by when they were written."""
    return {
        path: path.stat().st_mtime_ns for path in (workspace.folder / "cache" / "requests").rglob("*") if path.is_file()
    }


def small(folder: Path, train: str = "2s") -> Workspace:
    """Return a workspace with one draw, without language models so far."""
    workspace = Workspace(folder, environment={VARIABLE: KEY})
    workspace.config["subsample"]["train"] = [train]
    workspace.config["seeds"]["data"] = [1]
    workspace.config["llms"], workspace.config["augmenters"] = {}, {"none": NONE}
    workspace.config["classifiers"]["minilm"]["model"] = str(save_tiny_bert(folder / "bert"))
    return workspace


# A real endpoint, by the two APIs.

SOURCES = {"line": ("logprobs", "classify", "vote", "scoring"), "talk": ("logprobs", "classify", "decisions")}


@pytest.fixture(scope="module")
def endpoint(gemma: Path) -> Iterator[Endpoint]:
    with serve(gemma, 768, threads=1) as running:
        yield running


@pytest.fixture(scope="module")
def asked(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """Return a workspace where a real endpoint was asked in every way, and what was told."""
    workspace = small(tmp_path_factory.mktemp("real"))
    bert = save_tiny_bert(tmp_path_factory.mktemp("bert"))
    tiny = {"method": "finetune", "model": str(bert), "batch_size": 4, "max_steps": 1}
    workspace.config["classifiers"] = {"tiny": tiny}
    workspace.environment = {VARIABLE: endpoint.api_key}
    for llm, api in (("line", "completions"), ("talk", "chat")):
        one_slot = {"concurrency": 1, "deadline": 300}
        workspace.config["llms"][llm] = hosted(endpoint.base_url, "gemma", api, price=PRICE, limits=one_slot)
        for source in SOURCES[llm]:
            votes = {"votes": 2} if source == "vote" else {}
            more = {"multiplier": 0.25 if source == "decisions" else 0.5}
            workspace.config["augmenters"][f"{llm}-{source}"] = mix(llm, source, **votes, **more)
    return workspace, workspace.run("--until", "augment", fails=True)


def test_rows_come_from_a_real_endpoint(asked: tuple[Workspace, str]) -> None:
    workspace, told = asked
    found = receipts(workspace)
    for llm, sources in SOURCES.items():
        for source in set(sources) - {"scoring", "decisions"}:
            rows = rows_of(workspace, f"{llm}-{source}")
            receipt = found[f"{llm}-{source}"]
            assert len(rows) == receipt["rows_kept"] > 0
            assert set(rows["label_source"]) == {source}
            assert set(rows["llm"]) == {llm}
            assert all(0.0 < mass <= 1.0 for mass in rows["label_mass"])
            assert all(sum(soft) == pytest.approx(1.0) and min(soft) > 0.0 for soft in rows["soft_label"])
            spent = receipt["prompt_tokens"] * PRICE["input"] + receipt["completion_tokens"] * PRICE["output"]
            assert receipt["usd"] == pytest.approx(spent / 1e6)
            assert receipt["usd"] >= receipt["usd_paid"]
            assert receipt["prompt_tokens"] > 50 * receipt["rows_kept"]
    assert "Traceback" not in told


def test_what_the_endpoint_does_not_take_is_refused_in_one_sentence(asked: tuple[Workspace, str]) -> None:
    workspace, told = asked
    assert (
        "label_source: scoring needs the log-probabilities of prompts, and the endpoint tells none; set label_source: "
        "classify\n"
    ) in told
    assert re.search(r"gemma at http://127\.0\.0\.1:\d+/v1: the endpoint makes no decisions: .*; set the aug", told)
    done = {path.parent.parent.name for path in (workspace.results() / "augment").rglob("synthetic.parquet")}
    assert not done & {"augmenter=line-scoring", "augmenter=talk-decisions"}


def test_what_the_endpoint_takes_stands_in_the_provenance(asked: tuple[Workspace, str]) -> None:
    workspace, told = asked
    for llm in ("line", "talk"):
        takes = provenance(workspace, f"{llm}-logprobs")["abilities"]
        assert (takes["chat"], takes["structured"]) == (llm == "talk", llm == "talk")
        assert (takes["logprobs"], takes["echo"], takes["n"], takes["seed"]) == (20, False, False, True)
    assert "gemma takes no n; requests go without" in told


def test_the_store_knows_a_hosted_model_by_its_url(asked: tuple[Workspace, str], endpoint: Endpoint) -> None:
    workspace = asked[0]
    store = RequestStore(workspace.folder / "cache" / "requests")
    records = [record for record in map(store.get, store.keys()) if record is not None]
    assert {canonical_json(record.question.identity) for record in records} == {
        canonical_json({"base_url": endpoint.base_url})
    }
    keys = {record.question.key for record in records}
    assert set(rows_of(workspace, "line-logprobs")["request_key"]) <= keys
    assert provenance(workspace, "line-logprobs")["model"] == {"base_url": endpoint.base_url}


def test_runtime_settings_rerun_nothing(asked: tuple[Workspace, str]) -> None:
    workspace = elsewhere(asked[0])
    assert re.search(r"total +0\n", workspace.run("-n", "--until", "augment"))


def elsewhere(workspace: Workspace) -> Workspace:
    """Return a workspace with other runtime settings, and without the augmenters that fail."""
    other = Workspace(workspace.folder, deepcopy(workspace.config))
    for llm in other.config["llms"].values():
        llm |= {"price": {**PRICE, "input": 30.0}, "key": {"env": "HYPERMIX_NO_SUCH_KEY"}}
        llm["limits"] = {"concurrency": 3, "requests_per_min": 9, "tries": 2}
    other.config["budget"] = {"usd": 0.0, "requests": 0, "tokens": 0}
    for name in ("line-scoring", "talk-decisions"):
        del other.config["augmenters"][name]
    return other


def test_a_whole_run_replays_without_a_key_and_tells_the_costs(asked: tuple[Workspace, str]) -> None:
    # No key, and a budget of nothing: whatever is not stored would end the run.
    workspace = elsewhere(asked[0])
    before, rows = stored(workspace), rows_of(workspace, "line-logprobs")
    workspace.config["augmenters"] = {name: workspace.config["augmenters"][name] for name in ("none", "line-logprobs")}
    (receipt,) = workspace.results().rglob("augmenter=line-logprobs/*/receipt.parquet")
    receipt.unlink()
    workspace.run()
    assert stored(workspace) == before
    assert rows_of(workspace, "line-logprobs").equals(rows)
    again = receipts(workspace)["line-logprobs"]
    assert (again["requests_paid"], again["usd_paid"]) == (0, 0.0)
    assert again["requests_replayed"] >= len(rows)
    (cost,) = tables.read(workspace.results() / "aggregate" / "costs.parquet", "costs").to_dict("records")
    usd = (again["prompt_tokens"] * 30.0 + again["completion_tokens"] * PRICE["output"]) / 1e6
    assert (cost["augmenter"], cost["llm"]) == ("line-logprobs", "line")
    assert (cost["requests_paid"], cost["requests_replayed"]) == (0, again["requests_replayed"])
    assert cost["usd"] == pytest.approx(usd)
    assert cost["usd_per_kept_row"] == pytest.approx(usd / again["rows_kept"])
    assert "line-logprobs" in (workspace.results() / "aggregate" / "report.html").read_text(encoding="utf-8")


def test_sources_that_an_api_cannot_give_are_config_mistakes(tmp_path: Path) -> None:
    workspace = small(tmp_path)
    for api, source in (("completions", "decisions"), ("chat", "scoring")):
        workspace.config["llms"][api] = hosted("http://127.0.0.1:9/v1", "tiny", api)
        workspace.config["augmenters"][f"{api}-{source}"] = mix(api, source)
    told = workspace.run("-n", fails=True)
    assert "the config has 2 mistakes" in told
    assert "augmenters.completions-decisions.label_source: 'decisions' stands there; " in told
    assert "augmenters.chat-scoring.label_source: 'scoring' stands there; " in told


# Faults. The tests share a folder, so that data are drawn once.


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a workspace whose data are drawn."""
    folder = tmp_path_factory.mktemp("faults")
    small(folder).run("--until", "augment")
    return folder


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        running.decide = write
        yield running


def ledger(workspace: Workspace) -> Ledger:
    """Return the account of an experiment."""
    path = ledger_path({"cache": str(workspace.folder / "cache"), "results": "results"})
    return Ledger(path, Caps())


def asks(server: Loopback) -> Counter[str]:
    """Count the requests by all that they say."""
    return Counter(canonical_json(body) for body, _ in server.requests)


def test_faults_are_told_and_a_second_run_goes_on(drawn: Path, server: Loopback) -> None:
    def refuse(path: str, body: dict[str, Any]) -> Reply:
        if server.requests[-1][1]["authorization"] != f"Bearer {KEY}":
            return refusal(401, "Incorrect API key provided.", code="invalid_api_key")
        return faults[body["model"]]

    faults = {
        "broke": refusal(429, "You exceeded your current quota.", code="insufficient_quota"),
        "gone": refusal(404, "The model does not exist.", code="model_not_found"),
        "html": Reply("<html>a gate</html>", kind="text/html"),
        "late": Reply(refusal(429, "Slow down.").body, 429, headers={"retry-after": "3600"}),
    }
    server.decide = refuse
    workspace = small(drawn)
    workspace.environment["HYPERMIX_WRONG_KEY"] = "sk-wrong-1a2b3c"
    for name in (*faults, "locked", "unset"):
        workspace.config["llms"][name] = hosted(server.base_url, name)
        workspace.config["augmenters"][name] = mix(name)
    workspace.config["llms"]["locked"]["key"] = {"env": "HYPERMIX_WRONG_KEY"}
    workspace.config["llms"]["unset"]["key"] = {"env": "HYPERMIX_UNSET_KEY"}
    told = workspace.run("--until", "augment", fails=True)
    at = f" at {server.base_url}: "
    for message in (
        f"locked{at}the key was refused: ",
        "check the llm's key in the config and where it points to",
        f"broke{at}the account has no credit left: ",
        "add credit there, and run again",
        f"gone{at}there is no such model or address: ",
        "check the llm's model and base_url",
        f"html at {server.base_url} gave no answer in 1 try: ",
        f"late at {server.base_url} asks for a pause of 3600 s",
        "the environment variable HYPERMIX_UNSET_KEY, which should hold the key of the language model, is not set",
    ):
        assert message in told, message
    assert "Traceback" not in told
    assert "sk-wrong" not in told
    # Nobody asks again with a key that was refused, or without credit.
    assert Counter(body["model"] for body, _ in server.requests) == Counter([*faults, "locked"])
    # What was refused is not paid; an answer that is none came with status 200, and was perhaps paid.
    (claim,) = stored(workspace)
    assert claim.suffix == ".started"

    server.decide = write
    for name in ("locked", "unset"):
        workspace.config["llms"][name]["key"] = {"env": VARIABLE}
    for name in ("gone", "late"):  # two that are mended stand for four
        del workspace.config["augmenters"][name]
    told = workspace.run("--until", "augment")
    assert re.search(r"augment +4\n", told)
    assert all(len(rows_of(workspace, name)) == 4 for name in ("broke", "html", "locked", "unset"))
    found = receipts(workspace)
    assert (found["broke"]["requests_unknown"], found["html"]["requests_unknown"]) == (0, 1)


def test_a_budget_of_requests_stops_cleanly_and_goes_on(
    drawn: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = small(drawn)
    # The two have a model and so its limits in common; `user` tells whose request it is.
    for name in ("left", "right"):
        workspace.config["llms"][name] = hosted(server.base_url, "shared", extra={"user": name}, price=PRICE)
        workspace.config["augmenters"][name] = mix(name, multiplier=3.0)
    before = ledger(workspace).spent().requests
    workspace.config["budget"] = {"requests": before + 5}
    told = workspace.run("--until", "augment", fails=True)
    assert f"budget.requests: of {before + 5}, {before + 5} is spent" in told
    assert "raise budget.requests in the config and run again" in told
    assert "Traceback" not in told
    assert len(server.requests) == 5
    assert not list((workspace.results() / "augment").rglob("augmenter=left/*/synthetic.parquet"))

    met: list[bool] = []
    monkeypatch.setattr(server, "come", wait_for_both(server, met))
    server.most = 0
    workspace.config["budget"] = {"requests": before + 28}
    workspace.run("--until", "augment")
    # The rows, and two looks at what the endpoint takes; none twice.
    assert len(asks(server)) == len(server.requests) == 2 * (12 + 2)
    assert ledger(workspace).spent().requests == before + 28
    found = [receipts(workspace)[name] for name in ("left", "right")]
    assert sum(receipt["requests_paid"] for receipt in found) == 23
    assert all(12 <= receipt["requests_paid"] + receipt["requests_replayed"] <= 14 for receipt in found)
    # Both jobs were at work at once, and together they kept to the limit of two requests.
    assert met == [True, True]
    assert server.most == 2


def wait_for_both(server: Loopback, met: list[bool]) -> Callable[..., Reply]:
    """Hold the first request of each job until the other one has come too; until then the others are slow."""
    come, seen, both = server.come, set[str](), threading.Event()
    server.decide = lambda path, body: write(path, body, seconds=0.1 if len(seen) == 2 else 0.6)

    def hold(path: str, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        reply, first = come(path, body, headers), body["user"] not in seen
        seen.add(body["user"])
        if len(seen) == 2:
            both.set()
        if first:
            met.append(both.wait(60))
        return reply

    return hold


def test_a_budget_of_dollars_stops_cleanly_and_a_rate_is_shared(drawn: Path, server: Loopback) -> None:
    workspace = small(drawn)
    price = {**PRICE, "input": 1000.0, "output": 5000.0}
    for name in ("first", "second"):
        llm = hosted(server.base_url, "dear", extra={"user": name}, price=price)
        llm["limits"] |= {"requests_per_min": 150, "concurrency": 8}
        workspace.config["llms"][name] = llm
        workspace.config["augmenters"][name] = mix(name, multiplier=1.5)
    before = ledger(workspace).spent().usd
    workspace.config["budget"] = {"usd": before + 1.5}
    told = workspace.run("--until", "augment", fails=True)
    assert re.search(r"budget\.usd: of \$[0-9.]+, \$[0-9.]+ is spent or held by requests under way", told)
    assert "raise budget.usd in the config and run again" in told
    done = len(server.requests)
    assert 0 < done < 16
    assert ledger(workspace).spent().usd == pytest.approx(before + dollars(done, price))
    assert dollars(done, price) <= 1.5

    times: list[float] = []

    def note(path: str, body: dict[str, Any]) -> Reply:
        times.append(time.monotonic())
        return write(path, body)

    server.decide = note
    workspace.config["budget"] = {"usd": before + 100.0}
    workspace.run("--until", "augment")
    assert len(asks(server)) == len(server.requests) == 2 * (6 + 2)
    found = receipts(workspace)
    for name in ("first", "second"):
        receipt = found[name]
        assert receipt["usd"] == pytest.approx(dollars(receipt["requests_paid"] + receipt["requests_replayed"], price))
    paid = sum(found[name]["usd_paid"] for name in ("first", "second"))
    assert paid == pytest.approx(dollars(16 - done, price))
    # At 2.5 a second, with half a second that may be caught up with; a rate for each job would be twice as fast.
    assert times[-1] - times[0] >= (len(times) - 1) / 2.5 - 0.6
    assert ledger(workspace).spent().usd == pytest.approx(before + dollars(16, price))


def test_votes_of_a_chat_are_counted(drawn: Path, server: Loopback) -> None:
    workspace = small(drawn)
    workspace.config["llms"]["voter"] = hosted(server.base_url, "voter", "chat")
    workspace.config["augmenters"]["voter"] = mix("voter", "vote", votes=4)
    workspace.run("--until", "augment")
    rows = rows_of(workspace, "voter")
    assert {tuple(soft) for soft in rows["soft_label"]} == {(0.5, 0.5)}  # the letters come in turn
    assert (set(rows["label_source"]), set(rows["label_mass"])) == ({"vote"}, {1.0})
    assert set(server.paths) == {CHAT}
    assert [body["n"] for body, _ in server.requests if "n" in body] == [2, 4, 4, 4, 4]
    receipt = receipts(workspace)["voter"]
    assert receipt["usd"] != receipt["usd"]  # without a price no dollars are invented
    assert receipt["prompt_tokens"] == 100 * (receipt["requests_paid"] + receipt["requests_replayed"]) == 1000


# A batch, and a model that runs here.


def test_a_killed_run_finds_its_batch_again(tmp_path: Path) -> None:
    with batch_endpoint() as server:
        server.ends = [End(looks=10**6)]
        workspace = small(tmp_path)
        workspace.environment = {VARIABLE: BATCH_KEY}
        llm = hosted(server.base_url, "gpt-6-luna", "batch", price=PRICE, poll=0.1)
        workspace.config["llms"] = {"cheap": llm}
        workspace.config["augmenters"] = {"cheap": mix("cheap")}
        workspace.kill(lambda: server.counts["look"] >= 2, "--until", "augment")
        assert list(server.batches) == ["batch_1"]
        assert not list(workspace.results().rglob("synthetic.parquet"))

        server.sent["batch_1"] = write_rows(server)
        workspace.run("--until", "augment", "--nolock")
        assert list(server.batches) == ["batch_1"]
        assert server.counts["upload"] == server.counts["create"] == 1
        assert server.counts["direct"] == 2  # what the endpoint takes
    assert len(rows_of(workspace, "cheap")) == 4
    receipt = receipts(workspace)["cheap"]
    assert (receipt["requests_paid"], receipt["requests_unknown"]) == (4, 0)
    # The price of the config is that of a batch; nothing is halved a second time.
    assert receipt["usd"] == pytest.approx(dollars(4, PRICE))
    assert not list((tmp_path / "cache" / "batches").glob("*.json"))


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a language model that has learned to write rows."""
    words = {"1": "Negative", "5": "Positive"}
    lines = [f"Movie review: {row['review']} (Sentiment: {words[row['stars']]})" for row in review_rows(200, 9)]
    return save_trained_lm(tmp_path_factory.mktemp("lm"), lines)


def test_a_model_of_transformers_writes_rows(tmp_path: Path, lm: Path) -> None:
    workspace = small(tmp_path)
    workspace.config["llms"]["here"] = {"api": "transformers", "model": str(lm), "context": 256}
    for source in ("logprobs", "scoring"):
        workspace.config["augmenters"][source] = mix("here", source, attempts=9)
    workspace.run("--until", "augment")
    for source in ("logprobs", "scoring"):
        rows = rows_of(workspace, source)
        assert len(rows) == 4
        assert set(rows["label_source"]) == {source}
        assert all(sum(soft) == pytest.approx(1.0) and min(soft) > 0.0 for soft in rows["soft_label"])
        assert all(0.5 < mass <= 1.0 for mass in rows["label_mass"])  # it has learned where a label word stands
        receipt = receipts(workspace)[source]
        assert (receipt["usd"], receipt["rows_kept"]) == (0.0, 4)
        assert receipt["requests_paid"] >= 4
    assert provenance(workspace, "scoring")["abilities"]["echo"] is True
