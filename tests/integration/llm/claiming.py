"""What tests do with claims of requests."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypermix.llm.claim import Claim, take
from hypermix.llm.process import place

KEY = "ab" * 32


def nothing() -> str | None:
    return None


def claim(
    root: Path, stored: Callable[[], str | None] = nothing, lifetime: float = 60.0, *, remembers: bool = False
) -> Claim:
    found = take(root, stored, lifetime, remembers=remembers)
    assert isinstance(found, Claim)
    return found


def leave(root: Path) -> None:
    """Claim and lose it."""
    with claim(root):
        pass


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.parent.iterdir())


def token(path: Path) -> str:
    return str(json.loads(path.read_bytes())["token"])


def write_claim(path: Path, mark: str = "0123456789abcdef", expires: float | None = None, **owner: Any) -> None:
    """Write the claim of another process: of this machine and dead, unless told otherwise."""
    described = {"host": socket.gethostname(), "place": place(), "pid": dead_pid(), "born": "1", **owner}
    now = time.time()
    told = {"token": mark, "owner": described, "started": now, "expires": now + 60 if expires is None else expires}
    path.write_text(json.dumps(told), encoding="utf-8")


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def is_waiting(root: Path, seconds: float = 0.3) -> bool:
    """Tell whether a claim is respected, and end the wait by an answer."""
    until = time.monotonic() + seconds
    found = take(root, lambda: "answer" if time.monotonic() > until else None, 60.0)
    if isinstance(found, Claim):
        with found:
            found.withdraw()
        return False
    return found == "answer"
