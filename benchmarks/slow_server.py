"""A loopback endpoint that answers every request after the same time: `python benchmarks/slow_server.py SECONDS`.

It speaks just enough HTTP and costs little, so that a client is measured and not its server. Prints its port. Each
line on standard input is answered with the times at which requests came since the last one, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

WORDS = [" a", " fine", " film", " (", "Sent", "iment", ":", " Positive", ")"]
CONTENT = [
    {
        "token": word,
        "bytes": list(word.encode()),
        "logprob": -0.5,
        "top_logprobs": [{"token": word, "bytes": list(word.encode()), "logprob": -0.5}],
    }
    for word in WORDS
]
CHOICE = {"text": "".join(WORDS), "index": 0, "finish_reason": "stop", "logprobs": {"content": CONTENT}}
BODY = json.dumps({"choices": [CHOICE], "usage": {"prompt_tokens": 300, "completion_tokens": len(WORDS)}}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
ARRIVALS: list[float] = []


class Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request after the time."""
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].lower()
            at = head.index(b"content-length:") + len(b"content-length:")
            size = end + 4 + int(head[at:].split(b"\r\n")[0])
            if len(self._waiting) < size:
                return
            self._waiting = self._waiting[size:]
            ARRIVALS.append(time.monotonic())
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, ANSWER)  # type: ignore[attr-defined]


async def main(seconds: float) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(seconds), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(ARRIVALS), flush=True)
        ARRIVALS.clear()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
