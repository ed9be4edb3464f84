"""The filters of an augmenter over the rows of a draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from hypermix import tables
from hypermix.augment.filter import Filter, Grounds
from hypermix.augment.language import LanguageFilter
from hypermix.data.neighbor import Neighbors, shingle
from hypermix.records import Example

_BATCH_ROWS = 1 << 14


def open_filter(
    settings: Mapping[str, Any], examples: Sequence[Example], n_labels: int, tested: Path | None
) -> Filter | None:
    """Return what refuses the rows of an augmenter.

    Args:
        settings: The augmenter's settings.
        examples: The train rows of the subsample.
        n_labels: How many labels the dataset has.
        tested: The test rows of the dataset; None if they are not at hand, or leaks are kept.

    Returns:
        The filters; None if the method has none, as the controls.

    Raises:
        ArtefactError: If the test rows cannot be read.
        AugmentError: If the language of texts cannot be told.
    """
    filters = settings.get("filters")
    if filters is None:
        return None
    copies, train = _least(filters, "copies"), None
    if copies is not None:
        train = Neighbors(copies)
        train.extend([pa.array([example.text for example in examples], pa.large_string())])
    leaks, test = _least(filters, "leaks"), None
    if leaks is not None and tested is not None:
        test = Neighbors(leaks)
        test.extend(_texts(tested))
    grounds = Grounds(
        shingle,
        train,
        test,
        kept=None if copies is None else Neighbors(copies),
        waiting=None if copies is None else Neighbors(copies),
        foreign=None if filters["language"] is None else LanguageFilter(filters["language"]).refuses,
    )
    return Filter(filters, examples, n_labels, grounds)


def _least(filters: Mapping[str, Any], name: str) -> float | None:
    """Return the least similarity of what is refused; None if nothing is."""
    wanted, similarity = str(filters[name]), float(filters["similarity"])
    return {"near": similarity, "exact": 1.0}.get(wanted)


def _texts(path: Path) -> Iterator[pa.Array]:
    with tables.open_parquet(path, "test") as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=["text"]):
            yield batch["text"]
