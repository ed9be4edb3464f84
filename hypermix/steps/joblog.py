"""What the log of a job tells of the job: whether it runs, or failed and why.

A job holds a lock of the kernel on its log for as long as it lives, which ends with its process however that ends; so
nothing is left behind that could be wrong. A job that failed says so in its last record. One that ended without either
was stopped, and its result is missing.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

FAILED = "failed: "
"""What stands before the error that ended a job."""

_TAIL_BYTES = 1 << 16
_TRIES = 20
_PAUSE = 0.005
_FRESH = 600.0
"""Seconds for which a log without a lock counts as that of a job at work, where the file system has no locks."""

_RECORD = re.compile(r"\d\d:\d\d:\d\d ")
_ERROR = re.compile(rf"^(?:\d\d:\d\d:\d\d )?{FAILED}", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class JobLog:
    """What a log tells.

    Attributes:
        running: Whether its job is at work.
        error: The error that ended it; None if it did not fail.
        last: Its last line without the time.
        time: When it was written last, in seconds since 1970.
    """

    running: bool
    error: str | None
    last: str
    time: float


def hold(log: TextIO) -> None:
    """Hold the log of this process's job until the process ends; where files cannot be locked, do nothing.

    Args:
        log: The open file.
    """
    for _ in range(_TRIES):
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_PAUSE)  # somebody looks whether it is held, which takes microseconds
        except OSError:
            return


def read_log(path: str) -> JobLog | None:
    """Read the log of a job; None if there is none.

    Args:
        path: The log.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        held, state = _is_held(handle), os.fstat(handle)
        # Read after the look at the lock: what a job says at its end is there when it has ended.
        tail = os.pread(handle, _TAIL_BYTES, max(0, state.st_size - _TAIL_BYTES)).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(handle)
    error = None if held else _find_error(tail)
    fresh = held is None and error is None and time.time() - state.st_mtime < _FRESH
    return JobLog(bool(held) or fresh, error, _last_line(tail), state.st_mtime)


def _is_held(handle: int) -> bool | None:
    """Tell whether a job holds its log; None where the file system cannot tell."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)
    return False


def _find_error(tail: str) -> str | None:
    """Return the error that a log ends with: of a traceback its first and its last line."""
    found = list(_ERROR.finditer(tail))
    if not found:
        return None
    error = tail[found[-1].end() :].strip()
    if _TRACEBACK in error:
        lines = error.splitlines()
        return f"{lines[0]}: {lines[-1]}"
    return error


def _last_line(tail: str) -> str:
    lines = tail.strip().splitlines()
    return _RECORD.sub("", lines[-1], count=1) if lines else ""
