"""Small experiments for the tests of the report: tables with the real columns and made-up numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as Tree

import numpy as np
import pandas as pd

from hypermix import tables
from hypermix.augment.quality.catalog import NAMES
from hypermix.report.cost import SPENDING
from hypermix.report.curves import COLUMNS as CURVE_COLUMNS
from hypermix.report.data import ReportData
from hypermix.report.gain import COLUMNS as GAIN_COLUMNS
from hypermix.report.rejected import COLUMNS
from hypermix.stats.opinion import second_opinions
from hypermix.stats.quality import CELL
from hypermix.stats.ranking import rank_methods
from hypermix.stats.summarize import compare, summarize
from hypermix.stats.variance import split_variance
from hypermix.stats.verdict import judge

HOSTILE = "</script><script>window.hostile = 1</script><img src=x onerror='window.hostile = 2'>\"'&amp;\u2028"
"""A text that tries to leave its place."""

AUGMENTERS = ("none", "duplicate", "gpt3mix", "eda")
BASELINES = ("none", "duplicate")
_SHIFT = {"none": 0.0, "duplicate": 0.006, "gpt3mix": 0.031, "eda": -0.012}


def parse_svg(text: str) -> Tree.Element:
    """Read SVG that a test has just made."""
    return Tree.fromstring(text)  # noqa: S314 - the text is the test's own


def make_runs(
    augmenters: Sequence[str] = AUGMENTERS,
    seeds: Sequence[int] = (101, 102, 103),
    datasets: Sequence[str] = ("rt",),
    subsamples: Sequence[str] = ("16s",),
) -> pd.DataFrame:
    """Make the table ``runs`` with two trials a data seed."""
    rng = np.random.default_rng(7)
    rows = []
    for dataset in datasets:
        for subsample in subsamples:
            for seed in seeds:
                base = 0.66 + 0.05 * rng.random()
                for augmenter in augmenters:
                    for trial in (1, 2):
                        accuracy = base + _SHIFT.get(augmenter, 0.01) + 0.02 * rng.random()
                        rows.append(_run(dataset, subsample, seed, augmenter, trial, accuracy))
    return pd.DataFrame(rows)


def _run(dataset: str, subsample: str, seed: int, augmenter: str, trial: int, accuracy: float) -> dict[str, Any]:
    keys = {"dataset": dataset, "subsample": subsample, "data_seed": seed, "augmenter": augmenter}
    counts = {"n_train": 32, "n_synthetic": 32, "n_test": 500, "steps": 40, "best_epoch": 3}
    measures = dict.fromkeys(tables.METRICS, accuracy)
    return {**keys, "classifier": "minilm", "trial": trial, **counts, **measures}


def make_summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Make the table ``summary``; one data seed has no spread and no interval."""
    keys = ["dataset", "subsample", "augmenter", "classifier"]
    rows = []
    for key, group in runs.groupby(keys, sort=False):
        for metric in tables.METRICS:
            means = group.groupby("data_seed")[metric].mean()
            n = len(means)
            sd = float(means.std(ddof=1)) if n > 1 else math.nan
            half = 4.3 * sd / math.sqrt(n)
            mean = float(means.mean())
            numbers = {"n_seeds": n, "n_runs": len(group), "mean": mean, "sd": sd}
            bounds = {"ci_low": mean - half, "ci_high": mean + half}
            rows.append({**dict(zip(keys, tuple(key), strict=True)), "metric": metric, **numbers, **bounds})
    return pd.DataFrame(rows)


def make_comparisons(runs: pd.DataFrame, baselines: Sequence[str] = BASELINES) -> pd.DataFrame:
    """Make the table ``comparisons`` for the accuracy."""
    rows = []
    for key, group in runs.groupby(["dataset", "subsample", "classifier"], sort=False):
        means = group.groupby(["augmenter", "data_seed"])["accuracy"].mean()
        for augmenter in dict.fromkeys(group["augmenter"]):
            for baseline in baselines:
                if augmenter in (baseline, "none") or baseline not in means.index:
                    continue
                difference = means[augmenter] - means[baseline]
                rows.append(
                    _comparison(
                        dict(zip(("dataset", "subsample", "classifier"), tuple(key), strict=True)),
                        augmenter,
                        baseline,
                        difference,
                    )
                )
    return pd.DataFrame(rows)


