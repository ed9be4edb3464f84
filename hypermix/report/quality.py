"""What synthetic rows are like, in words: means over data seeds in, lines of tables out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hypermix.report.format import decimal, is_defined, percent

_REAL = "real_"


@dataclass(frozen=True)
class _Measure:
    """How a measure is shown.

    Attributes:
        name: What it is called.
        meaning: What it tells, and what is good.
        write: How a number is written; the unit stands in the name.
        beside: The measure that is shown beside it.
        word: What the one beside it is called.
        of_labels: Whether it tells of labels, and so also of controls whose texts are the real rows.
    """

    name: str
    meaning: str
    write: Callable[[float | None], str] = decimal
    beside: str | None = None
    word: str = "real rows"
    of_labels: bool = False


def _twin(measure: str, name: str, meaning: str, write: Callable[[float | None], str] = decimal) -> _Measure:
    return _Measure(name, meaning, write, _REAL + measure)


_MEASURES: dict[str, _Measure] = {
    "usable_share": _Measure(
        "usable, %", "Rows that are used, of all that were tried. The others are kept with their reason.", percent
    ),
    "tries_per_row": _Measure("tries a row", "Tries for each row that was wanted; 1 if each was usable at once."),
    "copy_rate": _Measure(
        "copies, %", "Rows that are a train row of the subsample, but for case and punctuation.", percent
    ),
    "near_copy_rate": _twin(
        "near_copy_rate", "near copies, %", "Copies, and rows that differ from a train row by a word or two.", percent
    ),
    "prompt_copy_rate": _Measure(
        "copies of the prompt, %",
        "Near copies of a row that stood in their own prompt, or that they were made from.",
        percent,
    ),
    "repeat_rate": _Measure("repeats, %", "Rows whose words are those of an earlier synthetic row.", percent),
    "leak_rate": _Measure(
        "in test, %", "Rows that stand in test word for word: the test set would not be new to a classifier.", percent
    ),
    "near_leak_rate": _twin(
        "near_leak_rate", "nearly in test, %", "These, and rows that differ from a test row by a word or two.", percent
    ),
    "distinct_1": _twin("distinct_1", "distinct words", "Different words of all words: more is more varied."),
    "distinct_2": _twin("distinct_2", "distinct pairs", "Different pairs of adjacent words of all such pairs."),
    "distinct_3": _twin("distinct_3", "distinct triples", "Different runs of three words of all such runs."),
    "compression_ratio": _twin(
        "compression_ratio", "compression", "By how much gzip’s method shrinks the texts: less is more varied."
    ),
    "self_bleu": _twin(
        "self_bleu", "self-BLEU", "How much a text has in common with the others (BLEU-4, 0 to 1): less is more varied."
    ),
    "embedding_diversity": _twin(
        "embedding_diversity",
        "spread of meaning",
        "Mean cosine distance of two rows’ embeddings: more is more varied.",
    ),
    "nearest_train_distance": _twin(
        "nearest_train_distance",
        "distance to train",
        "Mean cosine distance of a row’s embedding to the nearest train row: near 0, nothing is new; far above that of "
        "real rows, the texts are of another kind.",
    ),
    "nearest_test_distance": _twin("nearest_test_distance", "distance to test", "The same to the nearest test row."),
    "length_ratio": _Measure("length", "Words of a row by those of a train row; 1 is as long."),
    "discriminator_auc": _Measure(
        "told from real rows",
        "How well a classifier of words tells the rows from real ones (area under the ROC curve, cross-validated): "
        "0.5 not at all, 1 always.",
    ),
    "label_shift": _Measure(
        "shift of labels, %",
        "Share of rows whose label would have to change for the labels to be shared out as in train.",
        percent,
        of_labels=True,
    ),
    "soft_label_entropy": _Measure(
        "entropy of soft labels", "How unsure the soft labels are: 0 sure, 1 all labels alike."
    ),
    "soft_label_ece": _Measure(
        "calibration error of soft labels",
        "By how much the probability of a soft label misses how often the judge agrees (15 bins): 0 is best.",
    ),
    "judge_agreement": _Measure(
        "judge agrees, %",
        "Rows whose label is the one that a judge gives their text: a classifier of words that learned all real rows "
        "of train. It errs too: beside it stands how often it is right on test.",
        percent,
        "judge_accuracy",
        "judge on test",
        of_labels=True,
    ),
}


def quality_groups(quality: pd.DataFrame, repeaters: Collection[str]) -> list[dict[str, Any]]:
    """Word the measures by dataset and size.

    Args:
        quality: Means over data seeds, as `hypermix.stats.quality.summarize_quality` gives them.
        repeaters: Controls whose texts are the real rows: of them only measures of labels are told.

    Returns:
        A dict a setting: ``title``, ``setting`` (dataset and size), ``augmenters``, ``rows`` with ``name`` and
        ``cells`` (``mean``, ``interval`` and ``beside``, the last two None where there is none; a whole cell is None
        where it was not measured), and ``absent``, the names of the measures that none has.
    """
    groups = [
        _group((str(dataset), str(size)), part, repeaters)
        for (dataset, size), part in quality.groupby(["dataset", "subsample"], sort=False)
    ]
    return [group for group in groups if group["rows"]]


def _group(setting: tuple[str, str], part: pd.DataFrame, repeaters: Collection[str]) -> dict[str, Any]:
    found = {(row["augmenter"], row["measure"]): row for row in part.to_dict("records")}
    # What has few numbers comes last, so that a narrow page begins with what has many.
    augmenters = sorted(map(str, dict.fromkeys(part["augmenter"])), key=lambda name: name in repeaters)
    rows: list[dict[str, Any]] = []
    absent = []
    for key, measure in _MEASURES.items():
        told = [measure.of_labels or name not in repeaters for name in augmenters]
        cells = [
            _cell(found, name, key, measure) if wanted else None for name, wanted in zip(augmenters, told, strict=True)
        ]
        if any(cells):
            rows.append({"name": measure.name, "cells": cells})
        else:
            absent.append(measure.name.removesuffix(", %"))
    return {"title": " · ".join(setting), "setting": setting, "augmenters": augmenters, "rows": rows, "absent": absent}


def quality_legend(groups: Collection[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return name and meaning of the measures that are shown."""
    shown = {row["name"] for group in groups for row in group["rows"]}
    return [(measure.name, measure.meaning) for measure in _MEASURES.values() if measure.name in shown]


def _cell(
    found: Mapping[tuple[str, str], Mapping[Any, Any]], augmenter: str, key: str, measure: _Measure
) -> dict[str, str | None] | None:
    here = found.get((augmenter, key))
    if here is None:
        return None
    beside = found.get((augmenter, measure.beside)) if measure.beside else None
    low, high = here["ci_low"], here["ci_high"]
    return {
        "mean": measure.write(here["mean"]),
        "interval": f"{measure.write(low)} to {measure.write(high)}" if is_defined(low) else None,
        "beside": f"{measure.word} {measure.write(beside['mean'])}" if beside else None,
    }
