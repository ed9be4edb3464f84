"""A small state in a file that processes and threads change in turn, and that a kill at any moment leaves whole.

The file has two halves, each a whole state with its number and a checksum. A change is written into the half that holds
the older state, so that a write that ends half-way leaves the other one in force. The order of the changes is kept by
the kernel's lock on a file beside it, which ends with its process; it works over NFS too, where the server has locks.

A change costs some ten microseconds, since nothing but a new file's first state is forced to the disk. A power cut or a
crash of the system can therefore lose the changes of the last half minute; the state before them is then in force.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import lock_descriptor

from hypermix.errors import LlmError
from hypermix.hashing import canonical_json
from hypermix.llm.claim import sync_folder

LOCK = ".lock"
_HALF = 1 << 14
"""Bytes of a half of the file; no state is longer."""

_HEADER = re.compile(rb"hypermix-state 1 ([0-9]{16}) ([0-9a-f]{8}) ([0-9]{8})\n")
_PAUSE = 0.0005
"""Seconds between two tries for the lock, which nobody holds for longer."""

_LOG = logging.getLogger(__name__)
_Told = TypeVar("_Told")

State = dict[str, Any]


class DamagedStateError(LlmError):
    """A file of shared state is damaged, or no such file."""


class Shared:
    """A state in a file.

    It may be used by many threads and processes at once; whoever forks takes nothing along.

    Attributes:
        path: The file; made by the first change, with its folder.
        patience: Seconds to wait for others.
        lenient: Whether a damaged file counts as empty, which the log tells, and is no error.
    """

    def __init__(self, path: Path, patience: float = 30.0, lenient: bool = False) -> None:
        self.path = path
        self.patience = patience
        self.lenient = lenient
        self._lock = path.with_name(path.name + LOCK)
        self._told = False

    def change(self, edit: Callable[[State], _Told]) -> _Told:
        """Change the state, while no other process does.

        Args:
            edit: Changes the state in its place, to one that has a JSON form. Nothing is written if it raises.

        Returns:
            What `edit` returns.

        Raises:
            DamagedStateError: If the file is damaged.
            TimeoutError: If another process holds the lock for too long.
            OSError: If the file cannot be locked, read or written.
        """
        with self._turn(), _opened(self.path, os.O_RDWR | os.O_CREAT) as handle:
            content = _read(handle)
            number, state = self._parse(content)
            before = canonical_json(state)
            told = edit(state)
            after = canonical_json(state)
            if after != before:
                self._write(handle, number + 1, after)
                if not content:  # from now on an empty file is damage, and no forgotten state
                    os.fsync(handle)
                    sync_folder(self.path.parent)
        return told

    def read(self) -> State:
        """Return the state, not older than the last change that had ended before; an empty one if there is no file.

        Raises:
            DamagedStateError: If the file is damaged.
            OSError: If it cannot be read.
        """
        found = _parse(self._content())
        if found is None:  # two changes may have gone over what was read
            with self._turn():
                found = self._parse(self._content())
        return found[1]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # A descriptor of its own for each turn, so that threads keep each other out as processes do.
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with _opened(self._lock, os.O_RDWR | os.O_CREAT) as handle:
            until = time.monotonic() + self.patience
            while not lock_descriptor(handle, blocking=False):
                if time.monotonic() >= until:
                    raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock", str(self.path))
                time.sleep(_PAUSE)
            yield

    def _parse(self, content: bytes) -> tuple[int, State]:
        found = _parse(content)
        if found is not None:
            return found
        if not self.lenient:
            raise DamagedStateError(
                f"{self.path}: is damaged or was written by another program; move it away to begin anew, and run again"
            )
        if not self._told:
            self._told = True
            _LOG.warning("%s: is damaged and counts as empty", self.path)
        return 0, {}

    def _content(self) -> bytes:
        try:
            with _opened(self.path, os.O_RDONLY) as handle:
                return _read(handle)
        except FileNotFoundError:
            return b""

    def _write(self, handle: int, number: int, text: str) -> None:
        half = _pack(number, text)
        if os.pwrite(handle, half, _HALF * (number % 2)) != len(half):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    # With O_CREAT the server of NFS is asked, where a look at the name may be answered from memory.
    handle = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _read(handle: int) -> bytes:
    return os.pread(handle, 2 * _HALF, 0)


def _pack(number: int, text: str) -> bytes:
    body = text.encode("utf-8", "surrogatepass")
    half = b"hypermix-state 1 %016d %08x %08d\n" % (number, _checksum(number, body), len(body)) + body
    if len(half) > _HALF:
        raise ValueError(f"a shared state of {len(body)} bytes is too long; at most {_HALF} bytes have room")
    return half


def _checksum(number: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(b"%d" % number))


def _parse(content: bytes) -> tuple[int, State] | None:
    """Return the state in force with its number; None if no half of the file is whole."""
    if not content:
        return 0, {}
    halves = [_unpack(content[:_HALF]), _unpack(content[_HALF : 2 * _HALF])]
    whole = [half for half in halves if half is not None]
    return max(whole, key=lambda half: half[0]) if whole else None


def _unpack(half: bytes) -> tuple[int, State] | None:
    header = _HEADER.match(half)
    if header is None:
        return None
    number, told, size = int(header[1]), int(header[2], 16), int(header[3])
    body = half[header.end() : header.end() + size]
    if len(body) != size or _checksum(number, body) != told:
        return None
    try:
        state = json.loads(body)
    except ValueError:
        return None
    return (number, state) if isinstance(state, dict) else None
