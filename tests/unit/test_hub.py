"""What test_local_files.py does not show: commits, parts of sentence encoders, incomplete models, other errors."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hypermix import hub as module
from hypermix.errors import HypermixError, ServerError, TrainError
from hypermix.hub import commit_of, find_model
from tests.hub import HubServer, Repository, hub

ROOT = Path(__file__).parents[2]
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "modules.json": b"[]",
    "tokenizer.json": b"{}",
    "1_Pooling/config.json": b"{}",
    "2_Dense/model.safetensors": b"more",
    "onnx/model.safetensors": b"weights",
    "pytorch_model.bin": b"a pickle",
}
TAKEN = ["1_Pooling/config.json", "2_Dense/model.safetensors", "config.json", "model.safetensors", "modules.json"]
TAKEN += ["tokenizer.json"]
WORKER = """
import json, sys
from hypermix.errors import HypermixError, TrainError
from hypermix.hub import commit_of, find_model
for line in sys.stdin:
    try:
        folder = find_model(kind=TrainError, **json.loads(line))
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        told = {"folder": str(folder), "files": files, "commit": commit_of(folder)}
    except HypermixError as error:
        told = {"error": str(error), "kind": type(error).__name__}
    print(json.dumps(told), flush=True)
"""
Ask = Callable[..., dict[str, Any]]


def answering(home: Path, url: str) -> Iterator[Ask]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), "HF_HOME": str(home), "HF_ENDPOINT": url}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WORKER],
        env=environment,
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def ask(model: str, revision: str | None = None, **more: Any) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"model": model, "revision": revision, **more}) + "\n")
            process.stdin.flush()
            told: dict[str, Any] = json.loads(process.stdout.readline())
            assert "\n" not in told.get("error", "")
            return told

        yield ask
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    pickle = {"config.json": b"{}", "pytorch_model.bin": b"a pickle"}
    with hub({"acme/tiny": Repository(FILES), "acme/pickle": Repository(pickle)}) as running:
        yield running


@pytest.fixture(scope="module")
def ask(server: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    yield from answering(tmp_path_factory.mktemp("home"), server.url)


def test_parts_of_a_sentence_encoder_are_taken(ask: Ask, server: HubServer) -> None:
    found = ask("acme/tiny")
    assert found["files"] == TAKEN
    assert found["commit"] == server.repositories["acme/tiny"].commit()
    assert not server.asked("onnx") + server.asked(".bin")


def test_commit_that_is_there_is_not_asked_for(ask: Ask, server: HubServer) -> None:
    commit = server.repositories["acme/tiny"].commit()
    first = ask("acme/tiny", commit)
    before = server.requests.total()
    assert ask("acme/tiny", commit) == first
    assert ask("acme/tiny", commit, offline=True) == first
    assert server.requests.total() == before


def test_incomplete_model_is_told_or_mended(ask: Ask) -> None:
    folder = Path(ask("acme/tiny")["folder"])
    (folder / "model.safetensors").unlink()
    told = ask("acme/tiny", offline=True)
    assert told["kind"] == "TrainError"
    assert "acme/tiny: revision 'main' is not on this machine as a whole, and the hub is not asked" in told["error"]
    assert ask("acme/tiny")["files"] == TAKEN


def test_pickles_are_refused(ask: Ask, server: HubServer) -> None:
    told = ask("acme/pickle")
    assert told["kind"] == "TrainError"
    assert "acme/pickle: has no weights as safetensors" in told["error"]
    assert not server.asked(".bin")


def test_no_network_is_told_at_once(tmp_path: Path) -> None:
    answers = answering(tmp_path, "http://127.0.0.1:9")
    ask = next(answers)
    ask("acme/first")  # imports the library
    started = time.perf_counter()
    told = ask("acme/tiny")
    assert time.perf_counter() - started < 5.0
    assert told["error"].startswith("acme/tiny: the hub cannot be reached, or the download broke off; check network")
    answers.close()  # type: ignore[attr-defined] # a generator


@pytest.mark.parametrize("kind", [TrainError, ServerError])
def test_error_is_of_the_kind_that_is_asked_for(kind: type[HypermixError], tmp_path: Path) -> None:
    with pytest.raises(kind, match=r"gone: no such folder; name a folder with a model, or an id of the hub"):
        find_model(str(tmp_path / "gone"), None, kind)


def test_full_disk_is_told() -> None:
    told = module._worded("main", OSError(errno.ENOSPC, "No space left on device"))
    assert told == (
        "cannot be stored: No space left on device; see that the cache, which HF_HOME names, can be written and has "
        "room"
    )


@pytest.mark.parametrize(
    ("path", "commit"),
    [("hub/snapshots/" + "a1" * 20, "a1" * 20), ("hub/snapshots/main", None), ("models/" + "a1" * 20, None)],
)
def test_commit_is_that_of_a_snapshot(path: str, commit: str | None) -> None:
    assert commit_of(Path(path)) == commit
