"""A key is planted in every place that the config can name, and searched for in all that a run leaves behind."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.endpoint import VARIABLE, hosted, write
from tests.loopback import Loopback, Reply, loopback, refusal
from tests.tiny import save_tiny_bert
from tests.workflow.conftest import Workspace

SECRET = "sk-planted-Zq81/w+7Xk"
"""Both keys begin with it; their ends tell where each one lay."""

KEYS = {"env": f"{SECRET}-of-env", "file": f"{SECRET}-of-file"}
KEY_FILE = "my.key"
LOUD = ("-p", "--verbose", "--printshellcmds", "--show-failed-logs")
MIX = {"method": "gpt3mix", "examples": 4, "max_tokens": 40, "labels": "hard"}
FAILING = ("locked", "bad", "reset", "broke", "crash")


def contents(path: Path) -> Iterator[bytes]:
    """Yield what a file holds: as it lies there, and what its compression hides."""
    raw = path.read_bytes()
    yield raw
    if raw.startswith(b"\x1f\x8b"):
        yield gzip.decompress(raw)
    if raw.startswith(b"PAR1"):
        table = pq.read_table(path, partitioning=None)
        yield repr(table.schema.metadata).encode()
        yield repr(table.to_pylist()).encode()


def names(path: Path) -> Iterator[str]:
    """Yield what a file is called; Snakemake calls its records by base64."""
    yield path.name
    try:
        yield base64.b64decode(path.name, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return


def find_secret(folder: Path) -> list[str]:
    """Return the files of a folder, hidden ones too, that hold a key in one of its spellings."""
    spellings = [SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], SECRET.replace("/", "\\/")]
    # In base64 the start depends on what stands before; the inner part is the same for each of three offsets.
    shifted = [base64.b64encode(b"x" * offset + SECRET.encode())[4:-4].decode() for offset in range(3)]
    wanted = [*spellings, *shifted]
    found = []
    for path in sorted(folder.rglob("*")):
        told = [name.encode() for name in names(path)] + (list(contents(path)) if path.is_file() else [])
        if any(spelling.encode() in text for spelling in wanted for text in told):
            found.append(str(path.relative_to(folder)))
    return found


@pytest.mark.parametrize("how", ["plain", "gzip", "column", "metadata", "name", "base64"])
def test_the_search_finds_a_key(tmp_path: Path, how: str) -> None:
    path = tmp_path / ".snakemake" / "some" / "file"
    path.parent.mkdir(parents=True)
    noise = "".join(random.Random(3).choices("0123456789abcdef", k=4000))
    column, metadata = ("x", SECRET) if how == "metadata" else (noise + SECRET, "x")
    if how == "gzip":
        path.write_bytes(gzip.compress(f"Bearer {SECRET}-of-env".encode()))
    elif how in ("column", "metadata"):
        schema = pa.schema([("text", pa.string())], metadata={"told": metadata})
        pq.write_table(pa.table({"text": [column]}, schema=schema), path, compression="zstd", write_statistics=False)
        assert how == "metadata" or SECRET.encode() not in path.read_bytes()  # its compression hides it
    elif how == "name":
        path = path.with_name(base64.b64encode(SECRET.encode()).decode().replace("/", "-"))
        path.touch()
    else:
        path.write_text(base64.b64encode(f"ab{SECRET}".encode()).decode() if how == "base64" else f"a {SECRET}")
    (tmp_path / "other").write_text("sk-planted")
    assert find_secret(tmp_path) == [str(path.relative_to(tmp_path))]


class Watch:
    """A server that repeats the key wherever it can, and looks at the list of processes at each request."""

    def __init__(self, server: Loopback, crash: Loopback) -> None:
        self.server = server
        self.listed: list[str] = []
        self.seen: set[str] = set()
        self.killed = 0
        self.healthy = False
        server.decide = self.answer
        crash.decide = self.crash
        self._port = int(crash.base_url.split(":")[2].split("/")[0])

    def answer(self, path: str, body: dict[str, Any]) -> Reply:
        """Answer by the name of the model."""
        key = self.server.requests[-1][1]["authorization"].removeprefix("Bearer ")
        self.seen.add(key)
        self.look()
        told = f"The key {key} (Authorization: Bearer {key}) is no good."
        faults = {
            "locked": refusal(401, told, code="invalid_api_key"),
            "bad": refusal(400, told, param=key, code=key, type=key),
            "reset": Reply(reset=True),
            "broke": refusal(429, told, code="insufficient_quota"),
        }
        if not self.healthy and body["model"] in faults:
            return faults[body["model"]]
        reply = write(path, body)
        body = {**json.loads(reply.body), "account": key, "system_fingerprint": key}
        return Reply(json.dumps(body), headers={"x-request-id": key, "set-cookie": key, "openai-version": key})

    def crash(self, path: str, body: dict[str, Any]) -> Reply:
        """Kill the process that has sent this request."""
        self.look()
        if self.healthy:
            return write(path, body)
        for process in psutil.process_iter():
            try:
                sends = "hypermix.llm.sender" in process.cmdline()
                if sends and any(end.raddr and end.raddr.port == self._port for end in process.net_connections("tcp")):
                    process.kill()
                    self.killed += 1
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return Reply(reset=True)

    def look(self) -> None:
        """Note the arguments of all processes."""
        found = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
        assert any("hypermix.llm.sender" in line for line in found)
        self.listed += found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Watch, str, list[str], str]:
    """Run everything that can fail, and then the same with success; return what was told and found after each."""
    workspace = Workspace(tmp_path_factory.mktemp("secrets"))
    loud = {"OPENAI_LOG": "debug", "HTTPX_LOG_LEVEL": "trace", "PYTHONUNBUFFERED": "1"}
    workspace.environment = {VARIABLE: KEYS["env"], **loud}
    (workspace.folder / KEY_FILE).write_text(f"{KEYS['file']}\n")
    bert = save_tiny_bert(tmp_path_factory.mktemp("bert"))
    config = workspace.config
    config["classifiers"] = {"tiny": {"method": "finetune", "model": str(bert), "batch_size": 4, "max_steps": 1}}
    config["subsample"]["train"], config["seeds"]["data"] = ["2s"], [1]
    config["llms"], config["augmenters"] = {}, {"none": {"method": "none"}}
    with loopback() as server, loopback() as crash:
        watch = Watch(server, crash)
        for place, name in enumerate((*FAILING, "good")):
            url, api = (crash if name == "crash" else server).base_url, ("completions", "chat")[place % 2]
            config["llms"][name] = hosted(url, name, api)
            if place % 2:
                config["llms"][name]["key"] = {"file": KEY_FILE}
            config["augmenters"][name] = {**MIX, "llm": name}
        first = workspace.run("--until", "augment", *LOUD, fails=True)
        found = find_secret(workspace.folder)
        watch.healthy = True
        config["only"] = [{"augmenter": "good"}, {"augmenter": "locked"}]
        second = workspace.run(*LOUD)
    return workspace, watch, first, found, second


Ran = tuple[Workspace, Watch, str, list[str], str]


def test_every_failure_happened(ran: Ran) -> None:
    workspace, watch, first, _, _ = ran
    assert watch.seen == set(KEYS.values())
    assert watch.killed >= 1
    for message in (
        "the key was refused: ",
        "was refused: Error code: 400",
        "the connection broke off",
        "the account has no credit left: ",
        "the process that sends requests ended with status -9; run again",
    ):
        assert message in first, message
    assert "[key]" in first  # the servers did repeat it
    done = {path.parent.parent.name for path in (workspace.results() / "augment").rglob("synthetic.parquet")}
    assert done == {"augmenter=none", "augmenter=good", "augmenter=locked"}


def test_the_sdk_stays_silent(ran: Ran) -> None:
    # With OPENAI_LOG=debug it would tell a header of each answer, whatever a server says there.
    for output in (ran[2], ran[4]):
        assert "openai._base_client" not in output
        assert " DEBUG" not in output


def test_no_key_is_told(ran: Ran) -> None:
    _, _, first, _, second = ran
    for output in (first, second):
        assert SECRET not in output
        assert "sk-planted" not in output


def test_no_key_lies_anywhere(ran: Ran) -> None:
    workspace, _, _, found, _ = ran
    assert found == [KEY_FILE]  # after the failures
    assert find_secret(workspace.folder) == [KEY_FILE]  # after the success
    searched = {path.relative_to(workspace.folder).parts[0] for path in workspace.folder.rglob("*") if path.is_file()}
    assert {".snakemake", "cache", "results"} <= searched
    assert list((workspace.folder / "cache" / "requests").rglob("*.json.gz"))
    assert (workspace.results() / "aggregate" / "report.html").is_file()
    assert list((workspace.results() / "logs").rglob("*.log"))


def test_no_key_stands_in_an_argument_list(ran: Ran) -> None:
    listed = ran[1].listed
    assert any("snakemake" in line for line in listed)
    assert not [line for line in listed if SECRET in line]
