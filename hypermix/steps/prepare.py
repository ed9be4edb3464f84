"""prepare: from a dataset's source to its three splits and what is to be known of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from hypermix import __version__, tables
from hypermix.data.ahead import ahead
from hypermix.data.arrange import SPLITS, Arrangement, arrange
from hypermix.data.index import Index, index_rows, row_names, take
from hypermix.data.near import find_near_duplicates
from hypermix.data.profile import Measure, profile_near, profile_splits
from hypermix.data.raw import RawData
from hypermix.data.rows import Columns, clean_batches
from hypermix.data.source import find_columns, open_source
from hypermix.errors import ArtefactError
from hypermix.files import write_batches, write_table

_LOG = logging.getLogger(__name__)
NEAR_ROWS = 50_000
"""Most rows of train, and of test, that the search for near-duplicates compares; of more, every n-th is taken."""

_SHOWN_PAIRS = 5
_SHOWN_CHARACTERS = 300
_ROW = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("label", pa.large_string())])


def run(dataset: str, slice_json: str, cache: Path, outputs: Mapping[str, Path]) -> None:
    """Write the splits of a dataset, its groups and its profile.

    The source is read once for an index of its rows, which all decisions are made on, and then for each file that is
    written; so the texts are never in memory together.

    Args:
        dataset: Its name in the config.
        slice_json: The slice of `prepare`.
        cache: The folder for downloads.
        outputs: Where ``train``, ``validation``, ``test``, ``groups`` and ``profile`` go.

    Raises:
        DataError: If the source cannot be used as it is.
        ArtefactError: If the source changed while it was read.
    """
    settings = json.loads(slice_json)["dataset"]
    columns, guessed = find_columns(settings, cache)
    raw = open_source(settings, cache, columns)
    indexes = {name: index_rows(split.where, clean_batches(split, columns)) for name, split in raw.splits.items()}
    arrangement = arrange(indexes, settings, dataset)
    warnings = [
        *([f"{guessed}; set the keys text and label if that is wrong"] if guessed else []),
        *arrangement.warnings,
    ]
    for warning in warnings:
        _LOG.warning("%s", warning)
    provenance = {
        "hypermix": __version__,
        "keys": {"dataset": dataset},
        "inputs": dict(raw.inputs),
        "slices": {"prepare": json.loads(slice_json)},
        "labels": arrangement.labels,
        "warnings": warnings,
    }
    if guessed:
        provenance["columns"] = {"text": list(columns.text), "label": columns.label}
    for name in SPLITS:
        source, rows = arrangement.rows[name]
        batches = _rows(raw, columns, source, indexes[source], rows)
        if write_batches(outputs[name], name, batches, provenance) != len(rows):
            raise ArtefactError(f"{raw.splits[source].where}: changed while it was read; run again")
    groups = _groups(indexes["train"], arrangement)
    write_table(outputs["groups"], tables.from_columns("groups", groups), provenance)
    measures = [*profile_splits(indexes, arrangement), *_measure_near(raw, columns, indexes, arrangement)]
    profile = tables.from_columns("profile", pd.DataFrame(measures))
    write_table(outputs["profile"], profile, provenance)
    _LOG.info("%s", ", ".join(f"{len(arrangement.rows[name][1])} {name} rows" for name in SPLITS))


def _rows(raw: RawData, columns: Columns, source: str, index: Index, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in ahead(take(clean_batches(raw.splits[source], columns), rows)):
        ids = row_names(index, rows[start : start + len(batch)])
        start += len(batch)
        yield pa.RecordBatch.from_arrays([ids, batch["text"], batch["label"]], schema=_ROW)


def _groups(train: Index, arrangement: Arrangement) -> pd.DataFrame:
    """List the group of each row that may be split anew for a data seed."""
    rows = arrangement.rows["train"][1]
    groups = train.frame["group"].iloc[rows].astype("object")
    known = groups.notna().to_numpy()
    return pd.DataFrame({"id": row_names(train, rows[known]).to_pylist(), "group": groups[known].tolist()})


def _measure_near(
    raw: RawData, columns: Columns, indexes: Mapping[str, Index], arrangement: Arrangement
) -> list[Measure]:
    """Look for train texts that nearly stand in test; those that do, text for text, are counted elsewhere."""
    (source, test_rows), train_rows = arrangement.rows["test"], arrangement.rows["train"][1]
    compared = indexes["train"].frame["key"].iloc[arrangement.compared]
    test_rows = test_rows[~indexes[source].frame["key"].iloc[test_rows].isin(compared).to_numpy()]
    test_rows, train_rows = _thin(np.sort(test_rows)), _thin(np.sort(train_rows))
    if not len(test_rows) or not len(train_rows):
        return []

    def texts(name: str, rows: np.ndarray) -> Iterator[pa.Array]:
        return (batch["text"] for batch in take(clean_batches(raw.splits[name], columns), rows))

    test = pa.chunked_array(list(texts(source, test_rows)), pa.large_string())
    pairs = find_near_duplicates(texts("train", train_rows), test)
    shown = sorted(pairs, key=lambda pair: (-pair.similarity, pair.test_row))[:_SHOWN_PAIRS]
    wanted = np.array(sorted({pair.train_row for pair in shown}), dtype=np.int64)
    found = [text for batch in texts("train", train_rows[wanted]) for text in batch.to_pylist()]
    train_texts = dict(zip(wanted.tolist(), found, strict=True))
    told = [(pair.similarity, _cut(train_texts[pair.train_row]), _cut(test[pair.test_row].as_py())) for pair in shown]
    return list(profile_near(told, len(pairs), len(train_rows), len(test_rows)))


def _thin(rows: np.ndarray) -> np.ndarray:
    return rows[:: -(-len(rows) // NEAR_ROWS) or 1]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
