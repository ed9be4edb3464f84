"""What every artefact says about its making, enough to explain a number without the workflow's own records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hypermix import __version__
from hypermix.files import parse_provenance, read_provenance
from hypermix.hashing import bytes_digest, file_digest


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


_ALIKE = frozenset(("labels", "words", "trained", "abilities", "model", "encoder"))
"""What many files say alike, beside their slices."""

_FAMILY = ("dataset", "augmenter", "classifier")
"""The keys that files have in common which say the same: so each is compared with few others."""


class Evidence:
    """What many files say of their making and the checksums of their bytes, from the one time that they are opened.

    Equal parts are one object, such as slices and label orders: those of thousands of runs would take a gigabyte. What
    a file says of its inputs is left out.

    Attributes:
        made: What each file says.
        digests: The SHA-256 of each file, as 64 hexadecimal digits.
    """

    def __init__(self) -> None:
        self.made: dict[Path, dict[str, Any]] = {}
        self.digests: dict[Path, str] = {}
        self._known: dict[tuple[Any, ...], list[Any]] = {}

    def __call__(self, path: Path, content: bytes, metadata: Mapping[bytes, bytes]) -> None:
        """Take a file; see `hypermix.tables.Look`.

        Raises:
            ArtefactError: If it says nothing.
        """
        said = parse_provenance(path, metadata)
        said.pop("inputs", None)
        family = tuple(said.get("keys", {}).get(name) for name in _FAMILY)
        for name in _ALIKE & said.keys():
            said[name] = self._share((name, *family), said[name])
        slices = said.get("slices", {})
        said["slices"] = {stage: self._share(("slice", stage, *family), slices[stage]) for stage in slices}
        self.made[path] = said
        self.digests[path] = bytes_digest(content)

    def _share(self, kind: tuple[Any, ...], part: Any) -> Any:
        known = self._known.setdefault(kind, [])
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
