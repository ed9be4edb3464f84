"""The hub on loopback answers as the real one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.hub import HubServer, Repository, parquet
from tests.integration.data.hub_worker import CSV, NAMES, SECRET, WRONG, Worker, folder, online, server

__all__ = ["folder", "online", "server"]

# The hub on loopback


def _get(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


def test_the_stand_in_serves_files_with_ranges(server: HubServer) -> None:
    made = Repository({"a.txt": b"0123456789"})
    server.repositories["acme/ranges"] = made
    url = f"{server.url}/datasets/acme/ranges/resolve/main/a.txt"
    status, body, headers = _get(url)
    assert (status, body, headers["x-repo-commit"]) == (200, b"0123456789", made.commit())
    assert _get(url, "HEAD")[::2] == (200, headers | {"date": _get(url, "HEAD")[2]["date"]})
    status, body, part = _get(url, Range="bytes=4-6")
    assert (status, body, part["content-range"], part["etag"]) == (206, b"456", "bytes 4-6/10", headers["etag"])
    assert _get(url, Range="bytes=8-")[:2] == (206, b"89")
    assert server.requests["HEAD /datasets/acme/ranges/resolve/main/a.txt"] == 2


def test_the_stand_in_lists_trees(server: HubServer) -> None:
    server.repositories["acme/tree"] = Repository({"a.txt": b"1", "in/b.txt": b"22", "in/deep/c.txt": b"333"})
    url = f"{server.url}/api/datasets/acme/tree/tree/main"

    def listed(more: str) -> set[str]:
        return {entry["path"] for entry in json.loads(_get(url + more)[1])}

    assert listed("") == {"a.txt", "in"}
    assert listed("/in") == {"in/b.txt", "in/deep"}
    assert listed("?recursive=True") == {"a.txt", "in", "in/b.txt", "in/deep", "in/deep/c.txt"}
    assert _get(url + "/out")[2]["x-error-code"] == "EntryNotFound"
    form = urllib.request.Request(  # noqa: S310
        url.replace("/tree/main", "/paths-info/main"), data=b"paths=a.txt&paths=in&paths=none&expand=False"
    )
    with urllib.request.urlopen(form) as answer:  # noqa: S310
        assert [entry["path"] for entry in json.loads(answer.read())] == ["in", "a.txt"]


def test_the_stand_in_refuses_as_the_hub_does(server: HubServer) -> None:
    server.repositories["acme/shut"] = Repository(CSV, token=SECRET, access="gated")
    file = f"{server.url}/datasets/acme/shut/resolve/main/train.csv"
    for url in (file, f"{server.url}/api/datasets/acme/shut/tree/main"):
        assert (_get(url)[0], _get(url)[2]["x-error-code"]) == (401, "GatedRepo")
        assert _get(url, Authorization=f"Bearer {WRONG}")[0] == 403
        assert _get(url, Authorization=f"Bearer {SECRET}")[0] == 200
    assert json.loads(_get(f"{server.url}/api/datasets/acme/shut")[1])["gated"] == "auto"
    assert _get(f"{server.url}/api/datasets/acme/absent")[2]["x-error-code"] == "RepoNotFound"
    assert _get(f"{server.url}/api/datasets/acme/shut/revision/x")[2]["x-error-code"] == "RevisionNotFound"
    assert _get(f"{server.url}/api/agent-harnesses")[0] == 404


def test_the_stand_in_writes_parquet_like_the_library(online: Worker, server: HubServer, tmp_path: Path) -> None:
    program = (
        "import sys, datasets; names = datasets.ClassLabel(names=['negative', 'positive'])\n"
        "rows = datasets.Dataset.from_dict({'text': ['a', 'b'], 'label': [1, -1]}, "
        "features=datasets.Features({'text': datasets.Value('string'), 'label': names}))\n"
        "datasets.disable_progress_bars(); rows.to_parquet(sys.argv[1])"
    )
    written = tmp_path / "train.parquet"
    kept = {**os.environ, "HF_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program, str(written)], env=kept, check=True)
    server.repositories["acme/written"] = Repository({"train.parquet": written.read_bytes()})
    server.repositories["acme/made"] = Repository(
        {"train.parquet": parquet({"text": ["a", "b"], "label": [1, -1]}, NAMES)}
    )
    theirs, ours = (online.open(f"acme/{name}", test=None)["train"] for name in ("written", "made"))
    assert theirs["rows"] == ours["rows"] == [{"text": "a", "label": "positive"}, {"text": "b", "label": None}]
    assert theirs["types"] == ours["types"]
