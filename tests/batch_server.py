"""A stand-in of OpenAI's files and batches on the loopback interface, which keeps them and fails as told."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hypermix.llm.batch.backend import BatchBackend
from hypermix.llm.batch.submission import Timing
from hypermix.llm.store import Answer, Question, Record, RequestStore
from hypermix.records import CHAT
from tests.serving import serving

KEY = "sk-planted-key"


def answer(key: str, **usage: int) -> dict[str, Any]:
    """Word the body of a chat answer that tells its question."""
    message = {"role": "assistant", "content": f"answer to {key}", "refusal": None}
    counted = usage or {"prompt_tokens": 7, "completion_tokens": 5}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": counted}


def line(key: str, body: Any = None, status: int = 200, error: Any = None) -> bytes:
    """Word a line of a file of answers."""
    response = {"status_code": status, "request_id": f"req_{key[:8]}", "body": answer(key) if body is None else body}
    told = {"id": "batch_req_1", "custom_id": key, "response": None if error else response, "error": error}
    return json.dumps(told).encode() + b"\n"


def refusal(key: str, status: int, message: str = "no", **more: Any) -> bytes:
    """Word a line of an error file."""
    return line(key, {"error": {"message": message, **more}}, status)


@dataclass(frozen=True)
class End:
    """How a batch ends.

    Attributes:
        status: What it ends as.
        looks: How often it is looked at before.
        answered: Its output for its questions, line by line; the whole answers by default.
        failed: Its error file, in the same way.
        errors: Why it failed as a whole.
    """

    status: str = "completed"
    looks: int = 0
    answered: Callable[[list[str]], list[bytes]] = lambda keys: [line(key) for key in keys]
    failed: Callable[[list[str]], list[bytes]] = lambda keys: []
    errors: list[dict[str, Any]] = field(default_factory=list)


def shuffled(keys: list[str]) -> list[bytes]:
    """Answer everything, in another order."""
    return [line(key) for key in random.Random(7).sample(keys, len(keys))]


def nothing(keys: list[str]) -> list[bytes]:
    """Answer nothing."""
    return []


@dataclass
class BatchServer:
    """A running stand-in.

    Attributes:
        base_url: URL up to and with ``/v1``.
        files: The files by id.
        batches: The batches by id, as they are told, the oldest first.
        ends: How the next batches end, in order; the last one stays.
        faults: What the next requests of a kind are answered instead: a status, or ``reset``, ``html``, ``cut``,
            ``quota``; with ``after`` before it the request is done, and its answer is lost.
        hidden: How often the list of batches comes without the latest one.
        page: Most batches of a page.
        event: Called with the kind of a request and ``before`` or ``after`` it is done, before it is answered.
        counts: Requests by kind: upload, create, list, look, content.
        broken: What a client did that no endpoint lets pass.
    """

    base_url: str
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    ends: list[End] = field(default_factory=lambda: [End()])
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    hidden: int = 0
    page: int = 100
    event: Callable[[str, str], None] = lambda kind, when: None
    counts: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)
    sent: dict[str, End] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def keys(self, batch: str) -> list[str]:
        """Return the custom ids of a batch."""
        content = self.files[self.batches[batch]["input_file_id"]]
        return [json.loads(line)["custom_id"] for line in content.splitlines()]

    def asked(self) -> Counter[str]:
        """Count in how many batches each question was."""
        return Counter(key for batch in self.batches for key in self.keys(batch))

    def _put(self, content: bytes) -> str:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = content
        return name

    def upload(self, content: bytes, content_type: str) -> dict[str, Any]:
        """Keep a file of a multipart form."""
        form = BytesParser(policy=HTTP).parsebytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + content)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        assert parts["purpose"].get_content().strip() == "batch"
        assert parts["file"].get_filename() == "batch.jsonl"
        payload = parts["file"].get_payload(decode=True)
        assert isinstance(payload, bytes)
        name = self._put(payload)
        told = {"object": "file", "bytes": len(payload), "created_at": 1, "filename": "batch.jsonl"}
        return {"id": name, "purpose": "batch", "status": "processed", **told}

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make a batch."""
        assert body["completion_window"] == "24h"
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        assert {(told["method"], told["url"]) for told in lines} == {("POST", body["endpoint"])}
        assert len({told["body"].get("model") for told in lines}) == 1
        name = f"batch_{len(self.batches) + 1}"
        self.sent[name] = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "created_at": int(time.time()),
            "status": "validating",
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            **body,
        }
        return self.batches[name]

    def listed(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """Return a page of the batches, the latest first."""
        names = list(self.batches)
        if self.hidden:
            self.hidden -= 1
            names = names[:-1]
        names.reverse()
        if "after" in query:
            names = names[names.index(query["after"][0]) + 1 :]
        most = min(self.page, int(query["limit"][0]))
        page = [self.batches[name] for name in names[:most]]
        return {"object": "list", "data": page, "has_more": len(names) > most}

    def look(self, name: str) -> dict[str, Any] | None:
        """Return a batch, and end it when it is time."""
        if name not in self.batches:
            return None
        batch, end = self.batches[name], self.sent[name]
        self.looks[name] += 1
        if self.looks[name] > end.looks and batch["status"] in {"validating", "in_progress"}:
            batch["status"] = end.status
            if end.status == "failed":
                batch["errors"] = {"object": "list", "data": end.errors}
            else:
                self._finish(batch, end)
        elif batch["status"] == "validating":
            batch["status"] = "in_progress"
        return batch

    def _finish(self, batch: dict[str, Any], end: End) -> None:
        keys = self.keys(batch["id"])
        answered, failed = end.answered(keys), end.failed(keys)
        counts = {"total": len(keys), "completed": len(answered), "failed": len(failed)}
        batch["request_counts"] = counts
        batch["output_file_id"] = self._put(b"".join(answered)) if answered else None
        batch["error_file_id"] = self._put(b"".join(failed)) if failed else None


class _Handler(BaseHTTPRequestHandler):
    told: BatchServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/files":
            self._do("upload", lambda: self.told.upload(body, self.headers["content-type"]))
        else:
            assert self.path == "/v1/batches"
            self._do("create", lambda: self.told.create(json.loads(body)))

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if found := re.fullmatch(r"/v1/files/([^/]+)/content", url.path):
            name = found[1]
            self._do("content", lambda: self.told.files.get(name))
        elif found := re.fullmatch(r"/v1/batches/([^/]+)", url.path):
            name = found[1]
            self._do("look", lambda: self.told.look(name))
        else:
            assert url.path == "/v1/batches"
            self._do("list", lambda: self.told.listed(parse_qs(url.query)))

    def _do(self, kind: str, do: Callable[[], Any]) -> None:
        told = self.told
        assert self.headers["authorization"] == f"Bearer {KEY}"
        told.event(kind, "before")
        with told.lock:
            told.counts[kind] += 1
            faults = told.faults.get(kind, [])
            fault = faults.pop(0) if faults else None
            if isinstance(fault, str) and fault.startswith("after "):
                do()
                fault = fault.removeprefix("after ")
                fault = int(fault) if fault.isdigit() else fault
            found = do() if fault in {None, "cut"} else None
        told.event(kind, "after")
        self._answer(fault, found)

    def _answer(self, fault: int | str | None, found: Any) -> None:
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if fault == "html":
            return self._reply(200, b"<html>a proxy</html>", "text/html")
        code = "insufficient_quota" if fault == "quota" else None
        if code or isinstance(fault, int) or found is None:
            status = 429 if code else fault if isinstance(fault, int) else 404
            error = {"message": f"status {status} for {KEY}", "code": code}
            return self._reply(status, json.dumps({"error": error}).encode())
        content = found if isinstance(found, bytes) else json.dumps(found).encode()
        return self._reply(200, content, cut=fault == "cut")

    def _reply(self, status: int, content: bytes, kind: str = "application/json", cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("retry-after-ms", "1")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Stay silent."""


@contextmanager
def batch_server() -> Iterator[BatchServer]:
    """Run a stand-in for the length of a block."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            error = sys.exception()
            if not isinstance(error, OSError):  # a client that was killed
                told.broken.append(repr(error))

    server = Server(("127.0.0.1", 0), BaseHTTPRequestHandler)
    told = BatchServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"told": told})
    with serving(server):
        yield told
    assert told.broken == []


