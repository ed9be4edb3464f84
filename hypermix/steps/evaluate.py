"""evaluate: the measures of one run and what they are made of, from its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hypermix import tables
from hypermix.files import read_provenance, read_table, write_table
from hypermix.stats.metric import calibration, confusion, score
from hypermix.steps.provenance import describe


def run(keys: Mapping[str, str], slice_json: str, predictions: Path, outputs: Mapping[str, Path]) -> None:
    """Score the test predictions of one run.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter``, ``classifier`` and ``trial``.
        slice_json: The slice of `evaluate`.
        predictions: The run's predictions; their metadata name the label order and the counts of the training.
        outputs: Where ``metrics`` (one row), ``confusion`` (a row for each pair of labels) and ``calibration`` (a row
            for each bin of ECE) go.

    Raises:
        ArtefactError: If the predictions cannot be scored.
    """
    trained = read_provenance(predictions)
    rows = read_table(predictions, "predictions")
    test = rows[rows["split"] == "test"]
    order = {label: position for position, label in enumerate(trained["labels"])}
    labels = np.array([order[label] for label in test["label"]], dtype=np.int64)
    probabilities = np.array([*test["probabilities"]], dtype=np.float64)
    measures = score(labels, probabilities)
    row = {**trained["run"], "n_test": len(test), **measures}
    seeds = {name: int(keys[name]) for name in ("data_seed", "trial")}
    alike = {name: trained[name] for name in ("weights", "device", "precision") if name in trained}
    provenance = describe("evaluate", slice_json, {**keys, **seeds}, {"predictions": predictions}, trained=alike)
    found: dict[str, Mapping[str, Sequence[object]]] = {
        "metrics": {name: [value] for name, value in row.items()},
        "confusion": _pairs(trained["labels"], confusion(labels, probabilities)),
        "calibration": calibration(labels, probabilities),
    }
    for name, columns in found.items():
        write_table(outputs[name], tables.from_columns(name, columns), provenance)


def _pairs(names: Sequence[str], counts: NDArray[np.int64]) -> dict[str, Sequence[object]]:
    """Return a row for each true and predicted label, in label order, also where no row has them."""
    return {
        "label": [label for label in names for _ in names],
        "predicted": [*names] * len(names),
        "n": counts.ravel().tolist(),
    }
