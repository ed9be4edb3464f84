"""What is counted: trials stand inside a data seed, data seeds inside a cell, and cells are paired by data seed.

A metric that is NaN in a run is treated as if that run were missing for this metric.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from hypermix.errors import ArtefactError
from hypermix.stats.interval import ROUNDING
from hypermix.tables import KEYS, METRICS

Cell = tuple[str, str, str, str]
"""Dataset, subsample, augmenter and classifier: the keys without seeds."""

SeedValues = dict[Cell, dict[int, list[float]]]
"""The values of one metric: for each cell and data seed one a trial."""

CELL = [key for key in KEYS if key not in ("data_seed", "trial")]
"""The names of the keys of a cell."""

SEED = "data_seed"


@dataclass(frozen=True)
class Pair:
    """Two cells that differ in the augmenter alone.

    Attributes:
        cell: The cell with the augmenter in question.
        other: The cell with the baseline.
        baseline: The name of the baseline.
    """

    cell: Cell
    other: Cell
    baseline: str


def ordered(runs: pd.DataFrame) -> pd.DataFrame:
    """Return keys and metrics of the runs sorted by all keys, so that sums do not depend on the order of files.

    Raises:
        ArtefactError: If a column is missing or a run stands there twice.
    """
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
    more = [name for name in ("n_test",) if name in runs.columns]
    typed = runs[[*wanted, *more]].astype(dict.fromkeys(METRICS, "float64"))
    return typed.sort_values(list(KEYS), kind="stable")


def seed_means(runs: pd.DataFrame) -> dict[Cell, pd.DataFrame]:
    """Return for each cell the metrics averaged over trials, a row for each data seed; everything sorted.

    Raises:
        ArtefactError: If a column is missing or a run stands there twice.
    """
    means = ordered(runs).groupby([*CELL, SEED])[list(METRICS)].mean()
    return {as_cell(cell): frame.droplevel(list[Hashable](CELL)) for cell, frame in means.groupby(level=CELL)}


def seed_values(runs: pd.DataFrame, metric: str) -> SeedValues:
    """Return for each cell the values of one metric by data seed, a value for each trial; everything sorted.

    Raises:
        ArtefactError: If a column is missing or a run stands there twice.
    """
    found: SeedValues = {}
    known = ordered(runs).dropna(subset=[metric])
    for *cell, seed, value in known[[*CELL, SEED, metric]].itertuples(index=False, name=None):
        found.setdefault(as_cell(cell), {}).setdefault(int(seed), []).append(float(value))
    return found


def as_cell(keys: Iterable[object]) -> Cell:
    """Return the keys of a cell as text."""
    dataset, subsample, augmenter, classifier = map(str, keys)
    return dataset, subsample, augmenter, classifier


def opponents(cells: Sequence[Cell], baselines: Sequence[str]) -> Iterator[Pair]:
    """Pair each cell with each baseline that ran in the same setting.

    A baseline is compared with those before it alone.

    Args:
        cells: The cells that ran, in order.
        baselines: Names of augmenters to compare with, in order of importance; unknown ones are left out.
    """
    known, names = set(cells), list(dict.fromkeys(baselines))
    for cell in cells:
        dataset, subsample, augmenter, classifier = cell
        earlier = names.index(augmenter) if augmenter in names else len(names)
        for baseline in names[:earlier]:
            other = (dataset, subsample, baseline, classifier)
            if other in known:
                yield Pair(cell, other, baseline)


def differences(mine: pd.Series[float], theirs: pd.Series[float]) -> pd.Series[float]:
    """Return the differences of the data seeds that both have, without the rounding of the means."""
    found = (mine - theirs).dropna().sort_index()
    return found.where(found.abs() > ROUNDING, 0.0)
