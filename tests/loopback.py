"""A server on the loopback interface that answers as told: a real endpoint with real faults."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
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
    """One answer. `retry-after-ms` keeps the SDK from waiting between tries.

    Attributes:
        reset: Break the connection instead.
        cut: Break the connection in the middle of the body.
        seconds: How long the answer takes.
    """

    body: str = ""
    status: int = 200
    kind: str = "application/json"
    reset: bool = False
    cut: bool = False
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Loopback:
    """A running server.

    Attributes:
        base_url: URL up to and with ``/v1``.
        replies: What comes next, in order; the last one stays.
        requests: Body and headers of each request that came.
    """

    base_url: str
    replies: list[Reply] = field(default_factory=lambda: [Reply(completion())])
    requests: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)


@contextmanager
def loopback() -> Iterator[Loopback]:
    """Run the server for the length of a block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    told = Loopback(f"http://127.0.0.1:{server.server_address[1]}/v1")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                told.requests.append((body, {name.lower(): value for name, value in self.headers.items()}))
                reply = told.replies.pop(0) if len(told.replies) > 1 else told.replies[0]
            time.sleep(reply.seconds)
            if reply.reset:
                # With no time to linger, closing sends a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            content = reply.body.encode()
            self.send_response(reply.status)
            for name, value in (("content-type", reply.kind), ("retry-after-ms", "1"), *reply.headers.items()):
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            self.close_connection = reply.cut

        def finish(self) -> None:
            if self.connection.fileno() >= 0:
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Stay silent."""

    server.RequestHandlerClass = Handler
    with serving(server):
        yield told
