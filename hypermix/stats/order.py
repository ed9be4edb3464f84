"""Almost stochastic order: how far is one method from being better at every level of luck?

Of two lists of scores, the first stochastically dominates if each of its quantiles is at least that of the second. Real
lists seldom are so clear. The violation ratio measures how much is missing: the squared distance of the quantiles where
the order is broken, as a share of all of it; 0 is dominance, 1 is dominance of the other. Its upper bound with a
confidence of 95 % is ``eps_min``: below 0.5 the first is almost stochastically better; 0.2 is a stricter bound that
some advise.

del Barrio, Cuesta-Albertos and Matran 2018, "An optimal transportation approach for assessing almost stochastic order";
Dror, Shlomov and Reichart 2019, "Deep dominance: how to properly compare deep neural models"; for the bound of 0.2:
Ulmer, Hardmeier and Frellsen 2022, "deep-significance". Written from these papers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hypermix.stats.interval import ROUNDING, check_finite, check_share

DRAWS = 1000
"""Bootstrap samples for the spread of the violation ratio."""


def violation(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the violation ratios of pairs of score lists of any two lengths.

    Args:
        ours: The scores that should be higher, (..., n).
        theirs: The others, (..., m).

    Returns:
        Shares, (...,): 0 where all quantiles of `ours` are at least those of `theirs`; 0.5 where both are equal, since
        neither is above.
    """
    n, m = ours.shape[-1], theirs.shape[-1]
    # Both quantile functions are constant between the steps of either.
    steps = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    widths, starts = np.diff(steps), steps[:-1]
    gaps = np.sort(ours, axis=-1)[..., starts // m] - np.sort(theirs, axis=-1)[..., starts // n]
    gaps = np.where(np.abs(gaps) > ROUNDING, gaps, 0.0)
    broken = (np.minimum(gaps, 0) ** 2 * widths).sum(axis=-1)
    whole = (gaps**2 * widths).sum(axis=-1)
    return np.where(whole > 0, broken / np.where(whole > 0, whole, 1.0), 0.5)


def eps_min(ours: Iterable[float], theirs: Iterable[float], seed: int, confidence: float = 0.95) -> float:
    """Return the upper bound of the violation ratio of two lists of scores; see the module.

    Args:
        ours: The scores that should be higher, a number for each data seed.
        theirs: The others.
        seed: Seed of the bootstrap.
        confidence: That of the bound.

    Returns:
        A share from 0 to 1; NaN with fewer than two scores on a side.

    Raises:
        ArtefactError: If a score is NaN or infinite, or the confidence is not between 0 and 1.
    """
    first, second = (np.fromiter(scores, dtype=np.float64) for scores in (ours, theirs))
    check_share("confidence", confidence)
    check_finite(first)
    check_finite(second)
    if min(len(first), len(second)) < 2:
        return math.nan
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = [scores[generator.integers(0, len(scores), (DRAWS, len(scores)))] for scores in (first, second)]
    spread = float(violation(drawn[0], drawn[1]).std())
    bound = float(violation(first, second)) + float(special.ndtri(confidence)) * spread
    return min(max(bound, 0.0), 1.0)
