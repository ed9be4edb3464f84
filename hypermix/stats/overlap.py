"""Test sets that share rows: the corrected resampled t test of Nadeau and Bengio.

With `split: repeated` every data seed draws its own test set from one pool, so the differences of two data seeds rest
in part on the same rows and are not independent. With a correlation of rho, the variance of their mean is not S^2 / J,
but S^2 * (1 / J + rho / (1 - rho)): Nadeau and Bengio 2003, "Inference for the generalization error", section 3. They
take rho = n_test / (n_test + n_train), where all rows are in one or the other. Here few rows are trained on, and what
two data seeds share are test rows: the expected share of one test set in another is n_test / n_pool. Both give the
same factor when all rows are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hypermix.errors import ArtefactError


def more_variance(overlaps: Mapping[str, float] | None) -> dict[str, float]:
    """Return what overlap adds to 1 / J in the variance of a mean over J data seeds: rho / (1 - rho).

    Args:
        overlaps: Datasets whose test sets overlap, with rho: the expected share of a test set that stands in another.

    Raises:
        ArtefactError: If rho is not at least 0 and below 1.
    """
    for name, rho in (overlaps or {}).items():
        if not 0 <= rho < 1:
            raise ArtefactError(
                f"statistics: the test sets of {name} overlap by {rho!r}, it must be a share from 0 to below 1"
            )
    return {name: rho / (1 - rho) for name, rho in (overlaps or {}).items()}


def corrected_p(differences: NDArray[np.float64], more: float) -> float:
    """Return the two-sided p value of the corrected resampled t test.

    Args:
        differences: One finite difference for each data seed, (n_pairs,); at least two.
        more: What overlap adds to the variance; see `more_variance`.

    Returns:
        A share; 1 if the mean is zero. It is 0 if all are equal and not zero.
    """
    n, mean, sd = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    if mean == 0:
        return 1.0
    if sd == 0:
        return 0.0
    statistic = abs(mean) / (sd * math.sqrt(1 / n + more))
    return float(2 * special.stdtr(n - 1, -statistic))
