"""The figure of accuracy against subsample size: a line a method, a dot a data seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hypermix.report.chart import Chart, Line, draw_charts
from hypermix.report.drawing import Drawing
from hypermix.report.figure import METRIC, WIDE_PX, padded, seed_means
from hypermix.report.format import percent
from hypermix.report.look import Look, looks

_SPREAD = 0.5
"""The share of the way to the next size over which methods stand beside each other."""


def size_figure(
    runs: pd.DataFrame, summary: pd.DataFrame, *, baselines: Sequence[str] = (), width_px: float = WIDE_PX
) -> Drawing | None:
    """Draw the accuracy against the subsample size, a chart for each dataset and classifier.

    Args:
        runs: The table ``runs``: a dot is the mean over the trials of one data seed.
        summary: The table ``summary``: means and intervals over data seeds; sizes in the order in which they are drawn.
        baselines: The augmenters that others are compared with; they are gray.
        width_px: Width in pixels; below 560 the layout is the one for phones.

    Returns:
        None where no dataset has two sizes.
    """
    table = summary[(summary["metric"] == METRIC) & summary["mean"].notna()]
    methods = looks([str(name) for name in dict.fromkeys(table["augmenter"])], baselines)
    means = seed_means(runs)
    charts = [
        _chart((str(dataset), str(classifier)), rows, means, methods)
        for (dataset, classifier), rows in table.groupby(["dataset", "classifier"], sort=False)
        if rows["subsample"].nunique() > 1
    ]
    if not charts:
        return None
    text = "; ".join(f"{chart.title}: {', '.join(_tell(line, chart) for line in chart.lines)}" for chart in charts)
    return Drawing(draw_charts(charts, width_px), "Accuracy against subsample size, in percent", text)


def _chart(setting: tuple[str, str], rows: pd.DataFrame, means: pd.DataFrame, methods: dict[str, Look]) -> Chart:
    sizes = [str(size) for size in dict.fromkeys(rows["subsample"])]
    here = [name for name in methods if (rows["augmenter"] == name).any()]
    seeds = means[(means[["dataset", "classifier"]] == list(setting)).all(axis=1)]
    lines = tuple(
        _line(name, rows[rows["augmenter"] == name], seeds[seeds["augmenter"] == name], sizes, methods[name], shift)
        for name, shift in zip(here, _shifts(len(here)), strict=True)
    )
    shown = [y for line in lines for _, y in (*line.points, *line.dots)]
    shown += [y for line in lines for _, low, high in line.bars for y in (low, high)]
    return Chart(
        " · ".join(setting),
        lines,
        (-0.5, len(sizes) - 0.5),
        padded(np.array(shown), least_span=4.0),
        "subsample size",
        "accuracy, %",
        tuple((float(place), size) for place, size in enumerate(sizes)),
    )


def _shifts(count: int) -> list[float]:
    return [_SPREAD * ((place + 0.5) / count - 0.5) for place in range(count)]


def _line(name: str, rows: pd.DataFrame, seeds: pd.DataFrame, sizes: Sequence[str], look: Look, shift: float) -> Line:
    at = {size: place + shift for place, size in enumerate(sizes)}
    found = [(at[str(row["subsample"])], row) for row in rows.to_dict("records")]
    found.sort(key=lambda pair: pair[0])
    return Line(
        name,
        look,
        points=tuple((x, 100 * row["mean"]) for x, row in found),
        dots=tuple(
            (at[str(size)], 100 * value)
            for size, value in zip(seeds["subsample"], seeds[METRIC], strict=True)
            if np.isfinite(value) and str(size) in at
        ),
        bars=tuple((x, 100 * row["ci_low"], 100 * row["ci_high"]) for x, row in found if np.isfinite(row["ci_low"])),
    )


def _tell(line: Line, chart: Chart) -> str:
    names = chart.x_names or ()
    told = [f"{percent(y / 100)} at {names[round(x)][1]}" for x, y in line.points]
    return f"{line.name} {', '.join(told)}"
