"""An endpoint on the loopback interface that lists its models, wants a key, and answers as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from tests.loopback import Loopback, Reply, _Handler, refusal
from tests.serving import serving

KEY = "sk-made-up-108-4815162342"
PRICE = {"input": 1.0, "output": 2.0, "as_of": "2026-11-22"}


@dataclass
class Listing(Loopback):
    """A running endpoint.

    Attributes:
        models: What it lists; None if it has no such list.
        key: The key that it wants; empty lets everybody.
        looks: Path and authorization of each request for the list.
        page: What it says in the place of the list, if that is set.
    """

    models: list[dict[str, Any]] | None = field(default_factory=lambda: [{"id": "tiny"}])
    key: str = ""
    looks: list[tuple[str, str]] = field(default_factory=list)
    page: Reply | None = None

    def listed(self, path: str, authorization: str) -> Reply:
        """Answer a request for the list."""
        self.looks.append((path, authorization))
        if self.key and authorization != f"Bearer {self.key}":
            return refusal(401, f"Incorrect API key provided: {authorization}")
        if self.page is not None:
            return self.page
        if self.models is None or path != "/v1/models":
            return refusal(404, "no such page")
        return Reply(json.dumps({"object": "list", "data": self.models}))


class _ListingHandler(_Handler):
    told: Listing

    def do_GET(self) -> None:  # noqa: N802 - the name that the base class looks for
        reply = self.told.listed(self.path, self.headers.get("authorization", ""))
        self.wfile.write(self._begin(reply))


def takes_all(path: str, body: dict[str, Any]) -> Reply:
    """Answer as an endpoint that takes everything."""
    chat = path.endswith("/chat/completions")
    count = int(body.get("top_logprobs" if chat else "logprobs", 0))
    top = [{"token": f"t{number}", "logprob": -1.0 - number} for number in range(count)]
    prompts = body["prompt"] if isinstance(body.get("prompt"), list) else [body.get("prompt")]
    text = json.dumps({"text": "fine", "label": "Good"}) if chat else prompts[0] * bool(body.get("echo")) + " fine"
    logprobs = {"content": [{"token": text, "logprob": -1.0, "top_logprobs": top}]} if count else None
    said = {"message": {"content": text}} if chat else {"text": text}
    choice = {**said, "finish_reason": "stop", "logprobs": logprobs}
    choices = [{"index": index, **choice} for index in range(int(body.get("n", 1)) * len(prompts))]
    return Reply(json.dumps({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 2}}))


@contextmanager
def listing() -> Iterator[Listing]:
    """Run the endpoint for the length of a block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _ListingHandler)
    told = Listing(f"http://127.0.0.1:{server.server_address[1]}/v1", decide=takes_all)
    server.RequestHandlerClass = type("Handler", (_ListingHandler,), {"told": told})
    with serving(server):
        yield told
