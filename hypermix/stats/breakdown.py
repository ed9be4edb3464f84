"""What the measures of a run are made of, put together over runs: classes, and the bins of calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hypermix.stats.interval import mean_interval
from hypermix.stats.overlap import more_variance
from hypermix.stats.unit import CELL, SEED
from hypermix.tables import KEYS, SCHEMAS

_MEASURES = ("precision", "recall", "f1")


def class_measures(confusion: pd.DataFrame) -> pd.DataFrame:
    """Return precision, recall and F1 of each class of each run.

    Args:
        confusion: The table ``confusion`` of all runs, with their keys.

    Returns:
        The keys of a run, ``label``, ``n_rows`` (its true rows), ``precision``, ``recall`` and ``f1``. A share of no
        rows counts as 0, as in `hypermix.stats.metric.macro_f1`.
    """
    keys = list(KEYS)
    known = confusion.astype(dict.fromkeys((*CELL, "label", "predicted"), "object"))
    hits = known["n"].where(known["label"] == known["predicted"], 0)
    true = known.assign(hits=hits).groupby([*keys, "label"], sort=True)[["n", "hits"]].sum()
    predicted = known.groupby([*keys, "predicted"], sort=True)["n"].sum().rename_axis([*keys, "label"])
    both = true.join(predicted.rename("predicted"), how="outer").fillna(0).reset_index()
    rows, right, guessed = (both[name].to_numpy(dtype=np.float64) for name in ("n", "hits", "predicted"))
    return both[[*keys, "label"]].assign(
        n_rows=rows,
        precision=right / np.maximum(guessed, 1),
        recall=right / np.maximum(rows, 1),
        f1=2 * right / np.maximum(rows + guessed, 1),
    )


def summarize_classes(
    confusion: pd.DataFrame, level: float = 0.95, overlaps: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return the measures of each class for every cell: mean and interval over data seeds, trials averaged inside.

    Args:
        confusion: The table ``confusion`` of all runs, with their keys.
        level: Coverage of the intervals.
        overlaps: The datasets whose test sets overlap; see `hypermix.stats.summarize.summarize`.

    Returns:
        The columns of the table ``classes``; intervals are NaN with one data seed. ``n_rows`` is the mean of the true
        rows of a run.

    Raises:
        ArtefactError: If the level or an overlap is not between 0 and 1.
    """
    more = more_variance(overlaps)
    seeds = class_measures(confusion).groupby([*CELL, "label", SEED], sort=True)[["n_rows", *_MEASURES]].mean()
    rows: list[dict[str, Any]] = []
    for key, group in seeds.groupby(level=[*CELL, "label"], sort=True):
        *cell, label = key
        row: dict[str, Any] = {
            **dict(zip(CELL, cell, strict=True)),
            "label": label,
            "n_seeds": len(group),
            "n_rows": float(group["n_rows"].mean()),
        }
        for name in _MEASURES:
            found = mean_interval(group[name], level, more.get(str(cell[0]), 0.0))
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row)
    return pd.DataFrame(rows, columns=SCHEMAS["classes"].names)


def pool_calibration(calibration: pd.DataFrame) -> pd.DataFrame:
    """Pool the bins of calibration over the runs of a cell; each row of a test set counts alike.

    Args:
        calibration: The table ``calibration`` of all runs, with their keys.

    Returns:
        The columns of the table ``all_calibration``; confidence and accuracy are NaN in a bin without rows.
    """
    n = calibration["n"]
    sums = calibration.assign(
        confidence=(calibration["confidence"] * n).fillna(0.0), accuracy=(calibration["accuracy"] * n).fillna(0.0)
    )
    order = sums.sort_values([*KEYS, "low"], kind="stable")
    found = order.groupby([*CELL, "low", "high"], sort=True)[["n", "confidence", "accuracy"]].sum().reset_index()
    rows = found["n"].where(found["n"] > 0)
    pooled = found.assign(confidence=found["confidence"] / rows, accuracy=found["accuracy"] / rows)
    return pooled[list(SCHEMAS["all_calibration"].names)]
