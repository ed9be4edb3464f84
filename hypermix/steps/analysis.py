"""Second looks at the runs of an experiment: classes, calibration, components of variance, second opinions, ranks."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.stats.breakdown import pool_calibration, summarize_classes
from hypermix.stats.opinion import second_opinions
from hypermix.stats.ranking import rank_methods
from hypermix.stats.variance import split_variance
from hypermix.stats.verdict import METRIC
from hypermix.steps.inputs import Inputs, read_kind

TABLES: dict[str, str] = {
    "classes": "classes",
    "calibration": "all_calibration",
    "variance": "variance",
    "opinions": "opinions",
    "ranks": "ranks",
}
"""The outputs of `analyze`, each with the table whose schema it has."""


def analyze(
    runs: pd.DataFrame, inputs: Inputs, config: Config, overlaps: Mapping[str, float]
) -> dict[str, pd.DataFrame]:
    """Return a frame for each of `TABLES`.

    Args:
        runs: The table ``runs``.
        inputs: The files ``confusion`` and ``calibration`` of these runs.
        config: The config.
        overlaps: See `shared_rows`.

    Raises:
        ArtefactError: If a file cannot be read.
    """
    baselines, level = experiment.baselines(config), config.report.level
    return {
        "classes": summarize_classes(read_kind(inputs, "confusion"), level, overlaps),
        "calibration": pool_calibration(read_kind(inputs, "calibration")),
        "variance": split_variance(runs, level),
        # Thousands of bootstrap samples for each: those of the verdict's metric are enough.
        "opinions": second_opinions(runs, baselines, level, (METRIC,), overlaps),
        "ranks": rank_methods(runs, baselines, config.report.alpha),
    }


def shared_rows(config: Config, profile: pd.DataFrame, runs: pd.DataFrame) -> dict[str, float]:
    """Return the datasets whose splits are drawn anew for each data seed, with the share of rows two test sets share.

    Args:
        config: The config.
        profile: The table ``profile`` of all datasets; train holds all rows of those whose splits are drawn anew.
        runs: The table ``runs``.
    """
    sizes = profile[(profile["measure"] == "rows") & (profile["split"] == "train") & profile["label"].isna()]
    pools, tested = sizes.set_index("dataset")["value"], runs.groupby("dataset")["n_test"].mean()
    return {
        name: float(tested[name] / pools[name])
        for name, dataset in config.datasets.items()
        if getattr(dataset, "split", "fixed") == "repeated" and name in tested
    }
