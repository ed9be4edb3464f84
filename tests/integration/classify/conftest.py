"""The tiny classifier and rows for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from hypermix.classify.encode import Encoded, encode
from hypermix.classify.model import load_classifier
from hypermix.classify.network import Network
from tests.one_thread import one_thread
from tests.tiny import LONGEST, save_tiny_bert

__all__ = ["one_thread"]

LABELS = ("negative", "positive")
EncodeRows = Callable[[Sequence[tuple[str, str]]], Encoded]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny model."""
    return save_tiny_bert(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture
def network(tiny: Path) -> Network:
    """Return the tiny model, fresh, with a head for two labels."""
    return load_classifier(str(tiny), len(LABELS), seed=1)[0]


@pytest.fixture(scope="session")
def tokenizer(tiny: Path) -> PreTrainedTokenizerBase:
    """Return the tiny model's tokenizer."""
    return load_classifier(str(tiny), len(LABELS), seed=1)[1]


@pytest.fixture(scope="session")
def encode_rows(tokenizer: PreTrainedTokenizerBase) -> EncodeRows:
    """Return a function that encodes toy rows with one-hot targets."""

    def make(rows: Sequence[tuple[str, str]]) -> Encoded:
        targets = np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(label) for _, label in rows]]
        return encode(tokenizer, [text for text, _ in rows], targets.reshape(-1, len(LABELS)), LONGEST)

    return make
