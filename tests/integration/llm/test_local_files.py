from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import ServerError
from hypermix.hashing import digest, file_digest
from hypermix.llm.local import files as module
from hypermix.llm.local.files import local_files, local_identity
from tests.hub import INVALID_TOKEN, HubServer, Repository, hub

ROOT = Path(__file__).parents[3]
FILES = {
    "config.json": b'{"model_type": "gpt2"}',
    "model.safetensors": b"weights",
    "tokenizer.json": b"{}",
    "merges.txt": b"a b",
    "README.md": b"hello",
    "pytorch_model.bin": b"a pickle",
    "modeling_own.py": b"code",
    "original/config.json": b"{}",
    "original/model.safetensors": b"weights",
    "consolidated.safetensors": b"weights",
}
TAKEN = ["config.json", "merges.txt", "model.safetensors", "tokenizer.json"]
SECRET = "hf_ownsecret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "model"
    found.mkdir()
    for name, content in FILES.items():
        if "/" not in name:
            (found / name).write_bytes(content)
    return found


def identity(folder: Path, cache: Path, **changed: Any) -> dict[str, str]:
    settings: dict[str, Any] = {"dtype": "float32", "context": 512, "batch_size": 8, **changed}
    return local_identity(folder, cache=cache, **settings)


# Folders.


def test_folder_is_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_files(str(folder), None) == folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert local_files("~/model", None) == folder
    monkeypatch.chdir(folder.parent)
    assert local_files("model", None) == Path("model")


@pytest.mark.parametrize("name", ["./gone", "/no/such/folder", "~/gone", "a/b/c", "C:\\model", "model.gguf", "{0}", ""])
def test_what_can_only_be_a_folder_is_not_sought_on_a_hub(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ServerError, match=r"no such folder|has no weights") as caught:
        local_files(name, None)
    assert "\n" not in str(caught.value)


def test_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(ServerError, match=r"is a folder, which has no revision 'v1'; set its revision to null"):
        local_files(str(folder), "v1")


def test_weights_are_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        ServerError, match=r"has no weights as safetensors \(model.safetensors or model.safetensors.ind"
    ):
        local_files(str(folder), None)


def index(folder: Path, content: object) -> None:
    (folder / "model.safetensors").unlink(missing_ok=True)
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))


def test_all_shards_must_be_there(folder: Path) -> None:
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index(folder, {"weight_map": {"a": names[0], "b": names[1], "c": names[0]}})
    (folder / names[0]).write_bytes(b"")
    with pytest.raises(ServerError, match=rf"lacks '{names[1]}', one of 1 missing weight files; fetch it again"):
        local_files(str(folder), None)
    (folder / names[1]).write_bytes(b"")
    assert local_files(str(folder), None) == folder


@pytest.mark.parametrize("content", [[], {}, {"weight_map": 3}, {"weight_map": [1]}, "x"])
def test_index_that_is_none_is_told(folder: Path, content: object) -> None:
    index(folder, content)
    with pytest.raises(ServerError, match=r"index.json: is no index of weights; fetch .+ again"):
        local_files(str(folder), None)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "weights.bin", "..", "sub/a.safetensors"])
def test_index_leads_to_no_other_place(folder: Path, name: str) -> None:
    index(folder, {"weight_map": {"a": name}})
    with pytest.raises(ServerError, match="which is no weight file of its folder"):
        local_files(str(folder), None)


# What stands for a model in request keys.


def test_identity_covers_the_files_that_are_loaded(folder: Path, tmp_path: Path) -> None:
    listed = [[name, file_digest(folder / name)] for name in TAKEN]
    assert identity(folder, tmp_path) == {
        "model_sha256": digest(listed),
        "dtype": "float32",
        "context": "512",
        "batch_size": "8",
    }


@pytest.mark.parametrize("name", TAKEN)
def test_other_file_is_another_model(folder: Path, tmp_path: Path, name: str) -> None:
    before = identity(folder, tmp_path)
    (folder / name).write_bytes(b"changed")
    assert identity(folder, tmp_path) != before


def test_new_name_is_another_model(folder: Path, tmp_path: Path) -> None:
    before = identity(folder, tmp_path)
    (folder / "merges.txt").rename(folder / "vocab.txt")
    assert identity(folder, tmp_path) != before


