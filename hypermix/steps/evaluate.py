"""evaluate: the measures of one run, from its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hypermix import tables
from hypermix.files import read_provenance, read_table, write_table
from hypermix.stats.metric import score
from hypermix.steps.provenance import describe


def run(keys: Mapping[str, str], slice_json: str, predictions: Path, output: Path) -> None:
    """Score the test predictions of one run.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter``, ``classifier`` and ``trial``.
        slice_json: The slice of `evaluate`.
        predictions: The run's predictions; their metadata name the label order and the counts of the training.
        output: Where the one row of metrics goes.

    Raises:
        ArtefactError: If the predictions cannot be scored.
    """
    trained = read_provenance(predictions)
    rows = read_table(predictions, "predictions")
    test = rows[rows["split"] == "test"]
    order = {label: position for position, label in enumerate(trained["labels"])}
    labels = np.array([order[label] for label in test["label"]], dtype=np.int64)
    measures = score(labels, np.array([*test["probabilities"]], dtype=np.float64))
    row = {**trained["run"], "n_test": len(test), **measures}
    seeds = {name: int(keys[name]) for name in ("data_seed", "trial")}
    alike = {name: trained[name] for name in ("weights", "device", "precision") if name in trained}
    provenance = describe("evaluate", slice_json, {**keys, **seeds}, {"predictions": predictions}, trained=alike)
    table = tables.from_columns("metrics", {name: [value] for name, value in row.items()})
    write_table(output, table, provenance)
