"""What a reader of the report must know before its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hypermix.config.model import Config
from hypermix.steps.unlike import unlike_runs
from hypermix.steps.words import tell_word_problems


def tell_notices(
    config: Config,
    provenance: Mapping[Path, Mapping[str, Any]],
    metrics: Sequence[Path],
    receipts: pd.DataFrame,
) -> list[str]:
    """Tell all that makes an experiment other than it was meant.

    Args:
        config: The config at hand.
        provenance: What each file says of its making.
        metrics: The files among them that are about runs.
        receipts: The receipts of all augmentations.

    Returns:
        A sentence each.
    """
    return [
        *_overlapping_tests(config),
        *_short_classes(provenance),
        *_shortfalls(receipts),
        *tell_word_problems(provenance),
        *unlike_runs(provenance[path] for path in metrics),
    ]


def _short_classes(provenance: Mapping[Path, Mapping[str, Any]]) -> Iterator[str]:
    told = [
        f"{made['keys']['dataset']}, {split} of {made['keys']['subsample']}: the class {label!r} has {count} of the "
        f"{asked} rows that were asked for; all of them are taken."
        for made in provenance.values()
        for split, classes in made.get("short", {}).items()
        for label, (count, asked) in classes.items()
    ]
    yield from dict.fromkeys(told)


def _overlapping_tests(config: Config) -> Iterator[str]:
    for name, dataset in config.datasets.items():
        if getattr(dataset, "split", "fixed") == "repeated":
            yield (
                f"{name}: train, validation and test are drawn anew for each data seed, so the test sets of two seeds "
                "share rows; its intervals and p values are those of the corrected resampled t test, which allows for "
                "that, and the second opinions, which do not, are left out."
            )


def _shortfalls(receipts: pd.DataFrame) -> Iterator[str]:
    short = receipts[receipts["rows_kept"] < receipts["rows_wanted"]]
    for (dataset, augmenter), draws in short.groupby(["dataset", "augmenter"], sort=True):
        missing = int((draws["rows_wanted"] - draws["rows_kept"]).sum())
        yield (
            f"{dataset}, {augmenter}: {missing} of {int(draws['rows_wanted'].sum())} rows are missing in {len(draws)} "
            "draws, since no row that can be used came in the tries allowed."
        )
