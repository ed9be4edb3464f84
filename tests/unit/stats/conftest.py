"""A builder of runs for the tests of statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pytest

from hypermix.tables import METRICS

MakeRuns = Callable[..., pd.DataFrame]


@pytest.fixture
def make_runs() -> MakeRuns:
    """Return `build_runs`."""
    return build_runs


def build_runs(
    accuracies: Mapping[str, Sequence[float | Sequence[float]]], dataset: str = "rt", classifier: str = "minilm"
) -> pd.DataFrame:
    """Make runs from the accuracies of each augmenter.

    An augmenter has a list of data seeds (1, 2, ...). A data seed has an accuracy, or a list with one for each trial.
    All metrics get the same value.
    """
    rows = [
        {
            "dataset": dataset,
            "subsample": "32s",
            "data_seed": data_seed,
            "augmenter": augmenter,
            "classifier": classifier,
            "trial": trial,
            "n_train": 64,
            "n_synthetic": 64,
            "n_test": 100,
            "steps": 10,
            "best_epoch": 1,
            **dict.fromkeys(METRICS, value),
        }
        for augmenter, seeds in accuracies.items()
        for data_seed, values in enumerate(seeds, start=1)
        for trial, value in enumerate([values] if isinstance(values, (int, float)) else values, start=1)
    ]
    return pd.DataFrame(rows)
