"""Measures of the embeddings of texts: how far they are from each other and from real ones.

Distances are cosine distances, 0 (the same direction) to 2. Axis order: (n_rows, width).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]


def spread(vectors: Vectors) -> float | None:
    """Return the mean distance of two different rows; None with fewer than two rows."""
    n = len(vectors)
    if n < 2:
        return None
    unit = _unit(vectors)
    # The sum over all pairs of rows, of a row with itself too, is the square of the sum.
    together = float(unit.sum(axis=0) @ unit.sum(axis=0)) - float((unit * unit).sum())
    return 1 - together / (n * (n - 1))


def nearest(vectors: Vectors, others: Vectors) -> float | None:
    """Return the mean distance of a row to the nearest of the others; None if either is empty."""
    if not (len(vectors) and len(others)):
        return None
    best = (_unit(vectors) @ _unit(others).T).max(axis=1)
    return max(0.0, float((1 - best).mean()))


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
