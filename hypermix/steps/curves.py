"""Learning curves: the histories of all trainings, averaged over data seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hypermix.report.curves import COLUMNS
from hypermix.steps.inputs import Inputs, read_kind

MOST_STEPS = 100
"""Steps at which a curve has a point at most: more could not be seen."""

_CELL = ["dataset", "subsample", "classifier", "augmenter"]
_MOMENT = ["step", "validation_accuracy", "learning_rate"]


def read_histories(inputs: Inputs) -> pd.DataFrame:
    """Read the moments of all trainings, with the keys of their runs.

    Args:
        inputs: The files ``history`` among them.

    Returns:
        The keys, ``step``, ``validation_accuracy`` and ``learning_rate``.

    Raises:
        ArtefactError: If a file cannot be read or lacks a column.
    """
    return read_kind(inputs, "history", _MOMENT)


def learning_curves(moments: pd.DataFrame) -> pd.DataFrame:
    """Average validation accuracies over trials, then over data seeds.

    A training that ended early keeps its last accuracy, so that no step is a mean of those alone that went on. Curves
    begin where all trainings of a cell were validated. Classifiers without a learning rate have no steps to speak of
    (a probe tries penalties), and trainings without validation rows have no accuracy: neither has a curve.

    Args:
        moments: What `read_histories` returned, in any order.

    Returns:
        The columns of `hypermix.report.curves.COLUMNS`; cells in the order of appearance, at most `MOST_STEPS` each.
    """
    known = moments[moments["validation_accuracy"].notna() & moments["learning_rate"].notna()]
    rows = [row for cell, part in known.groupby(_CELL, sort=False) for row in _curve(tuple(map(str, cell)), part)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _curve(cell: tuple[str, ...], part: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    # Arrays, since a frame for each of thousands of runs takes seconds.
    seed, trial, step, accuracy = (
        part[name].to_numpy() for name in ("data_seed", "trial", "step", "validation_accuracy")
    )
    order = np.lexsort((step, trial, seed))
    starts = np.flatnonzero((np.diff(seed[order], prepend=-1) != 0) | (np.diff(trial[order], prepend=-1) != 0))
    grid = _thinned(step)
    values = np.array([_at(grid, step[run], accuracy[run]) for run in np.split(order, starts[1:])])
    seeds = pd.DataFrame(values, index=seed[order[starts]]).groupby(level=0).mean()
    whole = ~np.isnan(values).any(axis=0)
    for at, mean in zip(grid[whole], seeds.mean().to_numpy()[whole], strict=True):
        yield (*cell, int(at), float(mean))


def _thinned(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    unique = np.unique(steps)
    places = np.linspace(0, len(unique) - 1, min(len(unique), MOST_STEPS)).round().astype(int)
    thinned: NDArray[np.int64] = unique[places]
    return thinned


def _at(grid: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the last value at each step of the grid; NaN before the first."""
    places = np.searchsorted(steps, grid, side="right") - 1
    return np.where(places < 0, np.nan, values[np.maximum(places, 0)])
