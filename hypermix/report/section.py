"""What each section of the report says: tables of numbers in, words for the template out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hypermix import tables
from hypermix.report.figure import METRIC, OutcomeKey, group_settings, seed_means
from hypermix.report.format import count, decimal, interval, p_value, percent, points
from hypermix.report.outcome import find_outcome

Cells = dict[str, Any]
"""The words of one line of a table, by column."""

_METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "mcc": "Matthews correlation",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
}


def verdict_outcomes(verdict: Mapping[str, Any]) -> dict[OutcomeKey, str]:
    """Look up the outcome of each comparison that a verdict speaks of."""
    return {
        (entry["dataset"], entry["subsample"], entry["classifier"], entry["augmenter"], baseline["baseline"]): (
            baseline["outcome"]
        )
        for entry in verdict["verdicts"]
        for baseline in entry["baselines"]
    }


def verdict_entries(verdict: Mapping[str, Any]) -> list[Cells]:
    """Word each verdict: its outcome, where it holds, its sentence.

    Raises:
        ArtefactError: If an outcome is unknown.
    """
    return [
        {
            "outcome": find_outcome(entry["outcome"]),
            "augmenter": entry["augmenter"],
            "where": " · ".join((entry["dataset"], entry["subsample"], entry["classifier"])),
            "sentence": entry["sentence"],
        }
        for entry in verdict["verdicts"]
    ]


def accuracy_groups(runs: pd.DataFrame, summary: pd.DataFrame) -> list[Cells]:
    """Word the accuracy of each method by setting, with every data seed.

    Returns:
        A dict a setting: ``title``, ``seeds`` (the data seeds, sorted), ``rows`` with ``seeds`` in the same order.
    """
    groups = []
    for setting, rows in group_settings(summary[summary["metric"] == METRIC]):
        here = seed_means(runs[(runs[["dataset", "subsample", "classifier"]] == list(setting)).all(axis=1)])
        seeds = sorted(here["data_seed"].unique().tolist())
        found = {(row["augmenter"], row["data_seed"]): row[METRIC] for row in here.to_dict("records")}
        groups.append(
            {
                "title": " · ".join(setting),
                "seeds": seeds,
                "rows": [_accuracy_row(record, seeds, found) for record in rows.to_dict("records")],
            }
        )
    return groups


def _accuracy_row(record: Mapping[Any, Any], seeds: Sequence[int], found: Mapping[Any, float]) -> Cells:
    return {
        "augmenter": record["augmenter"],
        "mean": percent(record["mean"]),
        "interval": interval(record["ci_low"], record["ci_high"]),
        "sd": percent(record["sd"]),
        "n_seeds": count(record["n_seeds"]),
        "n_runs": count(record["n_runs"]),
        "seeds": [
            percent(found[record["augmenter"], seed]) if (record["augmenter"], seed) in found else "no run"
            for seed in seeds
        ],
    }


def measure_groups(summary: pd.DataFrame) -> list[Cells]:
    """Word the means of all measures by setting and method.

    Returns:
        A dict a setting: ``title``, and ``rows`` with ``augmenter`` and ``values`` in the order of `tables.METRICS`.
    """
    groups = []
    for setting, rows in group_settings(summary):
        means = {(row["augmenter"], row["metric"]): row["mean"] for row in rows.to_dict("records")}
        methods = dict.fromkeys(augmenter for augmenter, _ in means)
        values = [
            {"augmenter": method, "values": [decimal(means.get((method, metric))) for metric in tables.METRICS]}
            for method in methods
        ]
        groups.append({"title": " · ".join(setting), "rows": values})
    return groups


def measure_names() -> list[str]:
    """Return what the measures are called, in the order of `tables.METRICS`."""
    return [_METRIC_NAMES[metric] for metric in tables.METRICS]


def difference_groups(comparisons: pd.DataFrame, outcomes: Mapping[OutcomeKey, str]) -> list[Cells]:
    """Word the paired differences in accuracy by setting.

    Returns:
        A dict a setting: ``title``, ``tests`` (their names) and ``rows``, a row a comparison; its ``outcome`` is None
        where the verdict does not speak of it.

    Raises:
        ArtefactError: If an outcome is unknown.
    """
    groups = []
    for setting, rows in group_settings(comparisons[comparisons["metric"] == METRIC]):
        words = []
        for record in rows.to_dict("records"):
            key = outcomes.get((*setting, record["augmenter"], record["baseline"]))
            words.append(
                {
                    "augmenter": record["augmenter"],
                    "baseline": record["baseline"],
                    "difference": points(record["mean_difference"]),
                    "interval": interval(record["ci_low"], record["ci_high"], signed=True),
                    "p": p_value(record["p_value"]),
                    "p_adjusted": p_value(record["p_adjusted"]),
                    "effect": decimal(record["effect_size"], 2),
                    "n_pairs": count(record["n_pairs"]),
                    "pairs_needed": count(record["pairs_needed"]),
                    "outcome": find_outcome(key) if key is not None else None,
                }
            )
        groups.append({"title": " · ".join(setting), "tests": list(dict.fromkeys(rows["test"])), "rows": words})
    return groups


def experiment_size(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Count what the experiment consists of: pairs of a number and its noun."""
    nouns = (
        ("dataset", "dataset", "datasets"),
        ("subsample", "subsample size", "subsample sizes"),
        ("data_seed", "data seed", "data seeds"),
        ("augmenter", "augmenter", "augmenters"),
        ("classifier", "classifier", "classifiers"),
    )
    sizes = [(int(runs[key].nunique()), one, many) for key, one, many in nouns]
    sizes.append((len(runs), "run", "runs"))
    return [(count(size), one if size == 1 else many) for size, one, many in sizes]
