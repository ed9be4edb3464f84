"""Questions to a client, and what its store holds after them."""

from __future__ import annotations

import gzip
import json
from contextlib import AbstractContextManager
from typing import Any

from hypermix.llm.backend import Backend
from hypermix.llm.client import Client
from hypermix.llm.price import Tokens
from hypermix.llm.store import RequestStore, request_key
from hypermix.llm.usage import Usage
from hypermix.records import COMPLETIONS, Request
from tests.integration.llm.conftest import make_client
from tests.loopback import Loopback, Reply, completion, refusal

REQUEST = Request(COMPLETIONS, {"prompt": "Movie review:", "max_tokens": 5, "seed": 3, "stop": ["\n"]}, "42-0-0")
OTHER = Request(COMPLETIONS, REQUEST.body, "42-1-0")
GONE = "http://127.0.0.1:9/v1"
USED = Tokens(7, 5)


def row(number: int, **more: Any) -> Request:
    return Request(COMPLETIONS, {"prompt": f"row {number}", "max_tokens": 5, **more}, str(number))


def stored_files(store: RequestStore) -> list[str]:
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file())


def key_of(request: Request, identity: str = "abc") -> str:
    body = {"model": "tiny", **request.body}
    return request_key({"model_sha256": identity}, "/v1/completions", body, request.sample)


def stored(store: RequestStore, key: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(store.path(key).read_bytes()))
    return content


def ask(server: Loopback | str, store: RequestStore, request: Request = REQUEST, **more: Any) -> tuple[str, Usage]:
    """Ask one question with a client of its own."""
    with make_client(server, store, **more) as client:
        return client.complete(request).text, client.usage


def ask_all(client: Client, count: int) -> dict[int, str]:
    """Ask many questions, as many at once as are of use."""
    found: dict[int, str] = {}
    waiting = list(range(count))
    while len(found) < count:
        while waiting and (client.room or len(waiting) == count - len(found)):
            number = waiting.pop(0)
            client.submit(number, row(number))
        tag, answer = client.take()
        assert isinstance(tag, int)
        found[tag] = answer.text
    return found


def claims(store: RequestStore) -> int:
    """Count the claims of requests that have no answer."""
    paths = store.folder.rglob("*.started")
    return sum(not store.path(path.name.partition(".")[0]).exists() for path in paths)


FAULTS = [
    refusal(401, "Invalid API Key"),
    refusal(404, "no such model"),
    refusal(429, "slow down", code="insufficient_quota"),
    refusal(500, "out of memory"),
    Reply("<html>Bad gateway</html>", status=502, kind="text/html"),
    Reply("<html>Please log in</html>", kind="text/html"),
    Reply('{"error": {"message": "the model is loading"}}'),
    Reply('{"choices": []}'),
    Reply(completion(), cut=True),
    Reply(reset=True),
]


def refuse() -> AbstractContextManager[Backend]:
    raise AssertionError("an endpoint was opened")
