"""What every artefact says about its making, enough to explain a number without the workflow's own records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hypermix import __version__
from hypermix.files import read_provenance
from hypermix.hashing import file_digest


def describe(
    stage: str, slice_json: str, keys: Mapping[str, str | int], inputs: Mapping[str, Path], **more: Any
) -> dict[str, Any]:
    """Build the provenance of a stage's outputs.

    Args:
        stage: The stage that writes.
        slice_json: What it may see of the config.
        keys: The partition keys of its outputs, seeds among them.
        inputs: The files it reads, by what they are.
        **more: What else belongs to the outputs, such as the label order.

    Returns:
        ``hypermix`` (version), ``keys``, ``inputs`` (SHA-256 by name), ``slices`` (those of this stage and of
        all before it), and what `more` holds. No time and no path: equal inputs give equal bytes.
    """
    slices = merge_slices(path for path in inputs.values() if path.suffix == ".parquet")
    return {
        "hypermix": __version__,
        "keys": dict(keys),
        "inputs": {name: file_digest(path) for name, path in inputs.items()},
        "slices": {**slices, stage: json.loads(slice_json)},
        **more,
    }


_ALIKE = ("labels", "words", "trained", "abilities", "model", "encoder")
"""What many files say alike, beside their slices."""


def read_all(paths: Iterable[Path]) -> dict[Path, dict[str, Any]]:
    """Read what many files say about their making, without the checksums of their inputs.

    Equal parts are one object, such as slices and label orders: those of thousands of runs would take a gigabyte.

    Raises:
        ArtefactError: If a file cannot be read or says nothing.
    """
    known: dict[str, list[Any]] = {}
    found = {}
    for path in paths:
        made = {name: part for name, part in read_provenance(path).items() if name != "inputs"}
        slices = made.get("slices", {})
        alike = {name: _share(known.setdefault(name, []), made[name]) for name in _ALIKE if name in made}
        shared = {stage: _share(known.setdefault(f"slice of {stage}", []), slices[stage]) for stage in slices}
        found[path] = {**made, **alike, "slices": shared}
    return found


def _share(known: list[Any], part: Any) -> Any:
    for one in known:
        if one == part:
            return one
    known.append(part)
    return part


def artefact_name(path: Path) -> str:
    """Name an artefact by its stage, keys and table, wherever the results lie."""
    keyed = next((position for position, part in enumerate(path.parts) if part.startswith("dataset=")), 1)
    return "/".join([*path.parts[keyed - 1 : -1], path.stem])


def merge_slices(artefacts: Iterable[Path]) -> dict[str, Any]:
    """Collect the slices of all stages that some artefacts of one run went through."""
    merged: dict[str, Any] = {}
    for path in artefacts:
        merged.update(read_provenance(path).get("slices", {}))
    return merged