def questions(count: int, base_url: str, **body: Any) -> list[Question]:
    """Return some questions of one model."""
    said = [{"role": "user", "content": f"Say {number}."} for number in range(count)]
    return [
        Question({"base_url": base_url}, CHAT, {"model": "gpt-6-luna", "messages": [told], "max_tokens": 9, **body}, "")
        for told in said
    ]


def stored(store: RequestStore) -> Callable[[str], Answer | None]:
    """Return what looks an answer up."""

    def find(key: str) -> Answer | None:
        record = store.get(key)
        return None if record is None else record.answer

    return find


def run_job(base_url: str, folder: Path, count: int, unstored: int | None = None, tries: int = 6) -> None:
    """Ask and store, as a job does; kill this process when so many answers are stored and one more has come."""
    store = RequestStore(folder / "requests")
    timing = Timing(poll=0.02, settling=0.05)
    backend = BatchBackend(base_url, KEY, folder / "batches", stored(store), tries=tries, timing=timing)
    for question in questions(count, base_url):
        if store.get(question.key) is None:
            backend.submit(question)
    done = 0
    while (came := backend.collect()) is not None:
        if done == unstored:
            os.kill(os.getpid(), signal.SIGKILL)
        question, result = came
        assert isinstance(result, Answer), result
        store.put(Record(question, result))
        done += 1
    backend.close()
