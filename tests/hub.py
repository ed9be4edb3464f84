"""A hub on the loopback interface: repositories of datasets and models over real HTTP, with real faults.

It speaks what `huggingface_hub` 2.4 and `datasets` 5.2 ask: information on a repository, its tree, its files with HEAD,
GET and ranges. Point HF_ENDPOINT at its URL, in the environment of a new process: the libraries read it on import.
"""

from __future__ import annotations

import hashlib
import io
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tests.serving import serving

Files = Mapping[str, bytes]
INVALID_TOKEN = "hf_invalid"
"""A token that the hub knows nothing of."""


@dataclass(frozen=True)
class Repository:
    """A dataset or a model on the hub; the stand-in does not tell which.

    Attributes:
        files: What the branch ``main`` holds, by path.
        branches: What other branches hold.
        token: Who sends it may read; empty lets everybody.
        access: ``private`` hides the repository from others; ``gated`` shows that it is there.
        faults: The status with which requests are answered that hold one of these words.
        cut: Downloads of these files end half-way, as often as the number says.
        reset: Downloads of these files break half-way with a reset, always.
    """

    files: Files
    branches: Mapping[str, Files] = field(default_factory=dict)
    token: str = ""
    access: Literal["private", "gated"] = "private"
    faults: Mapping[str, int] = field(default_factory=dict)
    cut: Mapping[str, int] = field(default_factory=dict)
    reset: tuple[str, ...] = ()

    def commits(self) -> dict[str, tuple[str, Files]]:
        """Return the commit and the files by the name of each revision; a commit is a name of its own."""
        named = {name: (_commit(files), files) for name, files in {"main": self.files, **self.branches}.items()}
        return {**{commit: (commit, files) for commit, files in named.values()}, **named}

    def commit(self, branch: str = "main") -> str:
        """Return the newest commit of a branch."""
        return self.commits()[branch][0]


@dataclass
class HubServer:
    """A running hub.

    Attributes:
        url: What HF_ENDPOINT takes.
        repositories: By their ids; a test may put in another while the hub runs.
        requests: How often each method and path was asked for, such as ``GET /api/datasets/acme/reviews``.
        tokens: What the requests brought as a bearer.
    """

    url: str
    repositories: dict[str, Repository]
    requests: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)

    def asked(self, word: str) -> int:
        """Count the requests that hold a word, such as the id of a dataset."""
        return sum(count for request, count in self.requests.items() if word in request)


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Literal["", "cut", "reset"] = ""


def parquet(columns: Mapping[str, Any], names: Mapping[str, list[str]] | None = None) -> bytes:
    """Write a Parquet file as `datasets.Dataset.to_parquet` does.

    Args:
        columns: Lists or Arrow arrays.
        names: The names of the labels, by the columns that are class labels.
    """
    kinds = {int: "int64", str: "string", float: "float64"}
    features: dict[str, Any] = {}
    for column, values in columns.items():
        kind = kinds[next(type(value) for value in [*pa.array(values).to_pylist(), ""] if value is not None)]
        known = (names or {}).get(column)
        features[column] = {"names": known, "_type": "ClassLabel"} if known else {"dtype": kind, "_type": "Value"}
    told = json.dumps({"info": {"features": features}})
    table = pa.table(dict(columns)).replace_schema_metadata({"huggingface": told})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def card(configs: Mapping[str, Mapping[str, str]], default: str | None = None) -> bytes:
    """Write a README that names configurations.

    Args:
        configs: The file of each split, by configuration.
        default: The configuration that is taken where none is named.
    """
    lines = ["---", "configs:"]
    for name, splits in configs.items():
        lines += [f"- config_name: {name}", *(["  default: true"] if name == default else []), "  data_files:"]
        lines += [line for split, path in splits.items() for line in (f"  - split: {split}", f"    path: {path}")]
    return "\n".join([*lines, "---", ""]).encode()


@contextmanager
def hub(repositories: Mapping[str, Repository]) -> Iterator[HubServer]:
    """Run a hub for the length of a block.

    Args:
        repositories: By their ids, such as ``acme/reviews``.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    told = HubServer(f"http://127.0.0.1:{server.server_address[1]}", dict(repositories))
    server.RequestHandlerClass = _handler(told, threading.Lock())
    with serving(server):
        yield told


def _handler(told: HubServer, lock: threading.Lock) -> type[BaseHTTPRequestHandler]:
    cuts: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_HEAD(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve(parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()))

        def _serve(self, form: Mapping[str, list[str]] | None = None) -> None:
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            parts = urlsplit(self.path)
            with lock:
                told.requests[f"{self.command} {unquote(parts.path)}"] += 1
                told.tokens[token] += 1
                answer = _answer(told, parts.path, parse_qs(parts.query), token, form or {})
                if answer.status == 200 and self.command == "GET" and "/resolve/" in parts.path:
                    answer = self._part(_faulty(told, parts.path, answer, cuts))
            self._send(answer)

        def _part(self, answer: _Answer) -> _Answer:
            asked = self.headers.get("range")
            if asked is None:
                return answer
            first, _, last = asked.removeprefix("bytes=").partition("-")
            size, start = len(answer.body), int(first)
            end = min(int(last), size - 1) if last else size - 1
            headers = {**answer.headers, "content-range": f"bytes {start}-{end}/{size}"}
            return _Answer(206, answer.body[start : end + 1], headers, answer.fault)

        def _send(self, answer: _Answer) -> None:
            self.send_response(answer.status)
            for name, value in {"content-length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(answer.body[: len(answer.body) // 2] if answer.fault else answer.body)
            if answer.fault == "reset":
                # With no time to linger, closing sends a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def finish(self) -> None:
            if self.connection.fileno() >= 0:
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Stay silent."""

    return Handler


