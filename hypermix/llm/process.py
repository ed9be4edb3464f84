"""Who a process is, and whether it is alive, for processes that meet in one folder, perhaps of several machines.

A process of the same machine and process-id namespace is looked up by its id and its start time, since ids are given
anew.
"""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

_MAX_PID = 1 << 31


@functools.cache
def describe(pid: int) -> dict[str, object]:
    """Tell who this process is, by its id: a fork is another one."""
    return {"host": socket.gethostname(), "place": place(), "pid": pid, "born": born(pid)}


def place() -> str:
    """Name where process ids mean the same: a machine since it started, and a namespace of process ids.

    Containers may share the name of their host and have ids of their own.
    """
    names = [socket.gethostname()]
    try:
        names.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
        names.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - it points to no path
    except OSError:
        names.append("no /proc")
    return " ".join(names)


def is_alive(pid: object, begun: object) -> bool:
    """Tell whether a process lives, and is the one that was begun then.

    Args:
        pid: Its id, as a file tells it.
        begun: What `born` told of it, as a file tells it.
    """
    if not isinstance(pid, int) or not 0 < pid < _MAX_PID:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and is somebody else's
    return born(pid) in (None, begun)


def born(pid: int) -> str | None:
    """Tell when a process began, in the kernel's ticks; None where the system does not tell.

    An id that was given anew is then taken for the old process, and what it holds stays its own until that expires.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "dead" if fields[0] in {"Z", "X"} else fields[19]  # a zombie sends nothing any more
