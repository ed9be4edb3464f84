"""Files that were made with other settings than the config's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hypermix import tables
from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.errors import ArtefactError
from hypermix.files import read_end, read_provenance
from hypermix.hashing import canonical_json
from hypermix.steps.artefacts import STAGES

_SHOWN_STALE = 3
_TRAINED = tuple(STAGES["train"].tables)
_SLICES = b'"slices":{'
_MAGIC = b"PAR1"
_TAIL_BYTES = 1 << 14
"""More than the end of a table of one run, which tells of its making."""


def check_slices(config: Config, provenance: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse what was made with other settings, which Snakemake cannot see once its own records are lost.

    Args:
        config: The config at hand.
        provenance: What each file says of its making.

    Raises:
        ArtefactError: If a file has another slice of any stage than the config gives, naming files and stages.
    """
    wanted = Wanted(config)
    stale = [f"{path} ({stage})" for path, made in provenance.items() for stage in wanted.other_stages(path, made)]
    if stale:
        more = f" and {len(stale) - _SHOWN_STALE} more" if len(stale) > _SHOWN_STALE else ""
        raise ArtefactError(
            f"made with other settings than the config's: {', '.join(stale[:_SHOWN_STALE])}{more}; delete these files, "
            "or run snakemake with --forcerun and the stage in brackets; stored answers are not paid again"
        )


class Wanted:
    """The slices that the artefacts of a config must have been made with.

    Args:
        config: The config at hand.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._slices = cache(self._cut)
        self._parsed = cache(self._parse)
        self._patterns = cache(self._word)

    def other_stages(self, path: Path, made: Mapping[str, Any]) -> list[str]:
        """Return the stages of which a file has another slice than the config gives.

        Args:
            path: The file.
            made: What it says of its making.
        """
        slices = made.get("slices", {})
        family = _family(tables.path_keys(path), path.stem)
        return [stage for stage, wanted in self._parsed(*family).items() if slices.get(stage) != wanted]

    def stale_stages(self, path: str, keys: Mapping[str, Any], table: str) -> list[str]:
        """Return the stages of which a file on the disk has another slice than the config gives.

        A file says near its end what its slices were, each as it would be written anew. So a look is enough, and costs
        a part of reading it as Parquet; only a file in which they are not found is read.

        Args:
            path: The file.
            keys: Its keys.
            table: Its table.

        Raises:
            ArtefactError: If the file cannot be read, or does not tell of its making.
        """
        end = _read_slices(path)
        if end is not None:
            return [stage for stage, pattern in self._patterns(*_family(keys, table)).items() if pattern not in end]
        return self.other_stages(Path(path), read_provenance(Path(path)))

    def slices(self, keys: Mapping[str, Any], table: str) -> dict[str, Any]:
        """Return the slices that a file must have been made with, by stage.

        Args:
            keys: Its keys.
            table: Its table.
        """
        return self._parsed(*_family(keys, table))

    def _cut(self, dataset: str, augmenter: str, classifier: str, table: str) -> dict[str, str]:
        config, wanted = self._config, {"prepare": experiment.prepare_slice(self._config, dataset)}
        if table in STAGES["subsample"].tables or augmenter:
            wanted["subsample"] = experiment.subsample_slice(config)
        if augmenter:
            wanted["augment"] = experiment.augment_slice(config, dataset, augmenter)
        if table == "quality":
            wanted["quality"] = experiment.quality_slice(config)
        if classifier:
            wanted["train"] = experiment.train_slice(config, classifier)
            match = experiment.matched(config, classifier)
            if match is not None:
                wanted["match"] = experiment.augment_slice(config, dataset, match)
        if classifier and table not in _TRAINED:
            wanted["evaluate"] = experiment.evaluate_slice()
        return wanted

    def _parse(self, *family: str) -> dict[str, Any]:
        return {stage: json.loads(slice_json) for stage, slice_json in self._slices(*family).items()}

    def _word(self, *family: str) -> dict[str, bytes]:
        parsed = self._parsed(*family)
        return {stage: f'"{stage}":{canonical_json(slice_)}'.encode() for stage, slice_ in parsed.items()}


def _family(keys: Mapping[str, Any], table: str) -> tuple[str, str, str, str]:
    """Return what the slices of a file depend on; a file of `prepare` has no draw, and so no table of one."""
    dataset, augmenter, classifier = (str(keys.get(name, "")) for name in ("dataset", "augmenter", "classifier"))
    return dataset, augmenter, classifier, table if "data_seed" in keys else ""


def _read_slices(path: str) -> bytes | None:
    """Return the end of a file from its slices on; None if they are not found there."""
    try:
        end = read_end(path, _TAIL_BYTES)
    except OSError:
        return None
    start = end.find(_SLICES)
    return end[start:] if start >= 0 and end.endswith(_MAGIC) else None
