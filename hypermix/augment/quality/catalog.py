"""Which measures there are, in the order of their tables, and how many rows each needs to mean something."""

from __future__ import annotations

from collections.abc import Mapping

MEASURES: dict[str, int] = {
    "usable_share": 0,
    "tries_per_row": 0,
    "copy_rate": 10,
    "near_copy_rate": 10,
    "prompt_copy_rate": 10,
    "repeat_rate": 10,
    "leak_rate": 10,
    "near_leak_rate": 10,
    "distinct_1": 20,
    "distinct_2": 20,
    "distinct_3": 20,
    "compression_ratio": 20,
    "self_bleu": 20,
    "embedding_diversity": 20,
    "nearest_train_distance": 20,
    "nearest_test_distance": 20,
    "length_ratio": 10,
    "discriminator_auc": 30,
    "label_shift": 20,
    "soft_label_entropy": 10,
    "soft_label_ece": 100,
    "judge_agreement": 20,
    "judge_accuracy": 20,
}
"""The least usable rows of each measure; with fewer it is null."""

REAL = "real_"
"""Stands before the name of a measure that is taken of as many real rows."""

TWINS: tuple[str, ...] = (
    "near_copy_rate",
    "near_leak_rate",
    "distinct_1",
    "distinct_2",
    "distinct_3",
    "compression_ratio",
    "self_bleu",
    "embedding_diversity",
    "nearest_train_distance",
    "nearest_test_distance",
)
"""The measures that are also taken of as many real rows."""

NAMES: tuple[str, ...] = tuple(
    name for measure in MEASURES for name in ((measure, REAL + measure) if measure in TWINS else (measure,))
)
"""All names of the table ``quality``."""

LEAST = min(least for least in MEASURES.values() if least)
"""The least usable rows with which anything of the rows is measured."""


def with_enough(found: Mapping[str, float | None], n_rows: int) -> dict[str, float | None]:
    """Return a value for every name: None where it was not measured or the rows are too few."""
    return {name: found.get(name) if n_rows >= MEASURES[name.removeprefix(REAL)] else None for name in NAMES}
