"""Second opinions on the comparisons, in words: the table ``opinions`` in, lines of tables out."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hypermix.report.figure import METRIC, SETTING, group_settings
from hypermix.report.format import decimal, interval, is_defined, p_value, points

_KEYS = [*SETTING, "augmenter", "baseline", "metric"]


def opinion_groups(comparisons: pd.DataFrame, opinions: pd.DataFrame) -> list[dict[str, Any]]:
    """Word the second opinions on differences in accuracy by setting, beside the first.

    Args:
        comparisons: The table ``comparisons``.
        opinions: The table ``opinions``; a comparison that it lacks is left out.

    Returns:
        A dict a setting: ``title`` and ``rows``, each with ``augmenter``, ``baseline``, ``difference``, ``p`` with its
        Monte Carlo error where it was drawn, ``smallest`` (the smallest p that so many pairs can reach), ``wilcoxon``,
        ``interval`` (bootstrap) and ``eps`` (almost stochastic order).
    """
    joined = comparisons[comparisons["metric"] == METRIC].merge(opinions, on=_KEYS, how="inner")
    return [
        {"title": " · ".join(setting), "rows": [_row(record) for record in rows.to_dict("records")]}
        for setting, rows in group_settings(joined)
    ]


def _row(record: dict[Any, Any]) -> dict[str, Any]:
    error = record["p_error"]
    return {
        "augmenter": record["augmenter"],
        "baseline": record["baseline"],
        "difference": points(record["mean_difference"]),
        "p": p_value(record["p_value"]),
        "error": f"± {decimal(error, 4)}" if is_defined(error) and error > 0 else None,
        "smallest": p_value(record["smallest_p"]),
        "wilcoxon": p_value(record["wilcoxon_p"]),
        "interval": interval(record["bootstrap_low"], record["bootstrap_high"], signed=True),
        "eps": decimal(record["eps_min"], 2),
    }
