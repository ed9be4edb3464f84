"""Two figures of a report with a row a method: accuracy, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from hypermix.errors import ArtefactError
from hypermix.report.drawing import Drawing
from hypermix.report.format import NOT_DEFINED, interval, is_defined, percent, points
from hypermix.report.outcome import find_outcome
from hypermix.report.panel import Panel, Row, draw_panels

METRIC = "accuracy"
"""The measure that figures show."""

SETTING = ["dataset", "subsample", "classifier"]
"""What a panel's rows have in common."""

OutcomeKey = tuple[str, str, str, str, str]
"""Dataset, subsample, classifier, augmenter, baseline."""

WIDE_PX = 900
"""Width of a figure for a screen or paper, in pixels."""

NARROW_PX = 350
"""Width of a figure for a phone, in pixels."""

_LEAST_DATA_SHARE = 0.4
"""The share of the axis that the data keep at least when the chance level is drawn too."""


def accuracy_figure(
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    *,
    order: Sequence[str] | None = None,
    baselines: Sequence[str] = (),
    chance: Mapping[str, float] | None = None,
    width_px: float = WIDE_PX,
) -> Drawing:
    """Draw the accuracy of each method, a panel for each dataset, subsample size and classifier.

    Args:
        runs: The table ``runs``: a dot is the mean over the trials of one data seed.
        summary: The table ``summary``: mean and interval over data seeds.
        order: The augmenters from top to bottom; by first appearance if None.
        baselines: The augmenters that others are compared with; they are drawn in gray, with a square mark.
        chance: For each dataset the accuracy of guessing, 0 to 1; it is a dotted line where it fits on the axis.
        width_px: Width in pixels; below 560 the layout is the one for phones.

    Raises:
        ArtefactError: If there is no accuracy to draw.
    """
    table = summary[summary["metric"] == METRIC]
    if table.empty:
        raise ArtefactError("the table 'summary' has no row with the metric 'accuracy' to draw; run aggregate again")
    methods = list(order) if order is not None else list(dict.fromkeys(table["augmenter"]))
    limits = {dataset: _limits(rows, runs[runs["dataset"] == dataset]) for dataset, rows in _by_dataset(table)}
    panels = [
        _accuracy_panel(setting, rows, runs, methods, baselines, (chance or {}).get(setting[0]), limits[setting[0]])
        for setting, rows in group_settings(table)
    ]
    text = "; ".join(
        f"{panel.title}: " + ", ".join(f"{row.name} {row.numbers}" for row in panel.rows) for panel in panels
    )
    return Drawing(draw_panels(panels, width_px), "Accuracy by method, in percent", text)


def difference_figure(
    comparisons: pd.DataFrame,
    *,
    outcomes: Mapping[OutcomeKey, str] | None = None,
    width_px: float = WIDE_PX,
) -> Drawing:
    """Draw the paired differences in accuracy of each augmenter against each baseline.

    Args:
        comparisons: The table ``comparisons``.
        outcomes: The verdict's outcome for a comparison; its mark has the outcome's shape. A comparison that the
            verdict does not speak of has a square.
        width_px: Width in pixels; below 560 the layout is the one for phones.

    Returns:
        All panels share one axis, in points.

    Raises:
        ArtefactError: If there is no difference in accuracy to draw, or an outcome is unknown.
    """
    table = comparisons[comparisons["metric"] == METRIC]
    if table.empty:
        raise ArtefactError(
            "the table 'comparisons' has no row with the metric 'accuracy' to draw; run aggregate again"
        )
    found = 100 * table[["mean_difference", "ci_low", "ci_high"]].to_numpy(dtype=float)
    limits = padded(np.append(found[np.isfinite(found)], 0.0), least_span=2.0)
    panels = [
        Panel(
            " · ".join(setting),
            tuple(_difference_row(setting, record, outcomes or {}) for record in rows.to_dict("records")),
            limits,
            "difference in accuracy, points",
            guide=0.0,
            solid=True,
        )
        for setting, rows in group_settings(table)
    ]
    text = "; ".join(
        f"{panel.title}: " + ", ".join(f"{row.name} {row.numbers}" for row in panel.rows) for panel in panels
    )
    return Drawing(draw_panels(panels, width_px), "Paired differences in accuracy, in points", text)


