"""Everything that a report shows, by value: tables, words and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        runs: The table ``runs``.
        summary: The table ``summary``.
        comparisons: The table ``comparisons``.
        costs: The table ``costs``; augmenters without a language model have no row.
        spending: What receipts tell beside ``costs``; see `hypermix.report.cost.cost_rows`.
        verdict: What `hypermix.stats` judged.
        synthetic: A sample of synthetic rows with their keys, drawn by the caller.
        rejected: Rows that were made and not used; see `hypermix.report.rejected.COLUMNS`.
        n_synthetic_total: How many synthetic rows the sample was drawn from.
        labels: For each dataset its labels in label order.
        baselines: The augmenters that others are compared with.
        config_yaml: The config of the experiment, without secrets.
        versions: The version of each program, by its name.
        seeds: The data seeds and trials, by what they seed.
        commands: What to type to get the same results, a command an entry.
        notices: What a reader must know before the numbers, a sentence an entry.
        profile: The table ``profile`` of all datasets, with the column ``dataset``.
        words: The label words of a dataset and language model an entry: ``dataset``, ``llm`` (or None) and ``rows``,
            each a label, its word, and the word's tokens (None where no tokenizer is at hand).
        warnings: What was told of a dataset while it was prepared, a sentence an entry.
        quality: Means of the measures of synthetic rows; see `hypermix.stats.quality.summarize_quality`.
        repeaters: The controls whose texts are the real rows.
        bounds: The augmenters that show what can be gained or lost at most; they are a family of their own.
        curves: Learning curves; see `hypermix.report.curves.COLUMNS`.
        seed_costs: What a data seed costs; see `hypermix.report.gain.COLUMNS`.
        classes: The table ``classes``.
        calibration: The table ``all_calibration``: bins of the calibration error.
        variance: The table ``variance``.
        opinions: The table ``opinions``.
        ranks: The table ``ranks``; empty for one dataset.
    """

    runs: pd.DataFrame
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    costs: pd.DataFrame
    spending: pd.DataFrame
    verdict: Mapping[str, Any]
    synthetic: pd.DataFrame
    rejected: pd.DataFrame
    n_synthetic_total: int
    labels: Mapping[str, Sequence[str]]
    baselines: Sequence[str]
    config_yaml: str
    versions: Mapping[str, str]
    seeds: Mapping[str, Sequence[int]]
    commands: Sequence[str]
    notices: Sequence[str]
    profile: pd.DataFrame
    words: Sequence[Mapping[str, Any]]
    warnings: Mapping[str, Sequence[str]]
    quality: pd.DataFrame
    repeaters: Sequence[str]
    bounds: Sequence[str]
    curves: pd.DataFrame
    seed_costs: pd.DataFrame
    classes: pd.DataFrame
    calibration: pd.DataFrame
    variance: pd.DataFrame
    opinions: pd.DataFrame
    ranks: pd.DataFrame
