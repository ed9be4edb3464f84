"""The figure of learning curves: mean validation accuracy by training step, a line a method."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hypermix.report.chart import Chart, Line, draw_charts
from hypermix.report.drawing import Drawing
from hypermix.report.figure import WIDE_PX, group_settings, padded
from hypermix.report.format import count, percent
from hypermix.report.look import Look, looks

COLUMNS = ("dataset", "subsample", "classifier", "augmenter", "step", "accuracy")
"""The columns of what is drawn: mean validation accuracy, 0 to 1, after so many steps."""


def curve_figure(curves: pd.DataFrame, *, baselines: Sequence[str] = (), width_px: float = WIDE_PX) -> Drawing | None:
    """Draw learning curves, a chart for each dataset, subsample size and classifier.

    Args:
        curves: See `COLUMNS`; steps rise within each augmenter.
        baselines: The augmenters that others are compared with; they are gray.
        width_px: Width in pixels; below 560 the layout is the one for phones.

    Returns:
        None where no setting has an accuracy after two different steps.
    """
    known = curves[curves["accuracy"].notna()]
    methods = looks([str(name) for name in dict.fromkeys(known["augmenter"])], baselines)
    charts = [_chart(setting, rows, methods) for setting, rows in group_settings(known) if rows["step"].nunique() > 1]
    if not charts:
        return None
    text = "; ".join(f"{chart.title}: {', '.join(_tell(line) for line in chart.lines)}" for chart in charts)
    return Drawing(draw_charts(charts, width_px), "Validation accuracy by training step, in percent", text)


def _chart(setting: tuple[str, str, str], rows: pd.DataFrame, methods: dict[str, Look]) -> Chart:
    parts = {name: rows[rows["augmenter"] == name] for name in methods}
    lines = tuple(
        Line(
            name,
            methods[name],
            tuple(zip(part["step"].astype(float), 100 * part["accuracy"], strict=True)),
            marked=False,
        )
        for name, part in parts.items()
        if len(part)
    )
    steps = rows["step"].to_numpy(dtype=float)
    return Chart(
        " · ".join(setting),
        lines,
        (min(0.0, float(steps.min())), 1.02 * float(steps.max())),
        padded(100 * rows["accuracy"].to_numpy(dtype=float), least_span=4.0),
        "training step",
        "validation accuracy, %",
    )


def _tell(line: Line) -> str:
    best = max(line.points, key=lambda point: point[1])
    last = line.points[-1]
    return (
        f"{line.name} {percent(last[1] / 100)} after {count(last[0])} steps, at best {percent(best[1] / 100)} "
        f"after {count(best[0])}"
    )
