"""One whole experiment on toy rows, run once, and the means to run parts of it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hypermix.config.load import merge
from tests.gguf import cache, gemma
from tests.integration.steps.chain import Chain, MakeChain, toy_settings
from tests.integration.steps.planned import make_asking, speaker
from tests.tiny import save_tiny_bert
from tests.tiny_gguf import writer

__all__ = ["cache", "gemma", "make_asking", "speaker", "writer"]


@pytest.fixture(scope="session", autouse=True)
def threads_restored() -> Iterator[None]:
    """Leave torch's threads as they were."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, writer: Path) -> dict[str, Any]:
    """Return the config of the toy experiment."""
    folder = tmp_path_factory.mktemp("sources")
    return toy_settings(save_tiny_bert(folder / "bert"), writer, folder)


@pytest.fixture(scope="session")
def done(settings: dict[str, Any], cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Return the toy experiment after it has run; nothing may be written there."""
    chain = Chain(tmp_path_factory.mktemp("results"), cache, settings)
    chain.prepare()
    for key in chain.runs:
        chain.up_to_train(key)
        chain.evaluate(key)
    chain.aggregate(whole=True)
    return chain


@pytest.fixture
def make_chain(settings: dict[str, Any], tmp_path: Path, cache: Path) -> MakeChain:
    """Return a function that makes a fresh experiment, with parts of the config laid over the toy one's."""

    def make(name: str = "results", **overlay: Any) -> Chain:
        return Chain(tmp_path / name, cache, merge(settings, overlay))

    return make