@pytest.mark.parametrize("name", [name for name in FILES if name not in TAKEN and "/" not in name])
def test_file_that_is_not_loaded_changes_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    before = identity(folder, tmp_path)
    (folder / name).unlink()
    assert identity(folder, tmp_path) == before


@pytest.mark.parametrize("changed", [{"dtype": "bfloat16"}, {"context": 513}, {"batch_size": 1}])
def test_settings_that_change_answers_change_the_identity(
    folder: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    assert identity(folder, tmp_path, **changed) != identity(folder, tmp_path)


def test_place_changes_nothing(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "other"))
    assert identity(copy, tmp_path / "a") == identity(folder, tmp_path / "b")


def test_unreadable_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"gone: cannot be read: No such file or directory"):
        identity(tmp_path / "gone", tmp_path)


# Large files are read once.


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are read whole from now on."""
    found: list[str] = []

    def counted(path: Path) -> str:
        found.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(module, "file_digest", counted)
    return found


def test_untouched_files_are_read_once(folder: Path, tmp_path: Path, read: list[str]) -> None:
    first = identity(folder, tmp_path / "cache")
    assert sorted(read) == TAKEN
    assert identity(folder, tmp_path / "cache") == first
    assert identity(folder.parent / "model" / ".." / "model", tmp_path / "cache") == first
    assert sorted(read) == TAKEN


def test_changed_file_alone_is_read_again(folder: Path, tmp_path: Path, read: list[str]) -> None:
    identity(folder, tmp_path)
    read.clear()
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert identity(folder, tmp_path) == identity(folder, tmp_path / "fresh")
    assert read == ["model.safetensors", *TAKEN]


def test_file_of_equal_size_and_time_is_read_again(folder: Path, tmp_path: Path, read: list[str]) -> None:
    weights = folder / "model.safetensors"
    times = weights.stat()
    before = identity(folder, tmp_path)
    weights.write_bytes(b"WEIGHTS")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert identity(folder, tmp_path) != before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": [1, 2, 3, "x"]}', b"\xff", b"null"])
def test_damaged_notes_count_as_none(folder: Path, tmp_path: Path, content: bytes) -> None:
    wanted = identity(folder, tmp_path / "fresh")
    (tmp_path / "digests.json").write_bytes(content)
    assert identity(folder, tmp_path) == wanted
    assert len(json.loads((tmp_path / "digests.json").read_text())) == len(TAKEN)


def test_notes_keep_other_models_and_forget_gone_files(folder: Path, tmp_path: Path, read: list[str]) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    identity(folder, tmp_path)
    identity(other, tmp_path)
    read.clear()
    identity(folder, tmp_path)
    assert read == []
    shutil.rmtree(other)
    (folder / "merges.txt").write_bytes(b"new")
    identity(folder, tmp_path)
    noted = json.loads((tmp_path / "digests.json").read_text())
    assert sorted(Path(place).parent.name for place in noted) == ["model"] * len(TAKEN)


# The hub.

WORKER = """
import json, os, sys
from hypermix.errors import LlmError
from hypermix.llm.local.files import local_files
for line in sys.stdin:
    asked = json.loads(line)
    os.environ["HF_TOKEN"] = asked.pop("token")
    try:
        folder = local_files(**asked)
        told = {"folder": str(folder), "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))}
    except LlmError as error:
        told = {"error": str(error), "kind": type(error).__name__}
    print(json.dumps(told), flush=True)
"""
Ask = Callable[..., dict[str, Any]]


def worker(home: Path, **environment: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WORKER],
        env={**kept, "PYTHONPATH": str(ROOT), "HF_HOME": str(home), **environment},
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def asking(process: subprocess.Popen[str]) -> Ask:
    def ask(model: str, revision: str | None = None, token: str = "", **more: Any) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"model": model, "revision": revision, "token": token, **more}) + "\n")
        process.stdin.flush()
        told: dict[str, Any] = json.loads(process.stdout.readline())
        assert "\n" not in told.get("error", "")
        assert SECRET not in told.get("error", "")
        return told

    return ask


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    with hub(
        {
            "acme/tiny": Repository(FILES, branches={"v2": {**FILES, "model.safetensors": b"newer"}}),
            "acme/pickle": Repository({name: FILES[name] for name in ("config.json", "pytorch_model.bin")}),
            "acme/public": Repository(FILES),
            "acme/gated": Repository(FILES, token=SECRET, access="gated"),
            "acme/private": Repository(FILES, token=SECRET),
            "acme/broken": Repository(FILES, faults={"acme/broken": 503}),
            "acme/reset": Repository(FILES, reset=("model.safetensors",)),
        }
    ) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def run(process: subprocess.Popen[str]) -> Iterator[Ask]:
    with process:
        yield asking(process)
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.close()
        assert process.stderr.read() == ""


@pytest.fixture(scope="module")
def online(server: HubServer, home: Path) -> Iterator[Ask]:
    yield from run(worker(home, HF_ENDPOINT=server.url))


@pytest.fixture(scope="module")
def offline(server: HubServer, home: Path) -> Iterator[Ask]:
    yield from run(worker(home, HF_ENDPOINT=server.url, HF_HUB_OFFLINE="1"))


def test_model_of_the_hub_is_downloaded_without_code_and_pickles(online: Ask, server: HubServer) -> None:
    found = online("acme/tiny")
    assert found["files"] == TAKEN
    assert Path(found["folder"]).name == server.repositories["acme/tiny"].commit()
    assert (Path(found["folder"]) / "model.safetensors").read_bytes() == b"weights"
    assert not server.asked(".bin") + server.asked(".py") + server.asked("original/")


def test_revision_is_another_model(online: Ask, server: HubServer, tmp_path: Path) -> None:
    main, other = (Path(online("acme/tiny", revision)["folder"]) for revision in (None, "v2"))
    assert identity(main, tmp_path) != identity(other, tmp_path)
    commit = server.repositories["acme/tiny"].commit("v2")
    assert Path(online("acme/tiny", commit)["folder"]) == other


def test_downloaded_files_are_not_asked_for_again(online: Ask, server: HubServer) -> None:
    online("acme/tiny")
    before = server.asked("acme/tiny/resolve")
    online("acme/tiny")
    assert server.asked("acme/tiny/resolve") == before


def test_without_network_the_last_download_is_used(online: Ask, offline: Ask, server: HubServer) -> None:
    wanted = online("acme/tiny")
    before = server.requests.total()
    assert offline("acme/tiny") == wanted
    assert online("acme/tiny", offline=True) == wanted
    assert server.requests.total() == before


def test_without_network_and_download_is_told(offline: Ask, online: Ask) -> None:
    for told in (offline("acme/never"), online("acme/never", offline=True)):
        assert told["kind"] == "ServerError"
        assert (
            "acme/never: revision 'main' is not on this machine as a whole, and the hub is not asked" in told["error"]
        )


@pytest.mark.parametrize(
    ("model", "revision", "token", "told"),
    [
        ("acme/none", None, SECRET, "there is no such folder, and the hub shows no such model"),
        ("acme/private", None, "hf_other", "or log in with HF_TOKEN or `hf auth login` if it is private"),
        ("acme/tiny", "v9", "", "has no revision 'v9'; write a commit, a branch or a tag"),
        ("acme/gated", None, "hf_other", "is gated, and the hub does not let you read it; accept the terms"),
        ("acme/public", None, INVALID_TOKEN, "the hub refuses your token (status 401)"),
        ("acme/broken", None, SECRET, "the hub answers with status 503; wait and run again"),
        ("acme/reset", None, "", "the hub cannot be reached, or the download broke off"),
        ("acme/pickle", None, "", "has no weights as safetensors"),
        ("acme--tiny..x", None, "", "is no folder and no id of the hub; name a folder with a model"),
    ],
)
def test_hub_that_says_no_is_told(online: Ask, model: str, revision: str | None, token: str, told: str) -> None:
    found = online(model, revision, token)
    assert found["kind"] == "ServerError"
    assert found["error"].startswith(f"{model}: ")
    assert told in found["error"]


def test_token_opens_what_is_not_public(online: Ask) -> None:
    assert online("acme/private", token=SECRET)["files"] == TAKEN


def test_unreachable_hub_is_told(tmp_path: Path) -> None:
    process = worker(tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    with process:
        told = asking(process)("acme/tiny")
        assert process.stdin is not None
        process.stdin.close()
    assert told["error"].startswith("acme/tiny: the hub cannot be reached")
