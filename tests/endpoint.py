"""A stand-in of a hosted endpoint on the loopback interface: it writes rows for what it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from hypermix.hashing import canonical_json, digest
from hypermix.records import CHAT
from tests.batch_server import BatchServer, End, _Handler, line
from tests.loopback import Reply
from tests.serving import serving

VARIABLE = "HYPERMIX_TEST_KEY"
"""The environment variable of the key in most tests."""

PROMPT_TOKENS, ANSWER_TOKENS = 100, 20
"""What each request is billed for."""


def hosted(base_url: str, model: str, api: str = "completions", **more: Any) -> dict[str, Any]:
    """Return the settings of an endpoint that is asked gently and gives up soon."""
    limits = {"concurrency": 2, "tries": 1, "deadline": 30, **more.pop("limits", {})}
    return {"api": api, "model": model, "base_url": base_url, "key": {"env": VARIABLE}, "limits": limits, **more}


def dollars(requests: int, price: Mapping[str, Any]) -> float:
    """Return what so many requests cost."""
    return requests * (PROMPT_TOKENS * price["input"] + ANSWER_TOKENS * price["output"]) / 1e6


def write(path: str, body: Mapping[str, Any], **more: Any) -> Reply:
    """Answer as a model would that keeps to the form, and tells no log-probabilities."""
    return Reply(json.dumps(answer(path, body)), **more)


def answer(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Word the answer to a request; equal requests have equal ones."""
    number = int(digest(canonical_json(body))[:6], 16)
    # A single letter that is asked for is the second one now and then, so that votes differ.
    prompts = body["prompt"] if isinstance(body.get("prompt"), list) else [body.get("prompt")]
    count = body.get("n", 1) * len(prompts)
    texts = [_text(path, {**body, "prompt": prompts[0]}, number + place) for place in range(count)]
    kind = {"index": 0, "finish_reason": "stop", "logprobs": None}
    choices = [{**kind, "index": place, **_said(path, text)} for place, text in enumerate(texts)]
    return {"choices": choices, "usage": {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": ANSWER_TOKENS}}


def _said(path: str, text: str) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}} if path == CHAT else {"text": text}


def _text(path: str, body: Mapping[str, Any], number: int) -> str:
    word = ("Negative", "Positive")[number % 2]
    row = f"a film with {number} scenes"
    if path != CHAT:
        return f" {word})" if body["prompt"].endswith("(Sentiment:") else f" {row} (Sentiment: {word})"
    if "response_format" in body:
        return json.dumps({"text": row, "label": word})
    return "AB"[number % 2]


class _BatchHandler(_Handler):
    """Batches, and beside them the direct questions of the probe."""

    def do_POST(self) -> None:  # noqa: N802 - the name of the base class
        if self.path != CHAT:
            return super().do_POST()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        return self._do("direct", lambda: answer(CHAT, body))


def write_rows(told: BatchServer) -> End:
    """Return the end of a batch that answers its questions as `write` does."""

    def answered(keys: list[str]) -> list[bytes]:
        contents = [content for content in told.files.values() if b'"custom_id"' in content and b'"body"' in content]
        sent = [json.loads(row) for content in contents for row in content.splitlines()]
        bodies = {row["custom_id"]: row["body"] for row in sent if "body" in row}
        return [line(key, answer(CHAT, bodies[key])) for key in keys]

    return End(answered=answered)


@contextmanager
def batch_endpoint() -> Iterator[BatchServer]:
    """Run a stand-in of OpenAI's batches and chat for the length of a block; its batches end when a test says so."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _BatchHandler)
    told = BatchServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    server.RequestHandlerClass = type("Handler", (_BatchHandler,), {"told": told})
    with serving(server):
        yield told
