"""Methods over several datasets: mean ranks with their critical difference, and the odds that one beats the other.

Accuracies of different datasets cannot be averaged, ranks can: Demsar 2006, "Statistical comparisons of classifiers
over multiple data sets", section 3.2.2, for Friedman's test and the critical difference of Nemenyi.

The chance that a method beats a baseline on more than half of all such datasets is that of a Bayesian sign test, as in
Benavoli, Corani, Demsar and Zaffalon 2017, "Time for a change", section 4.1, but with a uniform prior of the share
of datasets that it wins. Their prior is so weak that two wins of two would give certainty; here they give 0.875.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from hypermix.stats.interval import ROUNDING, check_share
from hypermix.stats.unit import seed_means
from hypermix.tables import SCHEMAS

METRIC = "accuracy"
_SETTING = ["subsample", "classifier"]


def win_probability(wins: int, ties: int, losses: int) -> float:
    """Return the probability that a method beats another on more than half of all datasets like these.

    Args:
        wins: Datasets on which it was better.
        ties: Datasets on which both were equal; each counts as half a win and half a loss.
        losses: Datasets on which it was worse.

    Returns:
        A probability; 0.5 without datasets.
    """
    return float(special.betainc(1 + losses + ties / 2, 1 + wins + ties / 2, 0.5))


@lru_cache(maxsize=64)
def critical_difference(n_methods: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Return the smallest difference of mean ranks that Nemenyi's test takes for real.

    Args:
        n_methods: How many methods were ranked.
        n_datasets: On how many datasets.
        alpha: The chance of any false claim among all pairs of methods.

    Returns:
        A number of ranks; NaN with fewer than two methods or datasets.

    Raises:
        ArtefactError: If alpha is not between 0 and 1.
    """
    check_share("alpha", alpha)
    if n_methods < 2 or n_datasets < 2:
        return math.nan
    quantile = float(stats.studentized_range.ppf(1 - alpha, n_methods, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(n_methods * (n_methods + 1) / (6 * n_datasets))


def rank_methods(runs: pd.DataFrame, baselines: Sequence[str], alpha: float = 0.05) -> pd.DataFrame:
    """Rank the augmenters over the datasets of an experiment by mean accuracy, for each size and classifier.

    Args:
        runs: A row a run, with the columns of the table ``runs``; of its counts none is needed.
        baselines: Names of augmenters to compare with, in order of importance.
        alpha: The bound of the critical difference.

    Returns:
        The columns of the table ``ranks``: a row for each augmenter and each baseline that it is compared with, or one
        with a null baseline. Rank 1 is the best; equal means share their ranks. Ranked are the augmenters that ran on
        every dataset of a setting; the others are left out. Without a setting of two datasets and two augmenters it
        has no rows.

    Raises:
        ArtefactError: If a column is missing, a run stands there twice, or alpha is not between 0 and 1.
    """
    means = [
        {"dataset": cell[0], "subsample": cell[1], "augmenter": cell[2], "classifier": cell[3], "mean": float(mean)}
        for cell, seeds in seed_means(runs).items()
        if not math.isnan(mean := seeds[METRIC].mean())
    ]
    frame = pd.DataFrame(means, columns=["dataset", *_SETTING, "augmenter", "mean"])
    rows: list[dict[str, Any]] = []
    for setting, group in frame.groupby(_SETTING):
        table = group.pivot_table(index="dataset", columns="augmenter", values="mean").dropna(axis="columns")
        if min(table.shape) >= 2:
            subsample, classifier = setting
            where = {"subsample": str(subsample), "classifier": str(classifier)}
            rows += [{**where, **row} for row in _rank(table, list(dict.fromkeys(baselines)), alpha)]
    return pd.DataFrame(rows, columns=SCHEMAS["ranks"].names)


def _rank(table: pd.DataFrame, baselines: Sequence[str], alpha: float) -> list[dict[str, Any]]:
    scores = table.to_numpy().round(12)
    n_datasets, n_methods = scores.shape
    ranks = stats.rankdata(-scores, axis=1).mean(axis=0)
    shared = {
        "n_datasets": n_datasets,
        "n_methods": n_methods,
        "critical_difference": critical_difference(n_methods, n_datasets, alpha),
        "friedman_p": _friedman_p(scores),
    }
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(map(str, table.columns)):
        earlier = baselines.index(name) if name in baselines else len(baselines)
        opponents = [baseline for baseline in baselines[:earlier] if baseline in table.columns]
        method = {**shared, "augmenter": name, "mean_rank": float(ranks[place])}
        rows += [{**method, "baseline": one, **_against(table[name], table[one])} for one in opponents]
        if not opponents:
            rows.append({**method, "baseline": None, "wins": None, "ties": None, "losses": None, "p_better": math.nan})
    return rows


def _friedman_p(scores: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    """Return the p value of Friedman's test; NaN with fewer than three methods, or where all are equal."""
    if scores.shape[1] < 3 or not np.ptp(scores, axis=1).any():
        return math.nan
    return float(stats.friedmanchisquare(*scores.T).pvalue)


def _against(mine: pd.Series[float], theirs: pd.Series[float]) -> dict[str, Any]:
    gaps = (mine - theirs).to_numpy()
    wins, losses = int((gaps > ROUNDING).sum()), int((gaps < -ROUNDING).sum())
    ties = len(gaps) - wins - losses
    return {"wins": wins, "ties": ties, "losses": losses, "p_better": win_probability(wins, ties, losses)}
