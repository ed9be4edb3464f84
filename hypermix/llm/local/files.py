"""The files of a model of api: transformers, and what stands for them in request keys. No model is loaded here."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

from hypermix.errors import ServerError
from hypermix.files import write_text
from hypermix.hashing import canonical_json, digest, file_digest
from hypermix.hub import UNWANTED, WANTED, find_model

_NOTES = "digests.json"


def local_files(model: str, revision: str | None, *, offline: bool = False) -> Path:
    """Find the folder of a language model, as `hypermix.hub.find_model` does.

    Args:
        model: A folder, or an id of the hub.
        revision: A commit, branch or tag of the hub; None takes the newest commit.
        offline: Whether the hub is not asked.

    Raises:
        ServerError: If the files cannot be had, or are no model with weights as safetensors.
    """
    return find_model(model, revision, ServerError, offline=offline)


def local_identity(folder: Path, *, dtype: str, context: int, batch_size: int, cache: Path) -> dict[str, str]:
    """Return what stands for a model in request keys: all of its files, and what changes its answers.

    Whether a GPU computes is left out, although its last bits are others: so hours of a GPU can be replayed on a
    laptop. The answers tell it in their ``system_fingerprint``.

    Args:
        folder: The model's folder, as `local_files` returns it.
        dtype: The numbers of the computation.
        context: Tokens of the longest prompt with its answer.
        batch_size: Answers that are computed at once; it changes their last bits.
        cache: A folder for a note of the digests of large files, so that they are not read again for each job.

    Raises:
        ServerError: If a file cannot be read.
    """
    try:
        digests = _digests(sorted(path for path in folder.iterdir() if _wanted(path)), cache / _NOTES)
    except OSError as error:
        raise ServerError(
            f"{folder}: cannot be read: {error.strerror}; see to the folder and its permissions"
        ) from error
    listed = sorted([path.name, value] for path, value in digests.items())
    return {"model_sha256": digest(listed), "dtype": dtype, "context": str(context), "batch_size": str(batch_size)}


def _wanted(path: Path) -> bool:
    names = any(fnmatchcase(path.name, pattern) for pattern in WANTED)
    return names and not any(fnmatchcase(path.name, pattern) for pattern in UNWANTED) and path.is_file()


def _digests(paths: list[Path], notes: Path) -> dict[Path, str]:
    """Return the SHA-256 of each file; one that was not touched since is not read again."""
    known = _read_notes(notes)
    found: dict[Path, str] = {}
    new: dict[str, list[int | str]] = {}
    for path in paths:
        place, facts = str(path.resolve()), path.stat()
        stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
        before = known.get(place)
        if before is None or before[:-1] != stamp:
            before = [*stamp, file_digest(path)]
            new[place] = before
        found[path] = str(before[-1])
    if new:
        # Another job may have written meanwhile; what it noted of other models is kept.
        kept = {place: note for place, note in _read_notes(notes).items() if Path(place).is_file()}
        write_text(notes, canonical_json({**kept, **new}))
    return found


def _read_notes(notes: Path) -> dict[str, list[int | str]]:
    """Read the notes; those that are damaged count as none."""
    try:
        told = json.loads(notes.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {place: note for place, note in told.items() if _is_note(note)}


def _is_note(note: object) -> bool:
    return (
        isinstance(note, list)
        and len(note) == 4
        and all(isinstance(number, int) for number in note[:3])
        and re.fullmatch(r"[0-9a-f]{64}", str(note[3])) is not None
    )
