"""A stage that imports nothing, for the tests of what jobs share: it does what it is told, and tells who did it."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypermix.errors import DataError

IMPORTED = secrets.token_hex(8)
"""Another one for each import."""

SHARED = ("tabnanny",)
"""What a keeper imports beside this module: one that nothing else does."""


def run(act: str, out: Path, values: Mapping[str, Any] | None = None) -> None:
    """Write who works, then act."""
    told = {"pid": os.getpid(), "parent": os.getppid(), "imported": IMPORTED, "folder": str(Path.cwd())}
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    told["PWD"] = (getenv(b"PWD") or b"").decode()  # what a program would find that is started here
    opened = Path("/proc/self/fd")
    streams = [str((opened / str(number)).readlink()) for number in range(3)]
    handles = list(opened.iterdir())
    blocked = [number.name for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
    told["shared"] = SHARED[0] in sys.modules
    told |= {"streams": streams, "handles": len(handles), "blocked": blocked, "values": _shape(values)}
    fresh = out.with_suffix(".new")
    fresh.write_text(json.dumps(told), encoding="utf-8")
    fresh.replace(out)
    if act == "speak":
        logging.getLogger("hypermix.stand_in").info("in the log")
        sys.stdout.write("on standard output\n")
        sys.stderr.write("on standard error\n")
    elif act == "fail":
        raise DataError("toy.csv: has no rows; write some")
    elif act == "break":
        raise KeyError("lost")
    elif act == "stop":
        raise SystemExit(3)
    elif act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "wait":
        deadline = time.monotonic() + 60
        while not out.with_suffix(".go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)


def _shape(value: object) -> object:
    """Name the types of what came in, so that a path and its text differ."""
    if isinstance(value, Mapping):
        return {name: _shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return [type(value).__name__.removeprefix("Posix"), str(value)]
