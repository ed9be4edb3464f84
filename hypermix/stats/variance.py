"""Where the spread of a metric comes from: data seeds, trials inside a data seed, and the rows of the test set.

A random-effects model with one factor, by the ANOVA estimators for unequal numbers of trials (Searle, Casella and
McCulloch 1992, "Variance Components", section 3.6). Trials of one data seed differ by training and by the synthetic
rows of their own; data seeds differ by the real rows that were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hypermix.stats.interval import ROUNDING, share_interval
from hypermix.stats.unit import CELL, SEED, as_cell, ordered
from hypermix.tables import METRICS, SCHEMAS

_SHARE = "accuracy"
"""The metric that is a share of test rows."""


@dataclass(frozen=True)
class Components:
    """Variances in the square of the metric's unit.

    Attributes:
        seed: Between data seeds, beyond what trials make of it; never below 0. NaN where it cannot be told from that
            of trials.
        seed_raw: The same as it was estimated, which can be below 0 by chance.
        trial: Between the trials of a data seed; NaN if no data seed has two.
    """

    seed: float
    seed_raw: float
    trial: float


def variance_components(seeds: Sequence[Sequence[float] | NDArray[np.float64]]) -> Components:
    """Split the variance of runs into that of data seeds and that of trials inside them.

    Args:
        seeds: For each data seed the values of its trials, at least one; finite.
    """
    counts = np.array([len(values) for values in seeds], dtype=np.float64)
    n_seeds, n_runs = len(seeds), counts.sum()
    if n_runs <= n_seeds:  # no data seed has two trials
        return Components(math.nan, math.nan, math.nan)
    values = np.concatenate([np.asarray(one, dtype=np.float64) for one in seeds])
    means = np.array([np.mean(one) for one in seeds])
    spread = values - np.repeat(means, counts.astype(np.int64))
    within = float(spread @ spread) / (n_runs - n_seeds) if np.abs(spread).max() > ROUNDING else 0.0
    if n_seeds < 2:
        return Components(math.nan, math.nan, within)
    around = means - values.mean()
    between = float(counts @ around**2) / (n_seeds - 1) if np.abs(around).max() > ROUNDING else 0.0
    per_seed = (n_runs - float(counts @ counts) / n_runs) / (n_seeds - 1)
    raw = float((between - within) / per_seed)
    return Components(max(raw, 0.0), raw, within)


def split_variance(runs: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the components of variance of every metric for every cell.

    Args:
        runs: A row a run, with the columns of the table ``runs``; of its counts ``n_test`` alone.
        level: Coverage of the interval over test rows.

    Returns:
        The columns of the table ``variance``, in the order of `hypermix.stats.summarize.summarize`. ``test_variance``
        is that of a share over test rows, the mean of p * (1 - p) / n_test, known for accuracy alone. With a fixed test
        set all runs share it, so it is no part of the other two; with test sets that are drawn anew it is in both.
        ``ci_low`` and ``ci_high`` are Wilson's interval over test rows where a cell has one data seed: all that can
        then be told.

    Raises:
        ArtefactError: If a column is missing or a run stands there twice.
    """
    rows: list[dict[str, Any]] = []
    for cell, one in ordered(runs).groupby(CELL):
        for metric in METRICS:
            known = one[one[metric].notna()]
            seeds = _by_seed(known[SEED].to_numpy(), known[metric].to_numpy())
            found = variance_components(seeds)
            rows.append(
                {
                    **dict(zip(CELL, as_cell(cell), strict=True)),
                    "metric": metric,
                    "n_seeds": len(seeds),
                    "n_runs": len(known),
                    "seed_variance": found.seed,
                    "seed_variance_raw": found.seed_raw,
                    "trial_variance": found.trial,
                    **(_over_rows(known, len(seeds), level) if metric == _SHARE else _NO_ROWS),
                }
            )
    return pd.DataFrame(rows, columns=SCHEMAS["variance"].names)


def _by_seed(data_seeds: NDArray[np.int64], values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Split the values of runs by their data seeds, which stand beside each other."""
    return np.split(values, np.flatnonzero(np.diff(data_seeds)) + 1) if len(values) else []


_NO_ROWS = {"test_variance": math.nan, "ci_low": math.nan, "ci_high": math.nan}


def _over_rows(known: pd.DataFrame, n_seeds: int, level: float) -> dict[str, float]:
    if not len(known):
        return _NO_ROWS
    share, n_test = known[_SHARE].to_numpy(), known["n_test"].to_numpy(dtype=np.float64)
    found = {"test_variance": float(np.mean(share * (1 - share) / n_test))}
    if n_seeds > 1:
        return {**_NO_ROWS, **found}
    rows = round(float(n_test.mean()))
    over = share_interval(round(float(share.mean()) * rows), rows, level)
    return {**found, "ci_low": over.low, "ci_high": over.high}
