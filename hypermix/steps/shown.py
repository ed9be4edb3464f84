"""The synthetic rows that the report shows, and the counts of all: those of thousands of runs do not fit in memory."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from hypermix import tables
from hypermix.steps.artefacts import AUGMENTATION
from hypermix.steps.inputs import Inputs, read_kind

_KIND = "synthetic"


def read_fates(inputs: Inputs, look: tables.Look | None = None) -> pd.DataFrame:
    """Read whether each row was kept and why not, with its keys.

    Args:
        inputs: The files of all augmentations among them.
        look: Is shown each file; see `hypermix.tables.read`.

    Raises:
        ArtefactError: If a file cannot be read.
    """
    return read_kind(inputs, _KIND, ["kept", "reason"], look)


def sample_rows(inputs: Inputs, fates: pd.DataFrame, most: int, last: Collection[str]) -> pd.DataFrame:
    """Read rows at even distances, so that every draw is shown; only the files that have one of them are read.

    Args:
        inputs: The files of all augmentations among them.
        fates: What `read_fates` returned of them: it tells how many rows each has.
        most: How many rows at most.
        last: Augmenters whose rows come after those of the others: copies of real rows say little.

    Returns:
        The columns of the table ``synthetic`` with their keys.

    Raises:
        ArtefactError: If a file cannot be read.
    """
    order = sorted(inputs[_KIND], key=lambda path: tables.path_keys(path)["augmenter"] in last)
    sizes = fates.groupby(list(AUGMENTATION)).size().to_dict()
    counts = [sizes.get(tuple(tables.path_keys(path)[key] for key in AUGMENTATION), 0) for path in order]
    total = sum(counts)
    chosen = range(total) if total <= most else [position * total // most for position in range(most)]
    rows: dict[Path, list[int]] = {}
    start = at = 0
    for path, count in zip(order, counts, strict=True):
        while at < len(chosen) and chosen[at] < start + count:
            rows.setdefault(path, []).append(chosen[at] - start)
            at += 1
        start += count
    return tables.read(rows, _KIND, rows=rows) if rows else read_kind({_KIND: order[:1]}, _KIND).head(0)
