"""Sentence embeddings by the packaged encoder, for what compares texts by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODEL = "package:minilm-l6"
_LONGEST = 256
"""Tokens: as many as the model was made for."""


def embed_texts(texts: Sequence[str]) -> NDArray[np.floating[Any]]:
    """Embed texts, on this machine's processor. The packages for it are imported by the first call.

    Args:
        texts: The texts.

    Returns:
        (n_texts, width).

    Raises:
        TrainError: If the package of the model is not installed.
    """
    from hypermix.classify.embed import embed, read_embedding
    from hypermix.classify.encode import encode
    from hypermix.classify.model import load_encoder, locate_model

    folder = locate_model(MODEL)
    network, tokenizer = load_encoder(folder)
    rows = encode(tokenizer, texts, np.zeros((len(texts), 1), dtype=np.float32), _LONGEST)
    return embed(network, rows, read_embedding(folder))
