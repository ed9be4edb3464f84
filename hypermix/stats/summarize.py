"""From runs to the tables ``summary`` and ``comparisons``.

Trials are averaged inside a data seed, and everything is counted over data seeds; see `hypermix.stats.unit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from hypermix.stats.compare import compare_pairs, holm
from hypermix.stats.interval import mean_interval
from hypermix.stats.overlap import more_variance
from hypermix.stats.unit import CELL, as_cell, differences, opponents, ordered, seed_means
from hypermix.tables import METRICS, SCHEMAS

_COUNTS = ["n_seeds", "n_runs", "n_pairs"]


def summarize(runs: pd.DataFrame, level: float = 0.95, overlaps: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Return mean, spread and interval of every metric for every cell.

    Args:
        runs: A row a run, with the columns of the table ``runs``; of its counts none is needed.
        level: Coverage of the intervals, between 0 and 1.
        overlaps: The datasets whose test sets overlap, with the share of rows that two of them have in common; see
            `hypermix.stats.overlap`.

    Returns:
        The columns of the table ``summary``, a row for each cell and metric: cells sorted by dataset, subsample,
        augmenter and classifier, metrics in the order of `hypermix.tables.METRICS`. Spread and interval are NaN with
        one data seed. A row without any value has zero counts and NaN.

    Raises:
        ArtefactError: If a column is missing, a run stands there twice, a metric is infinite, or an overlap is not
            between 0 and 1.
    """
    rows: list[dict[str, Any]] = []
    counted = {as_cell(cell): one[list(METRICS)].count() for cell, one in ordered(runs).groupby(CELL)}
    more = more_variance(overlaps)
    for cell, seeds in seed_means(runs).items():
        for metric in METRICS:
            found = mean_interval(seeds[metric].dropna(), level, more.get(cell[0], 0.0))
            rows.append(
                {
                    **dict(zip(CELL, cell, strict=True)),
                    "metric": metric,
                    "n_seeds": found.n,
                    "n_runs": int(counted[cell][metric]),
                    "mean": found.mean,
                    "sd": found.sd,
                    "ci_low": found.low,
                    "ci_high": found.high,
                }
            )
    return _table("summary", rows)


def compare(
    runs: pd.DataFrame,
    baselines: Sequence[str],
    level: float = 0.95,
    alpha: float = 0.05,
    bounds: Sequence[str] = (),
    overlaps: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the paired difference of every augmenter to every baseline, for every metric.

    Pairs are the data seeds that both have. A baseline is compared with those before it in `baselines` alone. Where
    a baseline has no run with the same dataset, subsample and classifier, there is no row.

    Args:
        runs: A row a run, with the columns of the table ``runs``; of its counts none is needed.
        baselines: Names of augmenters to compare with, in order of importance; unknown ones are left out.
        level: Coverage of the intervals.
        alpha: The bound for p in ``pairs_needed``, for one comparison alone.
        bounds: Names of augmenters that show what can be gained or lost at most. They are no candidates, so the
            others pay nothing for them: their comparisons are a family of their own.
        overlaps: The datasets whose test sets overlap; see `summarize`. Their test and interval are the corrected ones.

    Returns:
        The columns of the table ``comparisons``, in the order of `summarize`, then of `baselines`, then of the
        metrics. ``mean_difference`` is the augmenter minus the baseline. The family of ``p_adjusted`` is all
        comparisons of one metric, but for those of `bounds`.

    Raises:
        ArtefactError: If a column is missing, a run stands there twice, a metric is infinite, or an overlap is not
            between 0 and 1.
    """
    cells, more = seed_means(runs), more_variance(overlaps)
    rows = [
        {
            **dict(zip(CELL, pair.cell, strict=True)),
            "baseline": pair.baseline,
            "metric": metric,
            **asdict(compare_pairs(found, level, alpha, more.get(pair.cell[0], 0.0))),
        }
        for pair in opponents(list(cells), baselines)
        for metric in METRICS
        for found in [differences(cells[pair.cell][metric], cells[pair.other][metric])]
    ]
    found = _table("comparisons", rows)
    of_bound = found["augmenter"].isin(list(bounds))
    for metric in METRICS:
        for family in (~of_bound & (found["metric"] == metric), of_bound & (found["metric"] == metric)):
            found.loc[family, "p_adjusted"] = holm(found.loc[family, "p_value"].to_numpy())
    return found


def _table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=SCHEMAS[name].names)
    types = {column: "int64" for column in _COUNTS if column in frame}
    types.update({column: "float64" for column in ("p_value", "p_adjusted") if column in frame})
    types.update({column: "Int64" for column in ("pairs_needed",) if column in frame})
    return frame.astype(types)
