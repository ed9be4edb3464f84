"""Where the artefacts of an experiment lie and what each is made from; the rules of the workflow say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hypermix.config import experiment
from hypermix.config.experiment import Key
from hypermix.config.model import Config
from hypermix.report.outputs import file_outputs

DRAW = ("dataset", "subsample", "data_seed")
AUGMENTATION = (*DRAW, "augmenter", "trial")
RUN = (*DRAW, "augmenter", "classifier", "trial")


@dataclass(frozen=True)
class Stage:
    """A stage of the workflow.

    Attributes:
        keys: What its jobs differ in.
        tables: The tables of a job, each with the folder of results that it lies in; the first stands for all.
        needs: The stage before it.
    """

    keys: tuple[str, ...]
    tables: Mapping[str, str]
    needs: str | None


STAGES: dict[str, Stage] = {
    "prepare": Stage(DRAW[:1], dict.fromkeys(("train", "validation", "test", "groups", "profile"), "prepare"), None),
    "subsample": Stage(DRAW, dict.fromkeys(("train", "validation", "test"), "subsample"), "prepare"),
    "augment": Stage(AUGMENTATION, {"synthetic": "augment", "receipt": "receipts"}, "subsample"),
    "quality": Stage(AUGMENTATION, {"quality": "quality"}, "augment"),
    "train": Stage(RUN, {"predictions": "train", "history": "train"}, "augment"),
    "evaluate": Stage(RUN, {"metrics": "evaluate", "confusion": "confusion", "calibration": "calibration"}, "train"),
}
"""The stages that `aggregate` speaks of, in the order in which they run."""

AGGREGATE_INPUTS: dict[str, tuple[str, str]] = {
    "metrics": ("evaluate", "metrics"),
    "confusion": ("evaluate", "confusion"),
    "calibration": ("evaluate", "calibration"),
    "synthetic": ("augment", "synthetic"),
    "quality": ("quality", "quality"),
    "receipt": ("augment", "receipt"),
    "profile": ("prepare", "profile"),
    "history": ("train", "history"),
}
"""The stage and the table of each kind of file that `aggregate` reads."""

FRAMES = (
    *("runs", "summary", "comparisons", "costs", "quality"),
    *("classes", "calibration", "variance", "opinions", "ranks"),
)
"""The tables that `aggregate` writes as Parquet."""

AGGREGATE_OUTPUTS: dict[str, str] = {
    **{name: f"{name}.parquet" for name in FRAMES},
    "verdict": "verdict.json",
    "report": "report.html",
    **file_outputs(),
}
"""The names of the files that `aggregate` writes."""


class Unit(NamedTuple):
    """What one job makes.

    Attributes:
        stage: Its stage.
        place: Its place in a folder of results.
        keys: Its keys.
        parents: The stage and the place of each unit that it is made from.
    """

    stage: str
    place: str
    keys: Key
    parents: tuple[tuple[str, str], ...] = ()

    def files(self, results: str) -> list[str]:
        """Return its files, the one that stands for all first. There are many: texts take less time than paths."""
        return [f"{results}/{folder}/{self.place}/{table}.parquet" for table, folder in self.tables.items()]

    def path(self, results: str, table: str) -> Path:
        """Return one of its files."""
        return Path(results, self.tables[table], self.place, f"{table}.parquet")

    def log(self, results: str) -> str:
        """Return the log of the job."""
        return f"{results}/logs/{self.stage}/{self.place}.log"

    @property
    def tables(self) -> Mapping[str, str]:
        """Its tables with their folders."""
        return STAGES[self.stage].tables


def place_of(names: tuple[str, ...], keys: Mapping[str, str | int]) -> str:
    """Return the part of a path that tells the keys."""
    return "/".join([f"{name}={keys[name]}" for name in names])


def input_paths() -> dict[str, str]:
    """Return where the files of each kind lie that `aggregate` reads, with a wildcard for each key."""
    found = {}
    for kind, (stage, table) in AGGREGATE_INPUTS.items():
        keys = STAGES[stage].keys
        place = place_of(keys, {key: f"{{{key}}}" for key in keys})
        found[kind] = f"{STAGES[stage].tables[table]}/{place}/{table}.parquet"
    return found


def list_units(config: Config) -> dict[str, dict[str, Unit]]:
    """List what the experiment of a config is made of.

    Returns:
        For each stage its units by their places, both in the order in which the config has the runs.

    Raises:
        ConfigError: If the config leaves no run.
    """
    found: dict[str, dict[str, Unit]] = {name: {} for name in STAGES}
    matches = {name: experiment.matched(config, name) for name in config.classifiers}
    for run in experiment.runs(config):
        places: dict[tuple[str, ...], str] = {
            names: place_of(names, run) for names in (DRAW[:1], DRAW, AUGMENTATION, RUN)
        }
        for name, stage in STAGES.items():
            place = places[stage.keys]
            if place in found[name]:
                continue
            parents = [] if stage.needs is None else [(stage.needs, places[STAGES[stage.needs].keys])]
            match = matches[str(run["classifier"])] if name == "train" else None
            if match is not None:
                parents.append(("augment", place_of(AUGMENTATION, {**run, "augmenter": match})))
            found[name][place] = Unit(name, place, {key: run[key] for key in stage.keys}, tuple(parents))
    return found
