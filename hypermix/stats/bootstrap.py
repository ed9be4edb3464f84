"""The hierarchical bootstrap interval of a mean difference: data seeds are drawn anew, then the trials inside them.

A second opinion beside the t interval. Each sample is studentized: its mean is told in units of its own standard
error, since the plain percentile interval of so few data seeds is far too narrow (Hesterberg 2015, "What teachers
should know about the bootstrap", sections 4 and 5; Davison and Hinkley 1997, "Bootstrap Methods and their
Application", sections 3.8 and 5.2). The trials that are drawn anew add their noise to the mean and to its standard
error alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hypermix.seeding import child_seed
from hypermix.stats.interval import ROUNDING, check_share

DRAWS = 2000
"""Bootstrap samples."""

FEWEST = 5
"""With fewer data seeds samples of one data seed alone are too frequent, and the interval has no bounds."""

Trials = Sequence[Sequence[float]]
"""For each data seed the values of its trials."""


def bootstrap_interval(ours: Trials, theirs: Trials, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return the interval of the mean difference over data seeds.

    Args:
        ours: The trials of the method, by data seed; at least one each, finite.
        theirs: The trials of the baseline for the same data seeds, in the same order; as many or not.
        level: Coverage of the interval.
        seed: Seed of the draws.

    Returns:
        Lower and upper bound; both the mean where all differences are equal, NaN with fewer than `FEWEST` data seeds.

    Raises:
        ArtefactError: If the level is not between 0 and 1.
    """
    check_share("level", level)
    n = len(ours)
    if n < FEWEST:
        return math.nan, math.nan
    observed = np.array([np.mean(mine) - np.mean(other) for mine, other in zip(ours, theirs, strict=True)])
    mean = float(observed.mean())
    if np.ptp(observed) <= ROUNDING:
        return mean, mean
    places = _places(seed, n)
    drawn = _means(ours, places, seed, "ours") - _means(theirs, places, seed, "theirs")
    means, errors = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
    kept = errors > ROUNDING
    scores = np.sort((means[kept] - mean) / errors[kept])
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    error = float(observed.std(ddof=1))
    return mean - float(high) * error, mean - float(low) * error


@lru_cache(maxsize=8)
def _places(seed: int, n: int) -> NDArray[np.int64]:
    """Draw the data seeds of each sample, (DRAWS, n); comparisons of as many data seeds share them."""
    generator = np.random.Generator(np.random.PCG64(child_seed(seed, ("bootstrap", "data seeds", n))))
    places: NDArray[np.int64] = generator.integers(0, n, (DRAWS, n))
    return places


@lru_cache(maxsize=8)
def _luck(seed: int, side: str, n: int, most: int) -> NDArray[np.float32]:
    generator = np.random.Generator(np.random.PCG64(child_seed(seed, ("bootstrap", side, n, most))))
    return generator.random((DRAWS, n, most), dtype=np.float32)


def _means(trials: Trials, places: NDArray[np.int64], seed: int, side: str) -> NDArray[np.float64]:
    """Draw the trials of each drawn data seed anew and average them, (DRAWS, n)."""
    counts = np.array([len(values) for values in trials])
    most = int(counts.max())
    table = np.array([[*values, *[math.nan] * (most - len(values))] for values in trials])
    if most == 1:
        only: NDArray[np.float64] = table[:, 0][places]
        return only
    n_trials = counts[places][..., None]
    chosen = np.minimum(_luck(seed, side, len(trials), most) * n_trials, n_trials - 1).astype(np.int64)
    values = table[places[..., None], chosen]
    counted = np.arange(most) < n_trials
    return np.asarray(np.where(counted, values, 0.0).sum(axis=2) / n_trials[..., 0], dtype=np.float64)
