"""subsample: the rows of one draw."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hypermix import tables
from hypermix.config.experiment import WHOLE
from hypermix.data.index import take, text_keys
from hypermix.data.sample import draw, rows_per_class
from hypermix.data.split import carve_share, describe_carved
from hypermix.errors import DataError
from hypermix.files import read_provenance, write_batches
from hypermix.seeding import child_seed
from hypermix.steps.provenance import describe

_LOG = logging.getLogger(__name__)
_SPLITS = ("train", "validation", "test")
_BATCH_ROWS = 1 << 14

Rows = dict[str, tuple[Path, np.ndarray]]
"""For each split the prepared file that its rows come from, and their positions there, in order."""


def run(keys: Mapping[str, str], slice_json: str, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Draw the rows of each split that has a size; the generator starts anew for each, as in the reference.

    With `split: repeated` the splits themselves are drawn first, from all rows of train.

    Args:
        keys: ``dataset``, ``subsample`` (the size of train, or `WHOLE`) and ``data_seed``.
        slice_json: The slice of `subsample`: the sizes of validation and test, null for all rows.
        inputs: The prepared splits and ``groups``.
        outputs: Where the drawn splits go.

    Raises:
        DataError: If splits are drawn anew and a label or a group does not let them.
    """
    seed = int(keys["data_seed"])
    sizes = {**json.loads(slice_json)["sizes"], "train": keys["subsample"]}
    if keys["subsample"] == WHOLE:
        # Nothing is scarce there, so no labelled row is left unused.
        sizes |= {"train": None, "validation": None}
    prepared = read_provenance(inputs["train"])
    settings = prepared["slices"]["prepare"]["dataset"]
    repeated = settings.get("split") == "repeated"
    where = f"{keys['dataset']}, data seed {seed}"
    available = _split_anew(inputs, settings, seed, where) if repeated else _take_prepared(inputs)
    drawn: Rows = {}
    short = {}
    for name, (path, rows) in available.items():
        chosen, missing = _draw(_labels(path)[rows], sizes[name], seed)
        drawn[name] = path, rows[chosen]
        if missing:
            short[name] = missing
            _LOG.warning("%s has too few rows: %s; all of them are taken", name, _word_short(missing))
    provenance = describe(
        "subsample",
        slice_json,
        {**keys, "data_seed": seed},
        inputs,
        labels=prepared["labels"],
        short=short,
        **{name: prepared[name] for name in ("columns",) if name in prepared},  # where they are guessed
    )
    for name, (path, rows) in drawn.items():
        write_batches(outputs[name], name, _read(path, rows), provenance)


def _read(path: Path, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
    # A generator, so that a failure to write is not told as one to read.
    with tables.open_parquet(path, path.stem) as file:
        yield from take(file.iter_batches(_BATCH_ROWS), rows)


def _take_prepared(inputs: Mapping[str, Path]) -> Rows:
    return {name: (inputs[name], np.arange(len(_labels(inputs[name])))) for name in _SPLITS}


def _split_anew(inputs: Mapping[str, Path], settings: Mapping[str, Any], seed: int, where: str) -> Rows:
    """Split all rows for one data seed: test first, then validation, each a stratified share."""
    path = inputs["train"]
    labels, groups = _labels(path), _groups(path, inputs["groups"])

    def carve(name: str, rows: np.ndarray, share: float, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
        names = labels[rows].tolist()
        together = None if groups is None else groups[rows].tolist()
        try:
            generator_seed = child_seed(seed, ("split", name))
            left, taken = carve_share(names, share, limit, generator_seed, together, further=name == "test")
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        for warning in describe_carved(name, names, taken, share, limit):
            _LOG.warning("%s", warning)
        return rows[left], rows[taken]

    train, test = carve("test", np.arange(len(labels)), settings["test_share"], None)
    train = _without_overlap(path, train, test, settings["overlap"], where)
    lost = sorted(set(labels) - set(labels[train]))
    if len(set(labels)) - len(lost) < 2:
        raise DataError(f"{where}: train keeps no two labels, for the other rows stand in test; set overlap: keep")
    if lost:
        _LOG.warning("train keeps no row of %s, for all stand in test", ", ".join(map(repr, lost)))
    train, validation = carve("validation", train, settings["carve_share"], settings["carve_rows"])
    return {"train": (path, train), "validation": (path, validation), "test": (path, test)}


def _without_overlap(path: Path, rows: np.ndarray, test: np.ndarray, action: str, where: str) -> np.ndarray:
    with tables.open_parquet(path, "train") as file:
        keys = np.concatenate([text_keys(batch["text"]) for batch in file.iter_batches(_BATCH_ROWS, columns=["text"])])
    shared = np.isin(keys[rows], keys[test])
    if not shared.any():
        return rows
    told = f"{int(shared.sum())} of {len(rows)} rows of train stand in test, text for text"
    if action == "fail":
        raise DataError(f"{where}: {told}; take out what is double, or set overlap: drop or keep")
    _LOG.warning("%s (overlap: %s)", told, action)
    return rows[~shared] if action == "drop" else rows


def _labels(path: Path) -> np.ndarray:
    """Read the label of each row; equal labels are one object, so millions of them are small."""
    with tables.open_parquet(path, path.stem) as file:
        encoded = file.read(["label"])["label"].combine_chunks().dictionary_encode()
    labels: np.ndarray = np.array(encoded.dictionary.to_pylist(), dtype=object)[encoded.indices.to_numpy()]
    return labels


def _groups(path: Path, groups: Path) -> np.ndarray | None:
    with tables.open_parquet(groups, "groups") as file:
        known = file.read()
    if not len(known):
        return None
    codes = known["group"].combine_chunks().dictionary_encode().indices.to_pylist()
    code = dict(zip(known["id"].to_pylist(), codes, strict=True))
    with tables.open_parquet(path, "train") as file:
        ids = file.read(["id"])["id"].to_pylist()
    # A row without a group is one of its own.
    return np.array([code.get(name, -1 - position) for position, name in enumerate(ids)])


def _draw(labels: np.ndarray, size: str | None, seed: int) -> tuple[np.ndarray, dict[str, list[int]]]:
    if size is None:
        return np.arange(len(labels)), {}
    names = labels.tolist()
    result = draw(names, rows_per_class(size, len(names), len(set(names))), seed)
    short = {label: [count, result.asked] for label, count in sorted(result.short.items())}
    return np.array(result.rows, dtype=np.int64), short


def _word_short(short: Mapping[str, list[int]]) -> str:
    return ", ".join(f"{label!r} has {count} of {asked}" for label, (count, asked) in short.items())