def _comparison(keys: dict[str, Any], augmenter: str, baseline: str, difference: pd.Series[float]) -> dict[str, Any]:
    n = len(difference)
    mean = float(difference.mean())
    half = 4.3 * float(difference.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    p = 2 / 2**n if n > 1 else math.nan
    return {
        **keys,
        "augmenter": augmenter,
        "baseline": baseline,
        "metric": "accuracy",
        "n_pairs": n,
        "mean_difference": mean,
        "ci_low": mean - half,
        "ci_high": mean + half,
        "p_value": p,
        "p_adjusted": min(1.0, 2 * p),
        "test": "exact sign-flip" if n > 1 else "none",
        "effect_size": 0.8 if n > 1 else math.nan,
        "pairs_needed": 14.0 if n > 1 else math.nan,
    }


def make_verdict(comparisons: pd.DataFrame, outcome: str = "cannot_tell") -> dict[str, Any]:
    """Make a verdict in which every comparison has the same outcome."""
    verdicts = []
    table = comparisons[~comparisons["augmenter"].isin(BASELINES)] if len(comparisons) else comparisons
    for key, group in (
        table.groupby(["dataset", "subsample", "classifier", "augmenter"], sort=False) if len(table) else []
    ):
        dataset, subsample, classifier, augmenter = (str(part) for part in tuple(key))
        baselines = [
            {
                "baseline": row["baseline"],
                "outcome": outcome,
                "mean": 0.68,
                **{
                    name: None if pd.isna(row[name]) else row[name]
                    for name in (
                        "mean_difference",
                        "ci_low",
                        "ci_high",
                        "p_value",
                        "p_adjusted",
                        "n_pairs",
                        "pairs_needed",
                    )
                },
            }
            for row in group.to_dict("records")
        ]
        n = int(group["n_pairs"].iloc[0])
        sentence = (
            f"{augmenter} cannot be told apart from none with {n} data seeds: accuracy changed by +3.1 points (95 % "
            f"interval -3.0 to +9.4), and no test over {n} seeds can reach p = 0.05; at least 6 are needed."
        )
        where = {"dataset": dataset, "subsample": subsample, "classifier": classifier, "augmenter": augmenter}
        verdicts.append(
            {**where, "outcome": outcome, "sentence": sentence, "n_seeds": n, "mean": 0.7, "baselines": baselines}
        )
    headline = "Cannot be told from 3 data seeds whether gpt3mix or eda helps on rt."
    return {
        "headline": headline,
        "outcome": outcome,
        "metric": "accuracy",
        "alpha": 0.05,
        "level": 0.95,
        "verdicts": verdicts,
    }


def make_costs() -> pd.DataFrame:
    """Make the table ``costs``: a model that runs here, a priced one, one without a price."""
    columns = tables.schema("costs").names
    rows = [
        ("gpt3mix", "local", 96, 0, 0, 41200, 5120, 0.0, 0.0),
        ("gpt3mix-hosted", "luna", 1200, 96, 1, 512000, 61000, 0.0817, 0.000071),
        ("gpt3mix-lab", "lab", 40, 0, 0, 18000, 2100, None, None),
    ]
    return pd.DataFrame(rows, columns=columns)


def make_spending() -> pd.DataFrame:
    """Make what stands beside the table ``costs``: nothing is paid here, a part is replayed, no price."""
    rows = [
        ("gpt3mix", "local", True, 0.0, 9),
        ("gpt3mix-hosted", "luna", False, 0.0612, 41),
        ("gpt3mix-lab", "lab", False, None, 0),
    ]
    return pd.DataFrame(rows, columns=list(SPENDING))


def make_synthetic(n: int = 120, labels: Sequence[str] = ("negative", "positive")) -> pd.DataFrame:
    """Make synthetic rows with their keys; every sixth is rejected, the first is hostile, the second long."""
    rng = np.random.default_rng(3)
    texts = (
        "a warm , funny , engaging film",
        "the plot drifts without a point",
        "it never quite finds its feet , but charms",
    )
    rows = []
    for index in range(n):
        kept = index % 6 != 5
        shares = rng.dirichlet(np.full(len(labels), 0.6))
        text = HOSTILE if index == 0 else "long " * 2000 if index == 1 else f"{texts[index % 3]} ({index})"
        rows.append(
            {
                "dataset": "rt",
                "subsample": "16s",
                "data_seed": 2**62 + 1,
                "augmenter": "gpt3mix" if index % 3 else "eda",
                "trial": 1 + index % 2,
                "id": f"{index:016x}",
                "text": text if kept or index % 4 else None,
                "label": labels[int(shares.argmax())] if kept else None,
                "soft_label": shares if kept else None,
                "label_source": "logprobs" if kept else None,
                "label_mass": 0.93 if kept else math.nan,
                "source_ids": ["aa", "bb"],
                "llm": "local" if index % 3 else None,
                "request_key": "k",
                "kept": kept,
                "reason": None if kept else ("no label" if index % 12 == 5 else "duplicate"),
            }
        )
    return pd.DataFrame(rows)


def make_rejected() -> pd.DataFrame:
    """Make what is counted of rows that were not used; one reason is hostile."""
    rows = [
        ("gpt3mix", "near copy of a synthetic row", 70, 860),
        ("gpt3mix", HOSTILE, 3, 860),
        ("eda", "empty", 1, 1200),
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def make_profile() -> pd.DataFrame:
    """Make the table ``profile``: ``rt`` with all that can be wrong, ``intents`` with 77 classes and drawn splits."""
    rt = {
        "train": ({"negative": 4264, "positive": 4266, "mixed": 0}, (38, 112, 201.4, 267)),
        "validation": ({"negative": 533, "positive": 533, "mixed": 0}, (37.25, 110, 204, 261)),
        "test": ({"negative": 533, "positive": 531, "mixed": 3}, (36, 111, 199, 5_242_880)),
    }
    none = dict.fromkeys(("empty", "control", "breaks", "duplicates", "two_labels"), 0.0)
    wrong = {
        "train": {**none, "duplicates": 12, "two_labels": 1},
        "validation": {**none, "overlap": 2},
        "test": {
            **none,
            "empty": 1,
            "control": 1,
            "overlap": 4,
            "near_overlap": 27,
            "near_checked": 4265,
            "near_tested": 496,
        },
    }
    lines = [line for split, (classes, lengths) in rt.items() for line in _split_lines(split, classes, lengths)]
    lines += [_line(split, measure, value) for split, found in wrong.items() for measure, value in found.items()]
    lines += [_line("train", f"dropped_{why}", n) for why, n in (("empty", 3), ("duplicates", 0), ("overlap", 1234))]
    pairs = [
        (0.9, "a warm , funny , engaging film .", "a warm , funny and engaging film ."),
        (0.8, HOSTILE, "\u202ereversed\x00\x1b[31m" + "x" * 280 + "..."),
        (0.75, "فيلم دافئ ومضحك وجذاب", "فيلم دافئ ومضحك وجذاب جدا"),
    ]
    lines += [
        _line("test", "near_pair", alike, detail=json.dumps({"train": train, "test": test}, ensure_ascii=False))
        for alike, train, test in pairs
    ]
    classes = {f"intent_{index:02d}_about_a_card": 20 + 37 * index % 167 for index in range(77)}
    others = [_line("train", measure, value) for measure, value in none.items()]
    for split in ("validation", "test"):
        others += [*_split_lines(split, dict.fromkeys(classes, 0)), _line(split, "overlap", 0)]
    others += _split_lines("train", classes, (23, 47, 113, 433))
    others += [_line("train", f"dropped_{why}", 0) for why in ("empty", "duplicates", "overlap")]
    frames = {"rt": pd.DataFrame(lines), "intents": pd.DataFrame(others)}
    profile = pd.concat([frame.assign(dataset=name) for name, frame in frames.items()], ignore_index=True)
    return profile[["dataset", *tables.schema("profile").names]]


def _line(
    split: str, measure: str, value: float, label: str | None = None, detail: str | None = None
) -> dict[str, Any]:
    return {"split": split, "label": label, "measure": measure, "value": float(value), "detail": detail}


def _split_lines(split: str, classes: Mapping[str, int], lengths: Sequence[float] = ()) -> list[dict[str, Any]]:
    quantiles = zip(("q05", "q50", "q95", "max"), lengths, strict=False)
    return [
        _line(split, "rows", sum(classes.values())),
        *(_line(split, "rows", n, label) for label, n in classes.items()),
        *(_line(split, f"characters_{name}", length) for name, length in quantiles),
    ]


def make_words() -> list[dict[str, Any]]:
    """Make label words: for a model with a tokenizer, a hosted one without, and for 77 classes."""
    cut = [
        ["negative", "Negative", [" Neg", "ative"]],
        ["positive", "Positive", [" Positive"]],
        ["mixed", HOSTILE, []],
    ]
    intents = [[f"intent_{index:02d}", f"Intent {index}", [" Intent", " ", str(index)]] for index in range(77)]
    return [
        {"dataset": "rt", "llm": "local", "rows": cut},
        {"dataset": "rt", "llm": "luna", "rows": [[label, word, None] for label, word, _ in cut]},
        {"dataset": "intents", "llm": None, "rows": intents},
    ]


def make_quality(
    augmenters: Sequence[str] = ("duplicate", "gpt3mix", "eda"),
    settings: Sequence[tuple[str, str]] = (("rt", "16s"),),
    n_seeds: int = 3,
) -> pd.DataFrame:
    """Make means of all measures but those of soft labels."""
    soft = ("soft_label_entropy", "soft_label_ece")
    rows = []
    for dataset, subsample in settings:
        for place, augmenter in enumerate(augmenters):
            for number, measure in enumerate(name for name in NAMES if name not in soft):
                mean = (1 + (7 * number + 3 * place) % 20) / 21
                half = 0.02 if n_seeds > 1 else math.nan
                rows.append((dataset, subsample, augmenter, measure, n_seeds, mean, mean - half, mean + half))
    return pd.DataFrame(rows, columns=[*CELL, "n_seeds", "mean", "ci_low", "ci_high"])


def make_curves(runs: pd.DataFrame, n_steps: int = 12) -> pd.DataFrame:
    """Make learning curves that rise to the accuracy of each method."""
    rows = []
    for key, group in runs.groupby(["dataset", "subsample", "classifier", "augmenter"], sort=False):
        best = float(group["accuracy"].mean())
        rows += [(*key, 10 * step, best - 0.2 * 0.7**step) for step in range(1, n_steps + 1)]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def make_seed_costs(runs: pd.DataFrame, usd: float | None = 0.004) -> pd.DataFrame:
    """Make what a data seed costs, for the augmenters that ask a language model."""
    asked = [name for name in dict.fromkeys(runs["augmenter"]) if name not in (*BASELINES, "eda")]
    rows = [
        (dataset, subsample, name, None if usd is None else usd * (place + 1), 64.0 * (place + 1))
        for (dataset, subsample), _ in runs.groupby(["dataset", "subsample"], sort=False)
        for place, name in enumerate(asked)
    ]
    return pd.DataFrame(rows, columns=list(GAIN_COLUMNS))


def make_second_looks(runs: pd.DataFrame, labels: Mapping[str, Sequence[str]]) -> dict[str, pd.DataFrame]:
    """Make what stands behind the measures and the comparisons, by the library's own statistics where it is quick."""
    return {
        "classes": _make_classes(runs, labels),
        "calibration": _make_calibration(runs),
        "variance": split_variance(runs),
        "opinions": second_opinions(runs, BASELINES, metrics=["accuracy"]),
        "ranks": rank_methods(runs, BASELINES),
    }


def _cells(runs: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(key) for key, _ in runs.groupby(["dataset", "subsample", "augmenter", "classifier"], sort=False)]


def _make_classes(runs: pd.DataFrame, labels: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    rows = []
    for place, cell in enumerate(_cells(runs)):
        for number, label in enumerate(labels.get(cell[0], ())):
            f1 = 0.5 + (7 * number + 3 * place) % 40 / 100
            bounds = [value + part for value in (f1 + 0.02, f1 - 0.02, f1) for part in (0, -0.03, 0.03)]
            rows.append((*cell, label, 3, 250.0, *bounds))
    return pd.DataFrame(rows, columns=tables.schema("classes").names)


def _make_calibration(runs: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (*cell, low / 15, (low + 1) / 15, 0 if low < 7 else 100 * low, (low + 0.5) / 15, (low + 0.5) / 15 - place / 100)
        for place, cell in enumerate(_cells(runs))
        for low in range(15)
    ]
    return pd.DataFrame(rows, columns=tables.schema("all_calibration").names)


def make_study(
    augmenters: Sequence[str] = (*AUGMENTERS, "promptmix", "back-translation"),
    subsamples: Sequence[str] = ("8s", "16s", "32s"),
    seeds: Sequence[int] = tuple(range(1, 21)),
    n_rows: int = 2000,
) -> ReportData:
    """Make the data of a study; by default of 6 methods, 3 sizes and 20 data seeds, with two trials each.

    Its runs are made up, and all that follows from them is what HyperMix makes of them.
    """
    runs = make_runs(augmenters, seeds, subsamples=subsamples)
    synthetic = make_synthetic(n_rows)
    settings = [("rt", subsample) for subsample in subsamples]
    quality = make_quality([name for name in augmenters if name != "none"], settings)
    order = {name: place for place, name in enumerate((*subsamples, *augmenters))}
    summary, comparisons = (
        frame.sort_values(["subsample", "augmenter"], key=lambda names: names.map(order), kind="stable")
        for frame in (summarize(runs), compare(runs, BASELINES))
    )
    verdict = judge(comparisons, summary, BASELINES)
    found = {"runs": runs, "summary": summary, "comparisons": comparisons}
    return make_report(**found, verdict=verdict, synthetic=synthetic, n_synthetic_total=n_rows, quality=quality)


def make_report(**changes: Any) -> ReportData:
    """Make the data of a report; keyword arguments replace its fields."""
    runs = changes.get("runs", make_runs())
    comparisons = changes.get("comparisons", make_comparisons(runs))
    synthetic = changes.get("synthetic", make_synthetic())
    fields: dict[str, Any] = {
        "runs": runs,
        "summary": make_summary(runs),
        "comparisons": comparisons,
        "costs": make_costs(),
        "spending": make_spending(),
        "verdict": make_verdict(comparisons),
        "synthetic": synthetic,
        "rejected": make_rejected(),
        "n_synthetic_total": 10 * len(synthetic),
        "labels": {"rt": ["negative", "positive"]},
        "baselines": list(BASELINES),
        "config_yaml": "datasets:\n  rt: {source: packaged, name: rt-snippets}\nseeds: {data: [101, 102, 103]}\n",
        "versions": {"hypermix": "0.1.0", "python": "3.11.7", "torch": "2.13.0"},
        "seeds": {"data seeds": [101, 102, 103], "trials": [1, 2]},
        "commands": ["make run", "snakemake --cores all --configfile config/config.yaml"],
        "notices": ["rt: class 'positive' has 3 rows, 16 were asked."],
        "profile": make_profile(),
        "words": make_words(),
        "quality": make_quality(),
        "repeaters": ["duplicate"],
        "bounds": [],
        "curves": make_curves(runs),
        "seed_costs": make_seed_costs(runs),
        **make_second_looks(runs, changes.get("labels", {"rt": ["negative", "positive"]})),
        "warnings": {
            "rt": [
                "train: 3 rows of 9767 have an empty text (rows 1553, 1714, 2220); they are left out",
                f"labels: no row has {HOSTILE!r}; the labels are 'mixed', 'negative', 'positive'",
            ]
        },
    }
    return ReportData(**{**fields, **changes})
