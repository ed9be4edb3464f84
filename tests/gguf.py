"""The packaged language model, joined once for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypermix.llm.embedded import locate_model

CONTEXT = 512
"""Tokens: enough for the prompts of the tests, and quick to set up."""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a cache folder that holds the joined model; it is large, so it does not outlive the tests."""
    folder = tmp_path_factory.getbasetemp() / "shared-cache"
    model = locate_model("package:gemma3-270m", folder / "models")
    yield folder
    model.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def gemma(cache: Path) -> Path:
    """Return the joined model."""
    return locate_model("package:gemma3-270m", cache / "models")
