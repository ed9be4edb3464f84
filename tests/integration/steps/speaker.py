"""A language model behind a URL whose answers depend on the request alone, and cost a token for four bytes."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hypermix.llm.backend import Refusal
from hypermix.llm.store import Answer, Question
from tests.serving import serving

_BYTES_A_TOKEN = 4
_TOPS = {"Positive": math.log(0.7), "Negative": math.log(0.2)}
_LETTERS = {"A": math.log(0.7), "B": math.log(0.2)}


@dataclass
class Speaker:
    """A running server.

    Attributes:
        base_url: URL up to and with ``/v1``.
        useless: Every so many-th sampling seed gets an answer that cannot be used; 0 for none.
        requests: The path and the body of each request that came.
        tokens: Tokens of prompts and answers that it billed.
    """

    base_url: str
    useless: int = 0
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tokens: list[tuple[int, int]] = field(default_factory=list)

    def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is said to a request."""
        chat = path.endswith("/chat/completions")
        prompts = body["prompt"] if isinstance(body.get("prompt"), list) else [body.get("prompt")]
        shown = json.dumps(body["messages"]) if chat else str(body["prompt"])
        pieces, top = self._say(body, chat=chat)
        logprobs = _chat_logprobs(pieces, top) if chat else _logprobs(pieces, top)
        text = "".join(pieces)
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        count = int(body.get("n", 1)) * len(prompts)
        choices = [
            {**said, "index": index, "finish_reason": "stop", "logprobs": logprobs if body.get("logprobs") else None}
            for index in range(count)
        ]
        used = len(shown.encode()) // _BYTES_A_TOKEN, count * len(pieces)
        self.tokens.append(used)
        return {"choices": choices, "usage": dict(zip(("prompt_tokens", "completion_tokens"), used, strict=True))}

    def _say(self, body: Mapping[str, Any], *, chat: bool) -> tuple[list[str], dict[str, float]]:
        seed = int(body.get("seed", 0))
        if chat and "letter" in json.dumps(body["messages"][0]):
            return ["A"], _LETTERS
        if self.useless and seed % self.useless == 0:
            return [" no", " end"], {}
        spaced = {f" {word}": share for word, share in _TOPS.items()}
        if not chat and str(body["prompt"]).endswith("(Sentiment:"):
            return [" Positive", ")"], spaced
        words = [" a", " bright", " film", f" {seed}"]
        if chat:
            return ['{"text": "', *words, '", "label": "', "Positive", '"}'], _TOPS
        return [*words, " (Sentiment:", " Positive", ")"], spaced


def _logprobs(pieces: list[str], top: dict[str, float]) -> dict[str, Any]:
    tops = [top if piece in top else {piece: -0.5} for piece in pieces]
    return {"tokens": pieces, "token_logprobs": [-0.5] * len(pieces), "top_logprobs": tops}


def _chat_logprobs(pieces: list[str], top: dict[str, float]) -> dict[str, Any]:
    content = []
    for piece in pieces:
        tops = top if piece in top else {piece: -0.5}
        likely = [{"token": token, "logprob": share, "bytes": [*token.encode()]} for token, share in tops.items()]
        content.append({"token": piece, "logprob": -0.5, "bytes": [*piece.encode()], "top_logprobs": likely})
    return {"content": content}


class SpeakerBackend:
    """The same language model without a process between, as a `hypermix.llm.backend.Backend`."""

    width = 4
    eager = True

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._open: deque[Question] = deque()

    def submit(self, question: Question) -> None:
        self._open.append(question)

    def collect(self) -> tuple[Question, Answer | Refusal] | None:
        if not self._open:
            return None
        question = self._open.popleft()
        self._speaker.requests.append((question.path, dict(question.body)))
        return question, Answer(json.dumps(self._speaker.answer(question.path, question.body)))

    def stored(self, question: Question) -> None:
        """Nothing is remembered."""

    def stop(self) -> None:
        """What is open is answered at once."""

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def speaking() -> Iterator[Speaker]:
    """Run the server for the length of a block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    speaker = Speaker(f"http://127.0.0.1:{server.server_address[1]}/v1")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                speaker.requests.append((self.path, body))
                content = json.dumps(speaker.answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Stay silent."""

    server.RequestHandlerClass = Handler
    with serving(server):
        yield speaker
