"""Disks that are full and folders that cannot be written. Nothing heavy is imported: each start of a run reads this."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypermix.errors import ArtefactError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Tell in one sentence, within a block that writes a file, that the disk is full or the folder not to be written.

    Raises:
        ArtefactError: If it is so.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (*_FULL, *_CLOSED):
            raise
        told = os.strerror(error.errno)
        advice = (
            "make room there" if error.errno in _FULL else "let it be written, or name another folder in the config"
        )
        raise ArtefactError(
            f"{path.parent}: {path.name} cannot be written: {told}; {advice}, and run again: what is finished stays"
        ) from error


def check_folder(folder: Path) -> None:
    """Check that files can be written into a folder, which is made if it is not there.

    Raises:
        ArtefactError: If they cannot.
    """
    probe = folder / f".{secrets.token_hex(8)}.tmp"
    with writable(folder / "a file"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(b"x")
        finally:
            probe.unlink(missing_ok=True)
