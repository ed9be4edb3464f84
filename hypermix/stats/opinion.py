"""Second opinions on each comparison: the table ``opinions``."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from hypermix.seeding import child_seed
from hypermix.stats.bootstrap import bootstrap_interval
from hypermix.stats.compare import EXACT_LIMIT, p_error, reachable_p, sign_flip_p
from hypermix.stats.interval import ROUNDING
from hypermix.stats.order import eps_min
from hypermix.stats.unit import CELL, Pair, SeedValues, opponents, seed_means, seed_values
from hypermix.tables import METRICS, SCHEMAS

LOWER_IS_BETTER = ("log_loss", "brier", "ece")
"""Metrics of which less is better."""

_NONE = dict.fromkeys(("wilcoxon_p", "bootstrap_low", "bootstrap_high", "p_error", "eps_min"), math.nan)


def wilcoxon_p(differences: Iterable[float], seed: int = 0) -> float:
    """Return the two-sided p value of Wilcoxon's signed-rank test (Wilcoxon 1945), exact with ties too.

    It is the sign-flip test of the ranks of the differences, so that one large difference counts little. Zeros are left
    out and equal differences share their ranks. Without ties it is the usual exact test.

    Args:
        differences: One finite difference for each data seed, (n_pairs,).
        seed: Seed of the drawn patterns, where there are too many to count; see `hypermix.stats.compare`.

    Returns:
        A share in (0, 1]; 1 if all differences are zero or there are none.

    Raises:
        ArtefactError: If a difference is NaN or infinite.
    """
    values = np.fromiter(differences, dtype=np.float64)
    # Shares of the same test rows that differ by rounding are ties.
    ranks = np.sign(values) * stats.rankdata(np.round(np.abs(values), 12))
    return sign_flip_p(ranks[values != 0] if np.isfinite(values).all() else values, seed)


def second_opinions(
    runs: pd.DataFrame,
    baselines: Sequence[str],
    level: float = 0.95,
    metrics: Sequence[str] = METRICS,
    overlapping: Collection[str] = (),
) -> pd.DataFrame:
    """Return other tests and intervals for every comparison.

    Args:
        runs: A row a run, with the columns of the table ``runs``; of its counts none is needed.
        baselines: Names of augmenters to compare with; see `hypermix.stats.summarize.compare`.
        level: Coverage of the intervals and of the bound ``eps_min``.
        metrics: The metrics to look at.
        overlapping: Datasets whose test sets overlap: all here take data seeds for independent, so it is NaN there.

    Returns:
        The columns of the table ``opinions``, in the order of `hypermix.stats.summarize.compare`. ``smallest_p`` is
        what the sign-flip test of so many pairs can reach, ``p_error`` the Monte Carlo standard error of its p value.
        ``eps_min`` tells how far the augmenter is from being better than the baseline at every level of luck; see
        `hypermix.stats.order`. What needs more pairs than there are is NaN.

    Raises:
        ArtefactError: If a column is missing, a run stands there twice, or a metric is infinite.
    """
    pairs = list(opponents(list(seed_means(runs)), baselines))
    values = {metric: seed_values(runs, metric) for metric in metrics}
    rows = [
        {
            **dict(zip(CELL, pair.cell, strict=True)),
            "baseline": pair.baseline,
            "metric": metric,
            **_opine(pair, metric, values[metric], level, pair.cell[0] in overlapping),
        }
        for pair in pairs
        for metric in metrics
    ]
    return pd.DataFrame(rows, columns=SCHEMAS["opinions"].names)


def _opine(pair: Pair, metric: str, values: SeedValues, level: float, overlapping: bool) -> dict[str, float]:
    mine, theirs = values.get(pair.cell, {}), values.get(pair.other, {})
    shared = sorted(set(mine) & set(theirs))
    ours, others = [mine[seed] for seed in shared], [theirs[seed] for seed in shared]
    n = len(shared)
    if n < 2 or overlapping:
        return {**_NONE, "smallest_p": reachable_p(n)}
    means = [np.array([np.mean(one) for one in side]) for side in (ours, others)]
    found = np.where(np.abs(means[0] - means[1]) > ROUNDING, means[0] - means[1], 0.0)
    low, high = bootstrap_interval(ours, others, level)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    seed = child_seed(0, ("almost stochastic order", *pair.cell, pair.baseline, metric))
    return {
        "wilcoxon_p": wilcoxon_p(found),
        "bootstrap_low": low,
        "bootstrap_high": high,
        "smallest_p": reachable_p(n),
        "p_error": p_error(sign_flip_p(found), n) if n > EXACT_LIMIT else 0.0,
        "eps_min": eps_min(sign * means[0], sign * means[1], seed, level),
    }
