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
_BESIDE = ("confusion", "calibration")
"""What the job writes that writes the metrics: named only if those are not, which come first."""

_DEPENDS_ON = ("dataset", "augmenter", "classifier")
"""The keys that slices differ by."""


def check_slices(config: Config, provenance: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse what was made with other settings, which Snakemake cannot see once its own records are lost.

    Args:
        config: The config at hand.
        provenance: What each file says of its making.

    Raises:
        ArtefactError: If a file has another slice of any stage than the config gives, naming files and stages.
    """
    known: dict[tuple[str, ...], dict[str, Any]] = {}
    stale: list[str] = []
    runs = set()
    for path, made in provenance.items():
        keys = tables.path_keys(path)
        of_file = (*(str(keys.get(name, "")) for name in _DEPENDS_ON), path.stem)
        if of_file not in known:
            known[of_file] = _wanted(config, path)
        found = [stage for stage, cut in known[of_file].items() if made["slices"].get(stage) != cut]
        run = tuple(keys.items())
        if found and not (path.stem in _BESIDE and run in runs):
            stale += [f"{path} ({stage})" for stage in found]
            runs.add(run)
    if stale:
        more = f" and {len(stale) - _SHOWN_STALE} more" if len(stale) > _SHOWN_STALE else ""
        raise ArtefactError(
            f"made with other settings than the config's: {', '.join(stale[:_SHOWN_STALE])}{more}; delete these files, "
            "or run snakemake with --forcerun and the stage in brackets; stored answers are not paid again"
        )


def _wanted(config: Config, path: Path) -> dict[str, Any]:
    """Return the slices that a file must have, by stage."""
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
    return {stage: json.loads(slice_json) for stage, slice_json in wanted.items()}
