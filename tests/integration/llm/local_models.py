"""Tiny language models that are loaded once for the tests of a process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.llm.local.model import LocalModel, load_local
from tests.tiny_lm import save_tiny_lm


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny GPT-2."""
    return save_tiny_lm(tmp_path_factory.mktemp("tiny") / "gpt2")


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny Llama."""
    return save_tiny_lm(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.fixture(scope="session", params=["gpt2", "llama"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Return the folder of each tiny model."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def model(folder: Path) -> LocalModel:
    """Return each tiny model, loaded."""
    return load_local(folder, dtype="float32", context=100, batch_size=4)


def ask(model: LocalModel, /, **body: Any) -> dict[str, Any]:
    """Return the answer to one body."""
    (text,) = model.answer([{"prompt": "a good film", **body}])
    found: dict[str, Any] = json.loads(text)
    return found


def choice(model: LocalModel, /, **body: Any) -> dict[str, Any]:
    """Return the first choice for one body."""
    found: dict[str, Any] = ask(model, **body)["choices"][0]
    return found