def group_settings(table: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Split a table by dataset, subsample size and classifier, in the order of first appearance."""
    groups = table.groupby(SETTING, sort=False)
    return [
        ((str(dataset), str(subsample), str(classifier)), rows) for (dataset, subsample, classifier), rows in groups
    ]


def seed_means(runs: pd.DataFrame, metric: str = METRIC) -> pd.DataFrame:
    """Average the trials inside each data seed.

    Returns:
        The columns dataset, subsample, classifier, augmenter, data_seed and the metric, a row a data seed.
    """
    keys = [*SETTING, "augmenter", "data_seed"]
    return runs.groupby(keys, sort=False)[metric].mean().reset_index()


def _by_dataset(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(dataset), rows) for dataset, rows in table.groupby("dataset", sort=False)]


def _limits(rows: pd.DataFrame, runs: pd.DataFrame) -> tuple[float, float]:
    bounds = rows[["mean", "ci_low", "ci_high"]].to_numpy(dtype=float).ravel()
    found = 100 * np.concatenate([bounds, seed_means(runs)[METRIC].to_numpy(dtype=float)])
    return padded(found[np.isfinite(found)], least_span=4.0)


def padded(found: np.ndarray, least_span: float) -> tuple[float, float]:
    """Return the ends of an axis that shows these numbers with room around them, at least `least_span` apart."""
    low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 0.0)
    middle, half = (low + high) / 2, max(high - low, least_span) / 2
    return middle - 1.08 * half, middle + 1.08 * half


def _accuracy_panel(
    setting: tuple[str, str, str],
    rows: pd.DataFrame,
    runs: pd.DataFrame,
    methods: Sequence[str],
    baselines: Sequence[str],
    chance: float | None,
    limits: tuple[float, float],
) -> Panel:
    here = runs[(runs[SETTING] == list(setting)).all(axis=1)]
    dots = seed_means(here)
    drawn = tuple(
        _accuracy_row(record, dots[dots["augmenter"] == method], method in baselines)
        for method in methods
        for record in rows[rows["augmenter"] == method].to_dict("records")
    )
    limits, guide, guide_name = _with_chance(limits, chance)
    return Panel(" · ".join(setting), drawn, limits, "accuracy, %", guide, guide_name)


def _with_chance(limits: tuple[float, float], chance: float | None) -> tuple[tuple[float, float], float | None, str]:
    if chance is None:
        return limits, None, ""
    low, high = limits
    value = 100 * chance
    wide = min(low, value - 0.04 * (high - low)), max(high, value + 0.04 * (high - low))
    if (high - low) / (wide[1] - wide[0]) >= _LEAST_DATA_SHARE:
        return wide, value, f"dotted: guessing, {percent(chance)} %"
    return limits, None, f"guessing ({percent(chance)} %) is off the axis"


def _accuracy_row(record: Mapping[object, object], dots: pd.DataFrame, baseline: bool) -> Row:
    mean, low, high = (_number(record[key]) for key in ("mean", "ci_low", "ci_high"))
    bounds = f" ({interval(low, high)})" if is_defined(low) else ""
    return Row(
        name=str(record["augmenter"]),
        numbers=f"{percent(mean)}{bounds}",
        mean=100 * mean,
        low=100 * low,
        high=100 * high,
        dots=tuple(100 * value for value in dots[METRIC].to_numpy(dtype=float) if math.isfinite(value)),
        marker="s" if baseline else "o",
        role="muted" if baseline else "accent",
    )


def _difference_row(
    setting: tuple[str, str, str], record: Mapping[object, object], outcomes: Mapping[OutcomeKey, str]
) -> Row:
    mean, low, high = (_number(record[key]) for key in ("mean_difference", "ci_low", "ci_high"))
    augmenter, baseline = str(record["augmenter"]), str(record["baseline"])
    key = outcomes.get((*setting, augmenter, baseline))
    outcome = find_outcome(key) if key is not None else None
    bounds = f" ({interval(low, high, signed=True)})" if is_defined(low) else ""
    role = "muted" if outcome is None else "accent" if outcome.tone == "plain" else outcome.tone
    return Row(
        name=f"{augmenter} vs {baseline}",
        numbers=f"{points(mean)}{bounds}" if is_defined(mean) else NOT_DEFINED,
        mean=100 * mean,
        low=100 * low,
        high=100 * high,
        marker=outcome.marker if outcome else "s",
        role=role,
        filled=outcome.filled if outcome else True,
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and is_defined(value) else math.nan
