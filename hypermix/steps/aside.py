"""Rows that a run would draw, drawn in a folder that goes again: so a plan can count them before anything runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypermix.config import experiment
from hypermix.config.check import SPLITS
from hypermix.config.dataset import FileDataset
from hypermix.config.model import Config
from hypermix.names import is_url
from hypermix.steps import prepare, subsample

MOST_BYTES = 20_000_000
"""The largest files that are read aside: a second or two."""

_DRAW = ("dataset", "subsample", "data_seed")


def is_small(config: Config, dataset: str) -> bool:
    """Tell whether a dataset is made of files that are here and small, so that it is read in no time.

    Args:
        config: The config.
        dataset: A key of its datasets.
    """
    settings = config.datasets[dataset]
    if not isinstance(settings, FileDataset):
        return False
    named = [path for split in SPLITS if (path := getattr(settings, split)) is not None]
    if any(is_url(path) or not Path(path).is_file() for path in named):
        return False
    return sum(Path(path).stat().st_size for path in named) <= MOST_BYTES


def draw_aside(config: Config, key: Mapping[str, Any], folder: Path) -> None:
    """Prepare a dataset and draw its rows, by the stages themselves and into their own paths.

    Args:
        config: The config.
        key: ``dataset``, ``subsample`` and ``data_seed``; what is there already is not made again.
        folder: What stands in the place of the folder of results.

    Raises:
        DataError: If the dataset cannot be used as it is.
    """
    dataset = str(key["dataset"])
    prepared = _paths(folder / "prepare" / f"dataset={dataset}", (*SPLITS, "groups", "profile"))
    drawn = _paths(folder.joinpath("subsample", *(f"{part}={key[part]}" for part in _DRAW)), SPLITS)
    with _quiet():
        if not prepared["profile"].exists():  # it is written last
            prepare.run(dataset, experiment.prepare_slice(config, dataset), Path(config.cache), prepared)
        if not drawn["test"].exists():
            words = {part: str(key[part]) for part in _DRAW}
            inputs = {name: path for name, path in prepared.items() if name != "profile"}
            subsample.run(words, experiment.subsample_slice(config), inputs, drawn)


def _paths(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    return {name: folder / f"{name}.parquet" for name in names}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the stages log from the terminal: the run tells it again."""
    logger = logging.getLogger("hypermix")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
