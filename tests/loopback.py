"""A server on the loopback interface that answers as told: a real endpoint with real faults."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.serving import serving


def completion(text: str = " a fine film (Sentiment: Positive)", **more: Any) -> str:
    """Word an answer of a completions endpoint."""
    choice = {"text": text, "index": 0, "finish_reason": "stop", "logprobs": None}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 5}, **more})


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        reset: Break the connection instead, after the request was read.
        cut: Break the connection in the middle of the body.
        seconds: How long the answer takes.
        trickle: Seconds from one byte of the body to the next.
    """

    body: str = ""
    status: int = 200
    kind: str = "application/json"
    reset: bool = False
    cut: bool = False
    seconds: float = 0.0
    trickle: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, message: str = "no", **more: Any) -> Reply:
    """Return an error in OpenAI's form."""
    return Reply(json.dumps({"error": {"message": message, **more}}), status)


@dataclass
class Loopback:
    """A running server.

    Attributes:
        base_url: URL up to and with ``/v1``.
        replies: What comes next, in order; the last one stays.
        decide: Answers by the path and the body of a request instead, if it is set.
        unread: How many connections are broken before anything is read of them.
        requests: Body and headers of each request that came.
        paths: Its path.
        most: Most requests that were under way at once.
    """

    base_url: str
    replies: list[Reply] = field(default_factory=lambda: [Reply(completion())])
    decide: Callable[[str, dict[str, Any]], Reply] | None = None
    unread: int = 0
    requests: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    most: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _now: int = 0

    def asked(self) -> Counter[str]:
        """Count the requests by their prompts."""
        return Counter(body["prompt"] for body, _ in self.requests)

    def come(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        """Note a request and choose what it gets."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.requests.append((body, headers))
            self.paths.append(path)
            if self.decide is not None:
                return self.decide(path, body)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def leave(self) -> None:
        """Note that a request is answered."""
        with self._lock:
            self._now -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    told: Loopback

    def handle(self) -> None:
        if self.told.unread > 0:
            self.told.unread -= 1
            self.connection.recv(1, socket.MSG_PEEK)  # it has come, and stays unread
            self._reset()
            return
        try:
            super().handle()
        except (ConnectionError, ValueError):
            self.close_connection = True  # whoever asked is gone, or was sent away

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.told.come(self.path, body, headers)
        try:
            time.sleep(reply.seconds)
        finally:
            self.told.leave()
        if reply.reset:
            self._reset()
            return
        content = self._begin(reply)
        if reply.trickle:
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(reply.trickle)
            return
        self.wfile.write(content[: len(content) // 2] if reply.cut else content)
        self.close_connection = reply.cut

    def _begin(self, reply: Reply) -> bytes:
        """Send the head of a reply, and return its body."""
        content = reply.body.encode()
        self.send_response(reply.status)
        for name, value in {"content-type": reply.kind, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        return content

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            try:
                super().finish()
            except ConnectionError:
                self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Stay silent."""

    def _reset(self) -> None:
        # With no time to linger, closing sends a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@contextmanager
def loopback() -> Iterator[Loopback]:
    """Run the server for the length of a block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    told = Loopback(f"http://127.0.0.1:{server.server_address[1]}/v1")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"told": told})
    with serving(server):
        yield told
