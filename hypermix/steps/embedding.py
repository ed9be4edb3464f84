"""Embeddings of texts by a frozen encoder, for measures of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hypermix.classify import threads as cpu
from hypermix.classify.embed import embed, read_embedding
from hypermix.classify.encode import encode
from hypermix.classify.model import load_encoder, locate_model, longest_input

_LONGEST = 64  # tokens of a text that count: most of a row is told by then, and time grows with them


def embed_texts(texts: Sequence[str], model: str, threads: int, offline: bool) -> NDArray[np.float64]:
    """Embed texts; equal ones are embedded once.

    Args:
        texts: The texts.
        model: As `hypermix.classify.model.locate_model` takes it.
        threads: Threads of the job.
        offline: Whether the hub is not asked.

    Returns:
        (n_texts, width).

    Raises:
        TrainError: If the model cannot be had or loaded.
    """
    cpu.limit(threads)
    folder = locate_model(model, offline=offline)
    network, tokenizer = load_encoder(folder)
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    unused = np.zeros((len(places), 1), np.float32)
    rows = encode(tokenizer, list(places), unused, longest_input(network, _LONGEST))
    return embed(network, rows, read_embedding(folder))[[places[text] for text in texts]]
