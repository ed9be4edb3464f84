"""The locks of a Snakemake that was killed: forgotten when it is certain that it is gone.

Snakemake's own lock is a list of files without an owner, so a killed run leaves one that a person must remove. Each run
of this workflow therefore holds a lock of the kernel as well, which ends with its process however that ends. Whoever
gets it alone knows that no run of this machine is alive in the folder. Where that is not certain (another machine ran
here too, another workflow's files, a file system without locks) nothing is removed, and Snakemake says what to type.
"""

from __future__ import annotations

import fcntl
import os
import platform
from contextlib import suppress
from pathlib import Path

OWNERS = "hypermix.owners"
"""The file in Snakemake's folder that runs hold; it names the machines that they were on."""

_MOST = 1 << 16
_HELD: list[int] = []
"""Of this process; the kernel lets go of them when it ends."""


def enter(folder: Path, results: str) -> bool:
    """Hold a working folder together with other runs, and forget what killed ones have locked.

    Args:
        folder: Snakemake's own folder, ``.snakemake``.
        results: The folder of results, as it stands in the names of files.

    Returns:
        Whether a lock was forgotten.
    """
    try:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder / OWNERS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        return False  # a folder that cannot be written has no lock either
    _HELD.append(handle)
    with suppress(OSError):  # a file system without locks
        return _is_alone(handle) and _forget(handle, folder / "locks", results)
    return False


def _is_alone(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        fcntl.flock(handle, fcntl.LOCK_SH)  # others hold it so, or look for a moment whether they are alone
        _add_machine(handle)
        return False


def _forget(handle: int, locks: Path, results: str) -> bool:
    """Remove locks of which no owner is alive, then let others in."""
    try:
        left = sorted(locks.glob("*.lock")) if locks.is_dir() else []
        dead = bool(left) and _machines(handle) == {_machine()} and _are_ours(left, results)
        if dead:
            for lock in left:
                lock.unlink(missing_ok=True)
        if dead or not left:
            os.ftruncate(handle, 0)  # whoever ran elsewhere left nothing
        _add_machine(handle)
        return dead
    finally:
        fcntl.flock(handle, fcntl.LOCK_SH)


def _are_ours(locks: list[Path], results: str) -> bool:
    """Tell whether all that the locks protect lies in the folder of results, so that it is this workflow's."""
    made = [lock.read_text(encoding="utf-8", errors="replace") for lock in locks if lock.name.endswith(".output.lock")]
    # A kill may have cut the last line.
    return all(line.startswith(f"{results}/") for text in made for line in text.split("\n")[:-1])


def _machine() -> str:
    return platform.node() or "unknown"


def _machines(handle: int) -> set[str]:
    return set(os.pread(handle, _MOST, 0).decode("utf-8", "replace").split("\n")) - {""}


def _add_machine(handle: int) -> None:
    if _machine() not in _machines(handle):
        os.pwrite(handle, f"{_machine()}\n".encode(), os.fstat(handle).st_size)
