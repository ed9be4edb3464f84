"""The files that aggregate reads, by their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from hypermix import tables
from hypermix.steps.artefacts import AGGREGATE_INPUTS, STAGES

Inputs = Mapping[str, Sequence[Path]]
"""The files of each kind; see `hypermix.steps.artefacts.AGGREGATE_INPUTS`."""


def read_kind(
    inputs: Inputs, kind: str, columns: Sequence[str] | None = None, look: tables.Look | None = None
) -> pd.DataFrame:
    """Read the files of a kind with their keys; of a part of an experiment there may be none yet.

    Args:
        inputs: The files.
        kind: Which of them.
        columns: Those to read beside the keys; by default all.
        look: Is shown each file; see `hypermix.tables.read`.

    Raises:
        ArtefactError: If a file cannot be read or lacks a column.
    """
    stage, table = AGGREGATE_INPUTS[kind]
    if inputs[kind]:
        return tables.read(inputs[kind], table, columns, look=look)
    found = tables.empty(table, STAGES[stage].keys)
    return found if columns is None else found[[*STAGES[stage].keys, *columns]]
