"""What the workflow engine wrote down in its own folder about the jobs that it ran."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(".snakemake")
"""Where it lies, from the folder that snakemake runs in."""

_LONGEST_NAME = 255


def recorded_digest(outputs: Iterable[str], path: str) -> str | None:
    """Return the SHA-256 that an input had when outputs were made; None if it is not written down.

    Args:
        outputs: The outputs of a job.
        path: One of its inputs.
    """
    for output in outputs:
        try:
            record = json.loads(_record_path("metadata", output).read_text(encoding="utf-8"))
            told = record["input_checksums"][path]
        except (OSError, ValueError, KeyError, TypeError):  # none, or of another version
            continue
        if isinstance(told, str) and told.startswith("sha256:"):
            return told.removeprefix("sha256:")
    return None


def unfinished_files() -> set[str]:
    """Return the outputs of jobs that were begun and not brought to an end: they are made again."""
    folder = FOLDER / "incomplete"
    found = set()
    for marker in folder.rglob("*"):
        if marker.is_file():
            name = "".join(part.removeprefix("@") for part in marker.relative_to(folder).parts)
            try:
                found.add(urlsafe_b64decode(name).decode("utf-8"))
            except (Error, ValueError):  # another file
                continue
    return found


def _record_path(kind: str, output: str) -> Path:
    """Return where the engine writes about an output: its name in base64, cut where names may not be longer."""
    folder = FOLDER / kind
    try:
        most = os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        most = _LONGEST_NAME
    name = urlsafe_b64encode(output.encode("utf-8")).decode("ascii")
    size = (most or _LONGEST_NAME) - 1
    parts = [name[start : start + size] for start in range(0, len(name), size)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
