"""From runs to the tables ``summary`` and ``comparisons``.

One place decides what a unit is: trials are averaged inside a data seed, and everything is counted over data seeds.
A metric that is NaN in a run is treated as if that run were missing for this metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from hypermix.errors import ArtefactError
from hypermix.stats.compare import compare_pairs, holm
from hypermix.stats.interval import ROUNDING, mean_interval
from hypermix.tables import KEYS, METRICS, SCHEMAS

Cell = tuple[str, str, str, str]
"""Dataset, subsample, augmenter and classifier: the keys without seeds."""

_CELL = [key for key in KEYS if key not in ("data_seed", "trial")]
_SEED = "data_seed"
_COUNTS = ["n_seeds", "n_runs", "n_pairs"]


def summarize(runs: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return mean, spread and interval of every metric for every cell.

    Args:
        runs: A row a run, with the columns of the table ``runs``; of its counts none is needed.
        level: Coverage of the intervals, between 0 and 1.

    Returns:
        The columns of the table ``summary``, a row for each cell and metric: cells sorted by dataset, subsample,
        augmenter and classifier, metrics in the order of `hypermix.tables.METRICS`. Spread and interval are NaN with
        one data seed. A row without any value has zero counts and NaN.

    Raises:
        ArtefactError: If a column is missing, a run stands there twice, or a metric is infinite.
    """
    rows: list[dict[str, Any]] = []
    counts = _ordered(runs).groupby(_CELL)[list(METRICS)].count()
    for cell, seeds in _cells(runs).items():
        for metric in METRICS:
            found = mean_interval(seeds[metric].dropna(), level)
            rows.append(
                {
                    **dict(zip(_CELL, cell, strict=True)),
                    "metric": metric,
                    "n_seeds": found.n,
                    "n_runs": int(counts[metric][cell]),
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

    Returns:
        The columns of the table ``comparisons``, in the order of `summarize`, then of `baselines`, then of the
        metrics. ``mean_difference`` is the augmenter minus the baseline. The family of ``p_adjusted`` is all
        comparisons of one metric, but for those of `bounds`.

    Raises:
        ArtefactError: If a column is missing, a run stands there twice, or a metric is infinite.
    """
    cells = _cells(runs)
    rows = [
        {
            **dict(zip(_CELL, cell, strict=True)),
            "baseline": baseline,
            "metric": metric,
            **asdict(compare_pairs(_differences(cells[cell][metric], other[metric]), level, alpha)),
        }
        for cell in cells
        for baseline, other in _opponents(cell, cells, list(dict.fromkeys(baselines)))
        for metric in METRICS
    ]
    found = _table("comparisons", rows)
    of_bound = found["augmenter"].isin(list(bounds))
    for metric in METRICS:
        for family in (~of_bound & (found["metric"] == metric), of_bound & (found["metric"] == metric)):
            found.loc[family, "p_adjusted"] = holm(found.loc[family, "p_value"].to_numpy())
    return found


def _opponents(
    cell: Cell, cells: dict[Cell, pd.DataFrame], baselines: Sequence[str]
) -> Iterator[tuple[str, pd.DataFrame]]:
    dataset, subsample, augmenter, classifier = cell
    earlier = baselines.index(augmenter) if augmenter in baselines else len(baselines)
    for baseline in baselines[:earlier]:
        other = cells.get((dataset, subsample, baseline, classifier))
        if other is not None:
            yield baseline, other


def _differences(mine: pd.Series[float], theirs: pd.Series[float]) -> pd.Series[float]:
    """Return the differences of the data seeds that both have, without the rounding of the means."""
    differences = (mine - theirs).dropna().sort_index()
    return differences.where(differences.abs() > ROUNDING, 0.0)


def _cells(runs: pd.DataFrame) -> dict[Cell, pd.DataFrame]:
    """Return for each cell the metrics averaged over trials, a row for each data seed; everything sorted."""
    means = _ordered(runs).groupby([*_CELL, _SEED])[list(METRICS)].mean()
    return {
        (str(dataset), str(subsample), str(augmenter), str(classifier)): frame.droplevel([*_CELL])
        for (dataset, subsample, augmenter, classifier), frame in means.groupby(level=_CELL)
    }


def _ordered(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs sorted by all keys, so that sums do not depend on the order of files."""
    wanted = [*KEYS, *METRICS]
    missing = [name for name in wanted if name not in runs.columns]
    if missing:
        raise ArtefactError(f"runs: lacks the columns {missing!r}, it must have {wanted!r}; run aggregate again")
    twice = runs.loc[runs.duplicated(list(KEYS)), list(KEYS)]
    if len(twice):
        named = ", ".join(f"{key}={value}" for key, value in twice.iloc[0].items())
        raise ArtefactError(
            f"runs: {named} stands there more than once, a run may stand there once; run aggregate again"
        )
    typed = runs[wanted].astype(dict.fromkeys(METRICS, "float64"))
    return typed.sort_values(list(KEYS), kind="stable")


def _table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=SCHEMAS[name].names)
    types = {column: "int64" for column in _COUNTS if column in frame}
    types.update({column: "float64" for column in ("p_value", "p_adjusted") if column in frame})
    types.update({column: "Int64" for column in ("pairs_needed",) if column in frame})
    return frame.astype(types)
