"""An experiment's files without its work: empty tables that tell of their making as the stages let them."""

from __future__ import annotations

import json
from pathlib import Path

from hypermix import tables
from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.files import read_provenance, write_table, write_text
from hypermix.hashing import file_digest
from hypermix.steps.artefacts import AGGREGATE_INPUTS, AGGREGATE_OUTPUTS, STAGES, Unit, list_units
from hypermix.steps.provenance import artefact_name, describe
from hypermix.steps.reads import list_reads

_TABLES = {"quality": "all_quality"}
_TIMED = ("receipt", "history")
"""Tables that hold times, so that `aggregate` tells no checksums of them."""


def write_all(config: Config) -> None:
    """Write the files of all jobs, in the order in which they would run."""
    for units in list_units(config).values():
        for unit in units.values():
            write_unit(config, unit)
    write_last(config)


def write_unit(config: Config, unit: Unit) -> None:
    """Write the files of a job; they name the inputs that lie there now."""
    inputs = {read.name: Path(read.path) for read in list_reads(config, unit) if read.maker or unit.stage == "prepare"}
    own = {name: path for name, path in inputs.items() if name != "matched"}
    made = describe(unit.stage, _slice(config, unit), unit.keys, own)
    if "matched" in inputs:
        made["slices"]["match"] = read_provenance(inputs["matched"])["slices"]["augment"]
        made["inputs"]["matched"] = file_digest(inputs["matched"])
    for table in STAGES[unit.stage].tables:
        path = unit.path(config.results, table)
        write_table(path, tables.schema(table).empty_table(), made)


def write_last(config: Config) -> None:
    """Write the files of `aggregate`."""
    units = list_units(config)
    paths = [
        unit.path(config.results, table)
        for stage, table in AGGREGATE_INPUTS.values()
        if table not in _TIMED
        for unit in units[stage].values()
    ]
    slices = {"aggregate": json.loads(experiment.aggregate_slice(config))}
    made = {"slices": slices, "inputs": {artefact_name(path): file_digest(path) for path in paths}}
    for table, name in AGGREGATE_OUTPUTS.items():
        path = Path(config.results, "aggregate", name)
        if path.suffix == ".parquet":
            write_table(path, tables.schema(_TABLES.get(table, table)).empty_table(), made)
        else:
            write_text(path, "{}")


def _slice(config: Config, unit: Unit) -> str:
    dataset, augmenter, classifier = (str(unit.keys.get(name)) for name in ("dataset", "augmenter", "classifier"))
    cuts = {
        "prepare": lambda: experiment.prepare_slice(config, dataset),
        "subsample": lambda: experiment.subsample_slice(config),
        "augment": lambda: experiment.augment_slice(config, dataset, augmenter),
        "quality": lambda: experiment.quality_slice(config),
        "train": lambda: experiment.train_slice(config, classifier),
        "evaluate": experiment.evaluate_slice,
    }
    return cuts[unit.stage]()
