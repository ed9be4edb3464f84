"""One zip file of named members: equal members give equal bytes, and nothing that is opened is trusted.

A zip file is opened by every system. Names, times and rights are fixed; the manifest tells size and checksum of each
member, and what it does not tell is not unpacked.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypermix.errors import ArtefactError
from hypermix.files import atomic
from hypermix.hashing import bytes_digest, file_digest

MANIFEST = "archive.json"
FORMAT = 1
MOST_BYTES = 20 * 10**9
MOST_FILES = 200_000
_MOST_MANIFEST = 1 << 26
_LONGEST_NAME = 1000
_BLOCK = 1 << 20
_TIME = (1980, 1, 1, 0, 0, 0)
_RIGHTS = stat.S_IFREG | 0o644
_UNIX = 3
_PART = re.compile(r"[^\x00-\x1f\x7f\\:]{1,255}")
_ADVICE = "it is damaged or was not written by `hypermix archive`: get it anew from where it was made"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError, ValueError)

Members = Mapping[str, Path | bytes]
"""The members of an archive by their names: bytes, or where they lie."""


@dataclass(frozen=True)
class Entry:
    """What a manifest tells of a member."""

    size: int
    sha256: str


def write_archive(target: Path, members: Members, manifest: Mapping[str, Any]) -> int:
    """Write an archive, whole or not at all.

    Args:
        target: The file.
        members: Its members, the manifest not among them.
        manifest: What it says of itself; the list of its files is added.

    Returns:
        The bytes of the file.

    Raises:
        ArtefactError: If a member cannot be read, or the archive cannot be written.
    """
    listed = {name: _measure(content) for name, content in members.items()}
    told = {"format": FORMAT, **manifest, "files": listed}
    text = json.dumps(told, indent=2, ensure_ascii=False, sort_keys=True)
    whole = {**members, MANIFEST: f"{text}\n".encode()}
    try:
        with atomic(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
            for name in sorted(whole):
                _add(file, name, whole[name])
        return target.stat().st_size
    except OSError as error:
        raise ArtefactError(
            f"{target}: cannot be written: {error.strerror or error}; make room there, or name another file"
        ) from error


def _measure(content: Path | bytes) -> dict[str, Any]:
    try:
        sha256 = bytes_digest(content) if isinstance(content, bytes) else file_digest(content)
        return {"bytes": _size(content), "sha256": sha256}
    except OSError as error:
        raise ArtefactError(
            f"{content!s}: cannot be read: {error.strerror or error}; see to the file and its rights, and archive again"
        ) from error


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _add(file: zipfile.ZipFile, name: str, content: Path | bytes) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = _RIGHTS << 16
    info.create_system = _UNIX
    info.file_size = _size(content)  # tells whether the sizes need the longer form
    with file.open(info, "w") as member:
        if isinstance(content, bytes):
            member.write(content)
            return
        with content.open("rb") as stream:
            while block := stream.read(_BLOCK):
                member.write(block)


class Archive:
    """An archive that is read; nothing of it is trusted.

    Attributes:
        path: The file.
        manifest: What it says of itself.
        files: Its members but for the manifest, by their names, which stay inside of any folder.
    """

    def __init__(self, path: Path, file: zipfile.ZipFile, most_bytes: int) -> None:
        self.path = path
        self._file = file
        self._infos = self._list(most_bytes)
        self.manifest = self._read_manifest()
        self.files = self._compare(self.manifest.get("files"))

    def copy(self, name: str, target: Path) -> None:
        """Write a member into a file, and check it against the manifest.

        Raises:
            ArtefactError: If it is damaged.
        """
        sha, size, entry = hashlib.sha256(), 0, self.files[name]
        with self._file.open(self._infos[name]) as stream, target.open("xb") as out:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > entry.size:
                    break
                sha.update(block)
                out.write(block)
        if size != entry.size or sha.hexdigest() != entry.sha256:
            raise self.error(f"{name} is not what the list of its files says")

    def copy_manifest(self, folder: Path) -> None:
        """Write the manifest into a folder."""
        with self._file.open(self._infos[MANIFEST]) as stream:
            (folder / MANIFEST).write_bytes(stream.read(_MOST_MANIFEST))

    def error(self, told: str) -> ArtefactError:
        """Word what is wrong with the archive."""
        return ArtefactError(f"{self.path}: {told}; {_ADVICE}")

    def _list(self, most_bytes: int) -> dict[str, zipfile.ZipInfo]:
        infos = self._file.infolist()
        if len(infos) > MOST_FILES:
            raise self.error(f"holds {len(infos)} files, where at most {MOST_FILES} may stand")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            # The name as it stands there: an extra field may put another into `filename`, in newer versions of Python.
            name = info.orig_filename
            if not is_safe(name) or name in found:
                raise self.error(f"holds {name[:80]!r}, which is no place in a folder or stands there twice")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or info.flag_bits & 1 or info.compress_type not in _PACKINGS:
                raise self.error(f"{name!r} is a link, encrypted or packed in another way")
            found[name] = info
        total = sum(info.file_size for info in infos)
        if total > most_bytes:
            raise ArtefactError(
                f"{self.path}: unpacks to {total / 1e9:.1f} GB, and at most {most_bytes / 1e9:g} GB are allowed; raise "
                "--most-gb if you trust it and have the room"
            )
        return found

    def _read_manifest(self) -> dict[str, Any]:
        info = self._infos.get(MANIFEST)
        if info is None or info.file_size > _MOST_MANIFEST:
            raise self.error(f"holds no {MANIFEST} of a reasonable size")
        with self._file.open(info) as stream:
            told = json.loads(stream.read(_MOST_MANIFEST))
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            made = told.get("format") if isinstance(told, dict) else None
            raise self.error(f"its {MANIFEST} is of format {made!r}, where this version of HyperMix reads {FORMAT}")
        return told

    def _compare(self, listed: object) -> dict[str, Entry]:
        """Hold the members against the list of the manifest."""
        if not isinstance(listed, dict) or listed.keys() != self._infos.keys() - {MANIFEST}:
            raise self.error("does not hold the files that it lists")
        found = {}
        for name, told in listed.items():
            size, sha256 = (told.get("bytes"), told.get("sha256")) if isinstance(told, dict) else (None, None)
            if size != self._infos[name].file_size or not isinstance(sha256, str) or not _DIGEST.fullmatch(sha256):
                raise self.error(f"{name} is not what the list of its files says")
            found[name] = Entry(int(size), sha256)
        return found


def is_safe(name: str) -> bool:
    """Tell whether a name is a place inside of a folder, on any system."""
    parts = name.split("/")
    whole = all(_PART.fullmatch(part) and part not in (".", "..") for part in parts)
    return whole and len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME


@contextmanager
def open_archive(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[Archive]:
    """Open an archive for the length of a block.

    Args:
        path: The file.
        most_bytes: What it may unpack to.

    Yields:
        The archive, of which list and sizes are checked.

    Raises:
        ArtefactError: If it is damaged, holds what an archive does not, or is too large.
    """
    try:
        with zipfile.ZipFile(path) as file:
            yield Archive(path, file, most_bytes)
    except _DAMAGED as error:
        raise ArtefactError(
            f"{path}: cannot be read as a zip file ({' '.join(str(error).split())[:200]}); {_ADVICE}"
        ) from error
    except OSError as error:
        raise ArtefactError(
            f"{path}: cannot be unpacked: {error.strerror or error}; see to the file, the folder and its room"
        ) from error
