"""quality: what the synthetic rows of one draw are like."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hypermix import tables
from hypermix.augment.quality.catalog import LEAST, with_enough
from hypermix.files import read_provenance, read_table, write_table
from hypermix.steps.provenance import describe

SHARED = ("hypermix.steps.measure", "hypermix.classify.embed", "hypermix.classify.model")
"""What is imported for draws that have rows, and is worth sharing among jobs."""

_LONGEST = 64
"""Tokens of a text that count: most of a row is told by then, and time grows with them."""


def run(
    keys: Mapping[str, str], slice_json: str, inputs: Mapping[str, Path], runtime: Mapping[str, Any], output: Path
) -> None:
    """Measure the synthetic rows of one draw.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter`` and ``trial``.
        slice_json: The slice of `quality`.
        inputs: ``synthetic``; ``train`` and ``test`` of the subsample; ``all_train`` and ``all_test`` of the dataset.
        runtime: What changes no result: ``threads``; ``offline``, whether no hub is asked for the encoder.
        output: Where the measures go.

    Raises:
        ArtefactError: If an input is damaged.
        TrainError: If the encoder cannot be loaded.
    """
    seeds = {name: int(keys[name]) for name in ("data_seed", "trial")}
    rows = read_table(inputs["synthetic"], "synthetic")
    made = read_provenance(inputs["synthetic"])
    kept = rows[rows["kept"]]
    found = _tries(rows, made.get("wanted"))
    if len(kept) >= LEAST:
        found |= _measure(kept, made["labels"], json.loads(slice_json)["quality"], inputs, runtime, seeds)
    measured = with_enough(found, len(kept))
    provenance = describe("quality", slice_json, {**keys, **seeds}, inputs)
    table = tables.from_columns("quality", {"measure": list(measured), "value": list(measured.values())})
    write_table(output, table, provenance)


def _tries(rows: pd.DataFrame, wanted: int | None) -> dict[str, float | None]:
    if not len(rows):
        return {}
    return {"usable_share": float(rows["kept"].mean()), "tries_per_row": len(rows) / wanted if wanted else None}


def _measure(
    kept: pd.DataFrame,
    labels: Sequence[str],
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    runtime: Mapping[str, Any],
    seeds: Mapping[str, int],
) -> dict[str, float | None]:
    # Not at the top: a draw without rows needs neither torch nor scikit-learn.
    from hypermix.steps.measure import Draw, measure
    from hypermix.steps.real import read_real

    def embed(texts: Sequence[str]) -> NDArray[np.float64]:
        from hypermix.steps.embedding import Embedder

        threads, offline = runtime["threads"], runtime["offline"]
        return Embedder(settings["model"], threads=threads, offline=offline, longest=_LONGEST)(texts)

    real = read_real(inputs, kept["text"].tolist(), settings["judge_rows"], seeds["data_seed"])
    return measure(Draw(kept, real, labels, seeds["trial"], embed, settings["rows"]))
