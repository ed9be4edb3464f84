"""Embeddings of texts by a frozen encoder, for what compares them by meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PACKAGED = "package:minilm-l6"
LONGEST = 256
"""Tokens: as many as the packaged model was made for."""


def embed_texts(
    texts: Sequence[str],
    model: str = PACKAGED,
    *,
    threads: int = 1,
    offline: bool = False,
    longest: int = LONGEST,
) -> NDArray[np.float64]:
    """Embed texts on this machine's processor; equal ones are embedded once.

    The packages for it are imported by the first call.

    Args:
        texts: The texts.
        model: As `hypermix.classify.model.locate_model` takes it.
        threads: Threads of the job.
        offline: Whether the hub is not asked.
        longest: Tokens of a text that count.

    Returns:
        (n_texts, width).

    Raises:
        TrainError: If the model cannot be had or loaded.
    """
    from hypermix.classify import threads as cpu
    from hypermix.classify.embed import embed, read_embedding
    from hypermix.classify.encode import encode
    from hypermix.classify.model import load_encoder, locate_model, longest_input

    cpu.limit(threads)
    folder = locate_model(model, offline=offline)
    network, tokenizer = load_encoder(folder)
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    unused = np.zeros((len(places), 1), np.float32)
    rows = encode(tokenizer, list(places), unused, longest_input(network, longest))
    return embed(network, rows, read_embedding(folder))[[places[text] for text in texts]]
