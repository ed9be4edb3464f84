"""Measures of labels: how they are shared out, and how sure soft ones are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def shift(labels: Sequence[str], real: Sequence[str]) -> float:
    """Return how far two sets of labels are apart: the total variation distance of their shares, 0 to 1.

    It is the share of rows whose label would have to change for both to be shared out alike.
    """
    ours, theirs = Counter(labels), Counter(real)
    names = sorted({*ours, *theirs})
    return sum(abs(ours[name] / len(labels) - theirs[name] / len(real)) for name in names) / 2


def is_soft(probabilities: NDArray[np.float64]) -> bool:
    """Tell whether some label is not sure; (n_rows, n_labels)."""
    return bool((probabilities.max(axis=1, initial=0.0) < 1).any())


def entropy(probabilities: NDArray[np.float64]) -> float:
    """Return the mean entropy of soft labels, by that of a label that knows nothing: 0 (sure) to 1.

    Args:
        probabilities: (n_rows, n_labels), of at least two labels.
    """
    logs = np.log(probabilities, where=probabilities > 0, out=np.zeros_like(probabilities))
    return float(-(probabilities * logs).sum(axis=1).mean() / math.log(probabilities.shape[1]))
