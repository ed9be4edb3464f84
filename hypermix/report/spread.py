"""Where the spread of accuracy comes from, in words: the table ``variance`` in, lines of tables out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hypermix.report.figure import METRIC, group_settings
from hypermix.report.format import count, interval, is_defined, percent

_MOST = 2 / 3


def spread_groups(variance: pd.DataFrame) -> list[dict[str, Any]]:
    """Word the components of variance of accuracy by setting.

    Args:
        variance: The table ``variance``.

    Returns:
        A dict a setting: ``title`` and ``rows``, each with ``augmenter``, the standard deviations ``seed``, ``trial``
        and ``test`` in points, the ``interval`` over test rows where only that can be told (else None), and ``words``.
    """
    return [
        {"title": " · ".join(setting), "rows": [_row(record) for record in rows.to_dict("records")]}
        for setting, rows in group_settings(variance[variance["metric"] == METRIC])
    ]


def _row(record: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "augmenter": record["augmenter"],
        "n_seeds": count(record["n_seeds"]),
        "n_runs": count(record["n_runs"]),
        **{part: _deviation(record[f"{part}_variance"]) for part in ("seed", "trial", "test")},
        "interval": interval(record["ci_low"], record["ci_high"]) if is_defined(record["ci_low"]) else None,
        "words": _word(record["seed_variance"], record["trial_variance"]),
    }


def _deviation(variance: float) -> str:
    return percent(math.sqrt(variance)) if is_defined(variance) else "cannot be told"


def _word(seed: float, trial: float) -> str:
    if not is_defined(trial):
        return "One trial a data seed: rows drawn and training cannot be told apart."
    if not is_defined(seed):
        return "One data seed: how much the rows drawn matter cannot be told."
    if seed + trial == 0:
        return "All runs are equally accurate."
    if seed >= _MOST * (seed + trial):
        return "Most of the spread comes from which rows were drawn: more data seeds tell more than more trials."
    if trial >= _MOST * (seed + trial):
        return "Most of the spread comes from generating and training anew: more trials would help too."
    return "The rows drawn and the trials spread about alike."
