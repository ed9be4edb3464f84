"""subsample: the rows of one draw."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from hypermix import tables
from hypermix.data.sample import draw, rows_per_class
from hypermix.files import read_provenance, read_table, write_table
from hypermix.steps.provenance import describe

_LOG = logging.getLogger(__name__)


def run(keys: Mapping[str, str], slice_json: str, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Draw the rows of each split that has a size; the generator starts anew for each, as in the reference.

    Args:
        keys: ``dataset``, ``subsample`` (the size of train) and ``data_seed``.
        slice_json: The slice of `subsample`: the sizes of validation and test, null for all rows.
        inputs: The prepared splits.
        outputs: Where the drawn splits go.
    """
    seed = int(keys["data_seed"])
    sizes = {**json.loads(slice_json)["sizes"], "train": keys["subsample"]}
    drawn, short = {}, {}
    for name, path in inputs.items():
        rows = read_table(path, name)
        drawn[name], missing = _draw(rows, sizes[name], seed)
        if missing:
            short[name] = missing
            _LOG.warning("%s has too few rows: %s; all of them are taken", name, _word_short(missing))
    provenance = describe(
        "subsample",
        slice_json,
        {**keys, "data_seed": seed},
        inputs,
        labels=read_provenance(inputs["train"])["labels"],
        short=short,
    )
    for name, rows in drawn.items():
        write_table(outputs[name], tables.from_columns(name, rows), provenance)


def _draw(rows: pd.DataFrame, size: str | None, seed: int) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    if size is None:
        return rows, {}
    labels = rows["label"].tolist()
    result = draw(labels, rows_per_class(size, len(labels), len(set(labels))), seed)
    return rows.iloc[result.rows], {label: [count, result.asked] for label, count in sorted(result.short.items())}


def _word_short(short: Mapping[str, list[int]]) -> str:
    return ", ".join(f"{label!r} has {count} of {asked}" for label, (count, asked) in short.items())
