"""The packaged model and one running server for the tests of the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypermix.llm.client import Endpoint
from hypermix.llm.embedded import serve
from hypermix.llm.store import RequestStore
from tests.gguf import CONTEXT, cache, gemma
from tests.loopback import Loopback, loopback

__all__ = ["cache", "gemma"]


@pytest.fixture(scope="session")
def embedded(gemma: Path) -> Iterator[Endpoint]:
    """Return the endpoint of a running server with the packaged model."""
    with serve(gemma, CONTEXT, threads=1) as endpoint:
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
