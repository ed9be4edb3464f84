"""unpack: a study's folder from its archive, and whether what was made there again is the same."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypermix import __version__
from hypermix.errors import ArtefactError
from hypermix.hashing import file_digest
from hypermix.llm.archive import import_store
from hypermix.llm.store import RequestStore
from hypermix.report.console import plain
from hypermix.steps.archive.page import tell_need
from hypermix.steps.archive.source import is_program, known_files
from hypermix.steps.archive.write import ANSWERS, STUDY, compared
from hypermix.steps.archive.zipped import MOST_BYTES, Archive, open_archive

_SHOWN = 3


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes:
        files: How many files.
        answers: How many answers of language models were stored.
        notices: What the user should know before running it, a line each.
    """

    files: int
    answers: int
    notices: list[str]

    def lines(self, folder: Path) -> list[str]:
        """Tell it in lines, and what to type next."""
        told = f"{folder}: {self.files} files, {self.answers} answers stored."
        following = f"Next: cd {shlex.quote(str(folder))} && snakemake --cores all && hypermix compare"
        return [told, *self.notices, following]


def unpack(source: Path, folder: Path, most_bytes: int = MOST_BYTES) -> Unpacked:
    """Unpack an archive into a new folder, whole or not at all.

    Args:
        source: The archive.
        folder: A folder that is not there yet, or is empty.
        most_bytes: What its files may unpack to, and the rows of its stored answers.

    Raises:
        ArtefactError: If the folder holds something, or the archive is damaged, holds what no archive does, or is too
            large; then nothing is left of it.
    """
    # A working folder cannot be taken the place of.
    if not folder.name or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise ArtefactError(f"{folder}: is not empty, or the working folder; name a folder that is not there yet")
    with open_archive(source, most_bytes) as archive:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
        try:
            for name in archive.files:
                target = draft / name
                target.parent.mkdir(parents=True, exist_ok=True)
                archive.copy(name, target)
            archive.copy_manifest(draft)
            answers = _store_answers(archive, draft, most_bytes)
            draft.chmod(0o755)
            draft.replace(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return Unpacked(len(archive.files) + 1, answers, _notices(archive))


def compare(folder: Path) -> tuple[bool, list[str]]:
    """Compare what was made in the folder of an archive with the study that it holds.

    Args:
        folder: The folder.

    Returns:
        Whether all files are the same that equal studies have in common, and which are not, a line each.

    Raises:
        ArtefactError: If it is no folder of an archive.
    """
    if not (folder / STUDY).is_dir():
        raise ArtefactError(f"{folder}: has no {STUDY}/, which an archive has; run this where one was unpacked")
    if not (folder / "results" / "aggregate").is_dir():
        raise ArtefactError(f"{folder}: the study was not run again here yet; run snakemake --cores all there first")
    found = {path: _hold(folder / STUDY / path, folder / "results" / "aggregate" / path) for path in compared()}
    other = [f"{path}: {state}" for path, state in found.items() if state != "same"]
    told = f"{len(found) - len(other)} of {len(found)} results are the same, byte for byte."
    return not other, [*other, told]


def _hold(given: Path, made: Path) -> str:
    if not (given.is_file() and made.is_file()):
        return "missing"
    return "same" if file_digest(given) == file_digest(made) else "other"


def _store_answers(archive: Archive, draft: Path, most_bytes: int) -> int:
    if ANSWERS not in archive.files:
        return 0
    done = import_store(RequestStore(draft / "cache" / "requests"), draft / ANSWERS, most_bytes)
    if done.damaged:
        raise archive.error(f"{len(done.damaged)} of its stored answers are not what their checksums say")
    return done.added


def _notices(archive: Archive) -> list[str]:
    """Tell what differs here, and what must be at hand. All of it is of the archive, so it is told without controls."""
    told = []
    made = str(archive.manifest.get("hypermix"))[:40]
    if made != __version__:
        told.append(f"It was made with HyperMix {plain(made)}, and this is {__version__}: results may differ.")
    own = {name: file_digest(path) for name, path in known_files().items()}
    other = sorted(name for name, entry in archive.files.items() if is_program(name) and own.get(name) != entry.sha256)
    if other:
        shown = ", ".join(plain(name) for name in other[:_SHOWN]) + (", ..." if len(other) > _SHOWN else "")
        told.append(
            f"{len(other)} of its program's files are not those of this HyperMix ({shown}): snakemake, make or a tool "
            "that you use in this folder may run them, so look at them first."
        )
    ready = [
        name
        for name in sorted(archive.files)
        if name.startswith("results/") and not name.startswith("results/prepare/")
    ]
    if ready:
        told.append(
            f"{len(ready)} results are in it ready-made ({plain(ready[0])}), which no archive of this HyperMix has: "
            "snakemake would not make them again, so delete them first."
        )
    needed = archive.manifest.get("needed")
    listed = [one for one in needed if _is_need(one)] if isinstance(needed, list) else []
    return [*told, *(f"Must be at hand: {tell_need(one)}" for one in listed)]


def _is_need(one: object) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(part), str) for part in ("for", "name", "why"))
