"""The data report's numbers: what the splits hold and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hypermix.data.arrange import Arrangement, count_two_labels
from hypermix.data.index import Index

Measure = dict[str, Any]
"""One line of the table ``profile``: split, label, measure, value, detail."""

QUANTILES = {"characters_q05": 0.05, "characters_q50": 0.5, "characters_q95": 0.95, "characters_max": 1.0}


def measure(name: str, value: float, split: str | None = None, label: str | None = None, **more: Any) -> Measure:
    """Word one line of the table."""
    detail = json.dumps(more, ensure_ascii=False, sort_keys=True) if more else None
    return {"split": split, "label": label, "measure": name, "value": float(value), "detail": detail}


def profile_splits(indexes: Mapping[str, Index], arrangement: Arrangement) -> list[Measure]:
    """Count what the splits of an arrangement hold.

    Args:
        indexes: The splits of the source.
        arrangement: Which of their rows became which split.

    Returns:
        For each split ``rows`` (of each label too), quantiles of the texts' lengths in characters, and how many rows
        are ``empty``, hold a ``control`` character or a line break (``breaks``) or are ``duplicates`` of an earlier
        one, and how many texts stand there with ``two_labels``; for validation and test the rows whose text
        (``overlap``) or group (``group_overlap``) stands in train, for test before rows were left out; what train lost
        as ``dropped_...``. A split that is drawn for each data seed has no row here.
    """
    lines: list[Measure] = []
    frames = {name: indexes[source].frame.iloc[rows] for name, (source, rows) in arrangement.rows.items()}
    for name, frame in frames.items():
        lines.append(measure("rows", len(frame), name))
        counts = frame["label"].value_counts(sort=False)
        lines += [measure("rows", counts.get(label, 0), name, label) for label in arrangement.labels]
        if len(frame):
            lengths = np.quantile(frame["characters"], list(QUANTILES.values()))
            lines += [measure(key, length, name) for key, length in zip(QUANTILES, lengths, strict=True)]
        lines += [measure(key, frame[key].sum(), name) for key in ("empty", "control", "breaks")]
        lines.append(measure("duplicates", frame.duplicated(["key", "label"]).sum(), name))
        lines.append(measure("two_labels", count_two_labels(frame), name))
        if name == "validation" and len(frame):
            lines += _measure_overlap(name, frame, frames["train"])
        if name == "test" and len(frame):
            lines += _measure_overlap(name, frame, indexes["train"].frame.iloc[arrangement.compared])
    lines += [measure(f"dropped_{why}", count, "train") for why, count in arrangement.dropped.items()]
    return lines


def _measure_overlap(name: str, frame: Any, train: Any) -> Iterator[Measure]:
    yield measure("overlap", frame["key"].isin(train["key"]).sum(), name)
    groups = set(train["group"].dropna())
    if groups:
        yield measure("group_overlap", frame["group"].isin(groups).sum(), name)


def profile_near(pairs: Sequence[tuple[float, str, str]], n_near: int, n_train: int, n_test: int) -> Iterable[Measure]:
    """Word what a search for near-duplicates found.

    Args:
        pairs: Similarity, train text and test text of some pairs.
        n_near: Test rows that have a near-duplicate in train.
        n_train: Train rows that were compared.
        n_test: Test rows that were compared.

    Returns:
        ``near_overlap``, ``near_checked`` (train rows) and ``near_tested`` (test rows) of test, and a line
        ``near_pair`` for each pair.
    """
    yield measure("near_overlap", n_near, "test")
    yield measure("near_checked", n_train, "test")
    yield measure("near_tested", n_test, "test")
    for similarity, train, test in pairs:
        yield measure("near_pair", similarity, "test", train=train, test=test)
