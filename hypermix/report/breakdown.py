"""What stands behind the measures of a method: its classes, and how far its probabilities can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hypermix.report.chart import Chart, Line, draw_charts
from hypermix.report.drawing import Drawing
from hypermix.report.figure import WIDE_PX, group_settings
from hypermix.report.format import count, interval, is_defined, percent
from hypermix.report.look import Look, looks

_MOST_WITH_INTERVALS = 20
_LEAST_SHARE = 0.01


def class_groups(classes: pd.DataFrame) -> list[dict[str, Any]]:
    """Word F1 of each class by setting, a column a method.

    Args:
        classes: The table ``classes``.

    Returns:
        A dict a setting: ``title``, ``augmenters``, ``rows`` with ``label``, ``n_rows`` (of test) and ``cells``, each
        with ``f1``, ``interval`` (None where there is none or classes are many), ``precision`` and ``recall``; a cell
        is None where a method has no run.
    """
    groups = []
    for setting, rows in group_settings(classes):
        found = {(str(row["label"]), str(row["augmenter"])): row for row in rows.to_dict("records")}
        labels = list(dict.fromkeys(label for label, _ in found))
        augmenters = [str(name) for name in dict.fromkeys(rows["augmenter"])]
        told = len(labels) <= _MOST_WITH_INTERVALS
        sizes = rows.groupby("label", sort=False)["n_rows"].max()
        lines = [
            {
                "label": label,
                "n_rows": count(sizes[label]),
                "cells": [_cell(found.get((label, name)), told) for name in augmenters],
            }
            for label in labels
        ]
        groups.append({"title": " · ".join(setting), "augmenters": augmenters, "rows": lines})
    return groups


def _cell(record: Mapping[Any, Any] | None, told: bool) -> dict[str, str | None] | None:
    if record is None:
        return None
    bounds = interval(record["f1_low"], record["f1_high"]) if told and is_defined(record["f1_low"]) else None
    return {
        "f1": percent(record["f1"]),
        "interval": bounds,
        "precision": percent(record["precision"]),
        "recall": percent(record["recall"]),
    }


def reliability_figure(
    calibration: pd.DataFrame, *, baselines: Sequence[str] = (), width_px: float = WIDE_PX
) -> Drawing | None:
    """Draw how often predictions of each probability are right, a chart for each setting.

    Bins with less than 1 % of a method's predictions are left out: they are noise.

    Args:
        calibration: The table ``all_calibration``: bins pooled over runs.
        baselines: The augmenters that others are compared with; they are gray.
        width_px: Width in pixels; below 560 the layout is the one for phones.

    Returns:
        None where there are no predictions.
    """
    known = calibration[(calibration["n"] > 0) & calibration["confidence"].notna()]
    methods = looks([str(name) for name in dict.fromkeys(known["augmenter"])], baselines)
    charts = [_chart(setting, rows, methods) for setting, rows in group_settings(known)]
    if not charts:
        return None
    text = "; ".join(f"{chart.title}: {', '.join(_tell(line) for line in chart.lines)}" for chart in charts)
    return Drawing(draw_charts(charts, width_px), "How often predictions are right, by their probability", text)


def _chart(setting: tuple[str, str, str], rows: pd.DataFrame, methods: Mapping[str, Look]) -> Chart:
    lines = []
    for name, look in methods.items():
        part = rows[rows["augmenter"] == name].sort_values("low")
        large = part[part["n"] >= _LEAST_SHARE * part["n"].sum()]
        points = tuple(zip(100 * large["confidence"], 100 * large["accuracy"], strict=True))
        if points:
            lines.append(Line(name, look, points))
    least = min(min(point) for line in lines for point in line.points)
    low = float(np.floor(least / 10) * 10)
    limits = (low - 2.0, 102.0)
    axis = "mean probability of the predicted label, %"
    return Chart(" · ".join(setting), tuple(lines), limits, limits, axis, "right, %", diagonal=True)


def _tell(line: Line) -> str:
    worst = max(line.points, key=lambda point: abs(point[0] - point[1]))
    right, said = percent(worst[1] / 100), percent(worst[0] / 100)
    return f"{line.name} is right in {right} % where it says {said} % (its worst bin)"
