"""Measures of synthetic rows over data seeds."""

from __future__ import annotations

import pandas as pd

from hypermix.stats.interval import mean_interval

CELL = ["dataset", "subsample", "augmenter", "measure"]
"""What a mean is taken for."""

_COLUMNS = [*CELL, "n_seeds", "mean", "ci_low", "ci_high"]


def summarize_quality(quality: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return mean and interval of each measure over data seeds, trials averaged inside a seed.

    Args:
        quality: A row a draw and measure: the keys, ``measure`` and ``value``; null where it has no meaning.
        level: Coverage of the intervals, between 0 and 1.

    Returns:
        The columns ``dataset``, ``subsample``, ``augmenter``, ``measure``, ``n_seeds``, ``mean``, ``ci_low`` and
        ``ci_high`` in the order in which measures and keys first come; measures without any value are left out. The
        interval is NaN with one data seed.

    Raises:
        ArtefactError: If a value is infinite.
    """
    known = quality.dropna(subset=["value"]).sort_values(["data_seed", "trial"], kind="stable")
    means = known.groupby([*CELL, "data_seed"], sort=False)["value"].mean()
    seeds: dict[tuple[str, ...], list[float]] = {}
    for (*cell, _), value in zip(means.index, means.to_numpy(), strict=True):
        seeds.setdefault(tuple(map(str, cell)), []).append(value)
    found = {cell: mean_interval(values, level) for cell, values in seeds.items()}
    rows = [(*cell, one.n, one.mean, one.low, one.high) for cell, one in found.items()]
    cells = dict.fromkeys(map(tuple, quality[CELL].to_numpy().tolist()))
    places = {cell: place for place, cell in enumerate(cells)}
    rows.sort(key=lambda row: places[row[: len(CELL)]])
    return pd.DataFrame(rows, columns=_COLUMNS)
