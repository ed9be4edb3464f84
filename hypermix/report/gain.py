"""The figure of what a method costs against what it gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hypermix.report.chart import Chart, Line, draw_charts
from hypermix.report.drawing import Drawing
from hypermix.report.figure import METRIC, WIDE_PX, group_settings, padded
from hypermix.report.format import count, dollars, points
from hypermix.report.look import Look, looks

COLUMNS = ("dataset", "subsample", "augmenter", "usd", "requests")
"""The columns of what a data seed costs: US dollars (null where there is no price) and requests, means of all seeds."""

_KEYS = ["dataset", "subsample", "augmenter"]


def gain_figure(
    comparisons: pd.DataFrame,
    seed_costs: pd.DataFrame,
    *,
    baselines: Sequence[str],
    width_px: float = WIDE_PX,
) -> Drawing | None:
    """Draw the difference in accuracy to the first baseline against what a data seed cost.

    Dollars are shown where any were paid, requests to language models otherwise. An augmenter that asked no model cost
    nothing; one whose price is unknown is left out where dollars are shown.

    Args:
        comparisons: The table ``comparisons``.
        seed_costs: See `COLUMNS`; augmenters that asked no language model have no row.
        baselines: The augmenters that others are compared with; the first counts.
        width_px: Width in pixels; below 560 the layout is the one for phones.

    Returns:
        None where nothing is compared or no language model was asked.
    """
    first = baselines[0] if baselines else None
    table = comparisons[
        (comparisons["metric"] == METRIC) & (comparisons["baseline"] == first) & comparisons["mean_difference"].notna()
    ]
    if table.empty or seed_costs.empty:
        return None
    unit = "usd" if (seed_costs["usd"] > 0).any() else "requests"
    merged = table.merge(seed_costs, on=_KEYS, how="left", indicator="asked")
    nothing = merged["asked"] == "left_only"
    merged["cost"] = merged[unit].astype(float).where(~nothing, 0.0)
    known = merged[merged["cost"].notna()]
    if not (known["cost"] > 0).any():
        return None
    # With all baselines, so that each looks as it does in the other figures.
    methods = looks([str(name) for name in dict.fromkeys([*baselines, *table["augmenter"]])], baselines)
    charts = [_chart(setting, rows, methods, unit, str(first)) for setting, rows in group_settings(known)]
    text = "; ".join(f"{chart.title}: {', '.join(_tell(line, unit) for line in chart.lines)}" for chart in charts)
    return Drawing(draw_charts(charts, width_px), "Cost against gain in accuracy", text)


def _chart(
    setting: tuple[str, str, str], rows: pd.DataFrame, methods: Mapping[str, Look], unit: str, first: str
) -> Chart:
    lines = tuple(_line(record, methods[str(record["augmenter"])]) for record in rows.to_dict("records"))
    shown = 100 * rows[["mean_difference", "ci_low", "ci_high"]].to_numpy(dtype=float)
    most = float(rows["cost"].max()) or 1.0
    return Chart(
        " · ".join(setting),
        lines,
        (-0.04 * most, 1.06 * most),
        padded(np.append(shown[np.isfinite(shown)], 0.0), least_span=2.0),
        "US dollars a data seed" if unit == "usd" else "requests a data seed",
        f"difference to {first}, points",
        guide=0.0,
    )


def _line(record: Mapping[Any, Any], look: Look) -> Line:
    at = float(record["cost"])
    low, high = 100 * record["ci_low"], 100 * record["ci_high"]
    bars = ((at, low, high),) if np.isfinite(low) and np.isfinite(high) else ()
    return Line(str(record["augmenter"]), look, ((at, 100 * record["mean_difference"]),), bars=bars)


def _tell(line: Line, unit: str) -> str:
    cost, gain = line.points[0]
    price = f"{dollars(cost)} US dollars" if unit == "usd" else f"{count(cost)} requests"
    return f"{line.name} {points(gain / 100)} points for {price}"
