"""What the tests of the package share: the packaged model, a server with faults, and a sender without a process."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import IO, Any

import pytest

from hypermix.llm import remote, sender
from hypermix.llm.client import Client, Llm
from hypermix.llm.embedded import serve as serve_model
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.remote import open_remote
from hypermix.llm.sender import Sender, open_pipes, serve
from hypermix.llm.store import RequestStore
from hypermix.llm.wire import Wire
from tests.gguf import CONTEXT, cache, gemma
from tests.loopback import Loopback, loopback

__all__ = ["cache", "gemma"]

KEY = "sk-made-up-4815162342"


@pytest.fixture(scope="session")
def embedded(gemma: Path) -> Iterator[Endpoint]:
    """Return the endpoint of a running server with the packaged model."""
    with serve_model(gemma, CONTEXT, threads=1) as endpoint:
        yield endpoint


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Return a server that answers as told."""
    with loopback() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> RequestStore:
    """Return an empty store."""
    return RequestStore(tmp_path / "requests")


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Return what starts processes that have their packages from the start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.batch_server", "tests.integration.llm.hammering"])
    return context


class Thread:
    """The sender in a thread of this process, behind the same pipes: its process takes a second to start."""

    def __init__(self) -> None:
        ends = [os.pipe(), os.pipe()]
        self.stdin: IO[bytes] = os.fdopen(ends[0][1], "wb")
        self.stdout: IO[bytes] = os.fdopen(ends[1][0], "rb")
        self._pipes = (os.fdopen(ends[0][0], "rb"), os.fdopen(ends[1][1], "wb"))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._killed: Callable[[], object] = lambda: None
        self._ready = threading.Event()
        self._thread.start()
        self._ready.wait()

    async def _main(self) -> None:
        killed, loop = asyncio.Event(), asyncio.get_running_loop()
        self._killed = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(killed.set)
        lines, write = await open_pipes(*self._pipes)
        self._ready.set()
        endpoint = Endpoint(**json.loads(await lines.readline()))
        wire = Wire(endpoint)
        work = asyncio.create_task(serve(lines, write, Sender(endpoint, wire)))
        death = asyncio.create_task(killed.wait())
        await asyncio.wait({work, death}, return_when=asyncio.FIRST_COMPLETED)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await wire.close()
        while not all(pipe.closed for pipe in self._pipes):  # by the loop, once their other ends are
            await asyncio.sleep(0.001)

    def kill(self) -> None:
        """End it."""
        self._killed()

    def wait(self) -> int:
        """Wait for its end."""
        self._thread.join()
        return -9


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let senders run in threads, with short pauses between tries."""
    monkeypatch.setattr(remote, "_start", Thread)
    monkeypatch.setattr(sender, "_FIRST_PAUSE", 0.02)


def as_endpoint(server: Loopback | str, **more: Any) -> Endpoint:
    """Return an endpoint that gives up soon."""
    url = server if isinstance(server, str) else server.base_url
    settings: dict[str, Any] = {"api_key": KEY, "concurrency": 4, "deadline": 5.0, "tries": 1, **more}
    return Endpoint("tiny", url, **settings)


def as_llm(endpoint: Endpoint, identity: str = "abc", **more: Any) -> Llm:
    """Return a language model behind an endpoint."""
    return Llm("tiny", {"model_sha256": identity}, lambda: open_remote(endpoint), **more)


def make_client(server: Loopback | str, store: RequestStore, identity: str = "abc", **more: Any) -> Client:
    """Return a client of a server."""
    return Client(as_llm(as_endpoint(server, **more), identity), store)


def wait_until(met: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something, and fail if it does not come."""
    until = time.monotonic() + seconds
    while not met():
        if time.monotonic() > until:
            pytest.fail(f"nothing came in {seconds:g} s")
        time.sleep(0.005)
