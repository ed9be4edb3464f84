"""Files that were made with other settings than the config's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypermix import tables
from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.errors import ArtefactError

_SHOWN_STALE = 3


def check_slices(config: Config, provenance: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse what was made with other settings, which Snakemake cannot see once its own records are lost.

    Args:
        config: The config at hand.
        provenance: What each file says of its making.

    Raises:
        ArtefactError: If a file has another slice of any stage than the config gives, naming files and stages.
    """
    stale = [f"{path} ({stage})" for path, made in provenance.items() for stage in _other_stages(config, path, made)]
    if stale:
        more = f" and {len(stale) - _SHOWN_STALE} more" if len(stale) > _SHOWN_STALE else ""
        raise ArtefactError(
            f"made with other settings than the config's: {', '.join(stale[:_SHOWN_STALE])}{more}; delete these files, "
            "or run snakemake with --forcerun and the stage in brackets; stored answers are not paid again"
        )


def _other_stages(config: Config, path: Path, made: Mapping[str, Any]) -> list[str]:
    keys = {name: str(value) for name, value in tables.path_keys(path).items()}
    wanted = {"prepare": experiment.prepare_slice(config, keys["dataset"])}
    if "augmenter" in keys:
        wanted["subsample"] = experiment.subsample_slice(config)
        wanted["augment"] = experiment.augment_slice(config, keys["dataset"], keys["augmenter"])
    if path.stem == "quality":
        wanted["quality"] = experiment.quality_slice(config)
    if "classifier" in keys:
        wanted["train"] = experiment.train_slice(config, keys["classifier"])
        wanted["evaluate"] = experiment.evaluate_slice()
        match = experiment.matched(config, keys["classifier"])
        if match is not None:
            wanted["match"] = experiment.augment_slice(config, keys["dataset"], match)
    return [stage for stage, slice_json in wanted.items() if made["slices"].get(stage) != json.loads(slice_json)]
