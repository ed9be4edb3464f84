"""Embeddings of texts by a frozen encoder, for what compares them by meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PACKAGED = "package:minilm-l6"
LONGEST = 256
"""Tokens: as many as the packaged model was made for."""


class Embedder:
    """Embeds texts on this machine's processor; equal ones are embedded once.

    The packages for it are imported here and not before.

    Args:
        model: As `hypermix.classify.model.locate_model` takes it.
        revision: A commit, branch or tag of the hub.
        threads: Threads of the job.
        offline: Whether the hub is not asked.
        longest: Tokens of a text that count, if the model takes as many.

    Raises:
        TrainError: If the model cannot be had or loaded.
    """

    def __init__(
        self, model: str, revision: str | None = None, *, threads: int, offline: bool, longest: int = LONGEST
    ) -> None:
        from hypermix.classify import threads as cpu
        from hypermix.classify.embed import read_embedding
        from hypermix.classify.model import load_encoder, locate_model, longest_input

        cpu.limit(threads)
        folder = locate_model(model, revision, offline=offline)
        self._network, self._tokenizer = load_encoder(folder)
        self._embedding = read_embedding(folder)
        self._longest = longest_input(self._network, longest)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the embedding of each text, (n_texts, width)."""
        from hypermix.classify.embed import embed
        from hypermix.classify.encode import encode

        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        unused = np.zeros((len(places), 1), np.float32)
        rows = encode(self._tokenizer, list(places), unused, self._longest)
        return embed(self._network, rows, self._embedding)[[places[text] for text in texts]]


def embed_texts(texts: Sequence[str]) -> NDArray[np.float64]:
    """Embed texts by the packaged model, on one thread.

    Raises:
        TrainError: If its package is not installed.
    """
    return Embedder(PACKAGED, threads=1, offline=True)(texts)
