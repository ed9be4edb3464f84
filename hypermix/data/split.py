"""Train, validation and test: which rows a missing split takes from train."""

from __future__ import annotations

import pandas as pd

from hypermix.data.sample import draw
from hypermix.errors import DataError

CARVE_SEED = 42
"""The reference carves every validation split with this seed, whatever the data seed is."""

REFERENCE_ROWS = 4000
"""Rows that the reference carves for validation, unless a dataset has a number of its own."""


def carve_share(train: pd.DataFrame, share: float, limit: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take a stratified share of train.

    Args:
        train: Rows with the column ``label``.
        share: Share to take of each label, between 0 and 1; at least one row of each.
        limit: Most rows to take in all, though one of each label is always taken; None for no limit.

    Returns:
        The rest and the taken rows, both in file order.

    Raises:
        DataError: If a label has one row, which cannot be in both.
    """
    counts = train["label"].value_counts(sort=False)
    if counts.min() < 2:
        label = str(counts.idxmin())
        raise DataError(
            f"the label {label!r} has one row, so no split can be carved from train; add rows or name a file"
        )
    scale = min(1.0, limit / (len(train) * share)) if limit else 1.0
    groups = list(train.reset_index(drop=True).groupby("label", sort=False).indices.values())
    wanted = [min(max(1, round(len(group) * share * scale)), len(group) - 1) for group in groups]
    while limit and sum(wanted) > limit and max(wanted) > 1:
        wanted[wanted.index(max(wanted))] -= 1  # what rounding added
    taken: list[int] = []
    for group, count in zip(groups, wanted, strict=True):
        taken += [int(group[row]) for row in draw([""] * len(group), count, CARVE_SEED).rows]
    return _divide(train, sorted(taken))


def carve_reference(train: pd.DataFrame, n_rows: int = REFERENCE_ROWS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take a validation split from train exactly as the reference does.

    Args:
        train: Rows with the column ``label``.
        n_rows: Rows to take in all; each label gives ``round(n_rows / labels)``.

    Returns:
        The rest, label by label in shuffled order, and the taken rows, as the reference orders them.

    Raises:
        DataError: If a label would have no row left for training.
    """
    labels = train["label"].tolist()
    per_class = round(n_rows / len(set(labels)))
    drawn = draw(labels, per_class, CARVE_SEED)
    left = train.iloc[drawn.left].reset_index(drop=True)
    if set(left["label"]) != set(labels):
        empty = sorted(set(labels) - set(left["label"]))
        raise DataError(f"carve: reference takes {per_class} rows a label, all rows of {empty}; set carve: share")
    return left, train.iloc[drawn.rows].reset_index(drop=True)


def _divide(train: pd.DataFrame, taken: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    mask = pd.Series(False, index=range(len(train)))
    mask.iloc[taken] = True
    rows = train.reset_index(drop=True)
    return rows[~mask].reset_index(drop=True), rows[mask].reset_index(drop=True)
