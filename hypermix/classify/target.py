"""What training learns of each row: its label as probabilities, and how much the row counts."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["soft", "hard", "sharpened"]


def shape(soft: NDArray[np.float32], kind: Kind, sharpen: float) -> NDArray[np.float32]:
    """Take of soft labels what is to be learned.

    Args:
        soft: (n_rows, n_labels) probabilities.
        kind: `soft` for all of them, `hard` for the likeliest label alone (the first of equal ones), `sharpened` for
            their power of 1 / `sharpen` (MixMatch's sharpening, which MixText has too).
        sharpen: The temperature, above 0.

    Returns:
        (n_rows, n_labels) probabilities.
    """
    if kind == "hard":
        return np.asarray(np.eye(soft.shape[1], dtype=np.float32)[soft.argmax(axis=1)])
    if kind == "soft" or not len(soft):
        return soft
    # Of the largest, so that no power of a small temperature becomes 0 over 0.
    powers = (soft / soft.max(axis=1, keepdims=True)).astype(np.float64) ** (1.0 / sharpen)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def smooth(targets: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Spread a share of each row's probability over all labels alike."""
    return np.asarray((1.0 - share) * targets + share / targets.shape[1], dtype=np.float32)


def join(
    real: NDArray[np.float32], synthetic: NDArray[np.float32], synthetic_weight: float = 1.0
) -> NDArray[np.float32]:
    """Put real and synthetic targets below each other, each row as large as its weight.

    Weights are 1 on the mean of all rows, whatever they are, so that they move no learning rate.

    Args:
        real: (n_real, n_labels) probabilities.
        synthetic: (n_synthetic, n_labels) probabilities.
        synthetic_weight: Weight of a synthetic row against a real one, above 0.

    Returns:
        (n_real + n_synthetic, n_labels); each row adds up to its weight.
    """
    mean = (len(real) + synthetic_weight * len(synthetic)) / max(len(real) + len(synthetic), 1)
    if synthetic_weight == 1.0 or not mean:
        return np.concatenate([real, synthetic])
    return np.asarray(np.concatenate([real / mean, synthetic * (synthetic_weight / mean)]), dtype=np.float32)
