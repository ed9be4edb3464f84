"""Which files each job reads, and which job makes them; the rules of the workflow say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hypermix.config import experiment
from hypermix.config.check import SPLITS
from hypermix.config.experiment import Key
from hypermix.config.model import Config
from hypermix.config.model_files import encoder_files, llm_files, rewriter_files
from hypermix.names import is_url
from hypermix.steps.artefacts import STAGES, Unit, place_of


class Read(NamedTuple):
    """A file that a job reads.

    Attributes:
        path: The file.
        name: What the artefacts of the job call it where they tell its checksum.
        maker: Stage and place of what makes it; None if it is the user's own.
    """

    path: str
    name: str
    maker: tuple[str, str] | None = None


def list_reads(config: Config, unit: Unit) -> list[Read]:
    """List what a job reads.

    Args:
        config: The config at hand.
        unit: What the job makes.
    """
    return list(_READS[unit.stage](config, unit.keys))


def made_by(config: Config, stage: str, keys: Key, table: str, name: str | None = None) -> Read:
    """Describe a table of a stage as an input.

    Args:
        config: The config at hand.
        stage: The stage that makes it.
        keys: Keys, at least those of the stage.
        table: The table.
        name: What it is to those who read it; the table's own name if None.
    """
    place = place_of(STAGES[stage].keys, keys)
    path = f"{config.results}/{STAGES[stage].tables[table]}/{place}/{table}.parquet"
    return Read(path, name or table, (stage, place))


def _models(files: list[str]) -> Iterator[Read]:
    yield from (Read(path, path) for path in files)


def _of_prepare(config: Config, keys: Key) -> Iterator[Read]:
    source = config.datasets[str(keys["dataset"])]
    named = [getattr(source, split) for split in SPLITS] if source.source == "file" else []
    yield from (Read(path, path) for path in named if path is not None and not is_url(path))


def _of_subsample(config: Config, keys: Key) -> Iterator[Read]:
    yield from (made_by(config, "prepare", keys, table) for table in (*SPLITS, "groups"))


def _of_augment(config: Config, keys: Key) -> Iterator[Read]:
    augmenter = str(keys["augmenter"])
    yield made_by(config, "subsample", keys, "train")
    for purpose, (stage, split) in experiment.augment_reads(config, str(keys["dataset"]), augmenter).items():
        yield made_by(config, stage, keys, split, purpose)
    yield from _models([*llm_files(config, augmenter), *rewriter_files(config, augmenter)])


def _of_quality(config: Config, keys: Key) -> Iterator[Read]:
    yield made_by(config, "augment", keys, "synthetic")
    yield from (made_by(config, "subsample", keys, split) for split in ("train", "test"))
    yield from (made_by(config, "prepare", keys, split, f"all_{split}") for split in ("train", "test"))
    yield from _models(encoder_files(config.quality.model))


def _of_train(config: Config, keys: Key) -> Iterator[Read]:
    classifier = str(keys["classifier"])
    yield from (made_by(config, "subsample", keys, split) for split in SPLITS)
    yield made_by(config, "augment", keys, "synthetic")
    match = experiment.matched(config, classifier)
    if match is not None:
        yield made_by(config, "augment", {**keys, "augmenter": match}, "synthetic", "matched")
    yield from _models(encoder_files(config.classifiers[classifier].model))


def _of_evaluate(config: Config, keys: Key) -> Iterator[Read]:
    yield made_by(config, "train", keys, "predictions")


_READS = {
    "prepare": _of_prepare,
    "subsample": _of_subsample,
    "augment": _of_augment,
    "quality": _of_quality,
    "train": _of_train,
    "evaluate": _of_evaluate,
}