def _answer(
    told: HubServer, path: str, query: Mapping[str, list[str]], token: str, form: Mapping[str, list[str]]
) -> _Answer:
    pieces = [unquote(piece) for piece in path.strip("/").split("/")]
    api = pieces[0] == "api" and pieces[1:2] in (["datasets"], ["models"])
    model_file = pieces[2:3] == ["resolve"]
    if not api and not model_file and pieces[0] != "datasets":
        return _error(404, "", "no such page")
    pieces = pieces[2 if api else 0 if model_file else 1 :]
    if token == INVALID_TOKEN:
        return _error(401, "", "Invalid credentials in Authorization header")
    repository = told.repositories.get("/".join(pieces[:2]))
    barred = repository is not None and repository.token not in ("", token)
    if repository is None or (barred and repository.access == "private"):
        return _error(404 if token else 401, "RepoNotFound", "Repository not found")
    for word, status in repository.faults.items():
        if word in unquote(path):
            return _error(status, "", f"No answer for the token {token}", {"retry-after": "0"})
    # A server that repeats the token must not get it into a message.
    gate = _error(403 if token else 401, "GatedRepo", f"Access to {pieces[1]} is restricted for the token {token}")
    what, revision, inner = (*pieces[2:4], "/".join(pieces[4:])) if len(pieces) > 2 else ("revision", "main", "")
    known = repository.commits()
    if revision not in known:
        return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    commit, files = known[revision]
    if what == "revision":
        gated = "auto" if repository.token and repository.access == "gated" else False
        siblings = [{"rfilename": name} for name in files]
        return _json({"id": "/".join(pieces[:2]), "sha": commit, "siblings": siblings, "gated": gated})
    if barred:
        return gate
    if what == "tree":
        return _tree(files, inner, query.get("recursive", ["false"])[0].lower() == "true")
    if what == "paths-info":
        wanted = [entry for entry in _entries(files) if entry["path"] in form.get("paths", [])]
        return _json(wanted)
    return _file(files, inner, commit)


def _tree(files: Files, folder: str, recursive: bool) -> _Answer:
    prefix = f"{folder}/" if folder else ""
    inside = [entry for entry in _entries(files) if entry["path"].startswith(prefix)]
    if folder and not inside:
        return _error(404, "EntryNotFound", f"{folder} does not exist")
    return _json([entry for entry in inside if recursive or "/" not in entry["path"].removeprefix(prefix)])


def _entries(files: Files) -> list[dict[str, Any]]:
    folders = {"/".join(path.split("/")[:depth]): None for path in files for depth in range(1, path.count("/") + 1)}
    listed = [{"type": "directory", "path": path, "oid": _digest(path.encode()), "size": 0} for path in folders]
    return listed + [
        {"type": "file", "path": path, "oid": _digest(content), "size": len(content)} for path, content in files.items()
    ]


def _file(files: Files, path: str, commit: str) -> _Answer:
    if path not in files:
        return _error(404, "EntryNotFound", "Entry not found", {"x-repo-commit": commit})
    headers = {"etag": f'"{_digest(files[path])}"', "x-repo-commit": commit, "accept-ranges": "bytes"}
    return _Answer(200, files[path], {**headers, "content-type": "application/octet-stream"})


def _faulty(told: HubServer, path: str, answer: _Answer, cuts: Counter[str]) -> _Answer:
    """Let a download break off, and count it."""
    owner, name, _, _, inner = unquote(path).removeprefix("/datasets").removeprefix("/").split("/", 4)
    repository = told.repositories[f"{owner}/{name}"]
    cuts[path] += 1
    if inner in repository.reset:
        return replace(answer, fault="reset")
    return replace(answer, fault="cut" if cuts[path] <= repository.cut.get(inner, 0) else "")


def _json(value: object) -> _Answer:
    return _Answer(200, json.dumps(value).encode(), {"content-type": "application/json"})


def _error(status: int, code: str, message: str, more: Mapping[str, str] | None = None) -> _Answer:
    headers = {"x-error-message": message, "content-type": "application/json", **(more or {})}
    return _Answer(
        status, json.dumps({"error": message}).encode(), {**headers, **({"x-error-code": code} if code else {})}
    )


def _commit(files: Files) -> str:
    return _digest(json.dumps({path: _digest(content) for path, content in sorted(files.items())}).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
