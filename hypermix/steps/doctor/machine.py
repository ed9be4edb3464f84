"""What a run needs of the machine: Python, packages, torch, room on the disk."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hypermix.report.checkup import Finding

REQUIREMENTS = Path(__file__).parents[3] / "requirements"
"""Beside the library in a checkout; where it is installed as a package, they are not there."""

OLDEST = (3, 11)
_FEW_BYTES = 2_000_000_000
_TORCH_SECONDS = 60.0
_SHOWN = 3
_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*", re.MULTILINE)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)", re.MULTILINE)
_TORCH = """
import json, torch
gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
print(json.dumps([torch.__version__, gpu]))
"""


def check_python(running: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Check the version of Python.

    Args:
        running: The version's numbers.
    """
    told = ".".join(map(str, running))
    if running[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Finding("to do", "python", f"{told} is too old", f"install Python {oldest} or newer")
    return Finding("ok", "python", told)


def installed_version(name: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_packages(requirements: Path = REQUIREMENTS, find: Callable[[str], str | None] = installed_version) -> Finding:
    """Check that the packages of ``run.in`` are installed, at the versions of ``run.txt``.

    Args:
        requirements: The folder with both files.
        find: Tells the version of an installed package.
    """
    source = requirements / "run.in"
    if not source.is_file():
        return Finding("ok", "packages", "installed with the package itself; no list of requirements to compare with")
    names = _NAME.findall(source.read_text(encoding="utf-8"))
    pinned = requirements / "run.txt"
    pins = _read_pins(pinned.read_text(encoding="utf-8")) if pinned.is_file() else {}
    found = {name: find(name) for name in names}
    missing = [name for name, here in found.items() if here is None]
    install = f"pip install -r {requirements.name}/{pinned.name if pins else source.name}"
    if missing:
        return Finding("to do", "packages", f"{_list(missing)} not installed", install)
    other = [
        f"{name} {here} instead of {' or '.join(wanted)}"
        for name, here in found.items()
        if (wanted := pins.get(_plain_name(name))) and here not in wanted
    ]
    if other:
        return Finding("warning", "packages", f"other versions than the tested ones: {_list(other)}", install)
    return Finding("ok", "packages", f"{len(names)} installed{', at the pinned versions' if pins else ''}")


def _read_pins(text: str) -> dict[str, list[str]]:
    """Return the pinned versions of each package: some have one for each version of Python."""
    pins: dict[str, list[str]] = {}
    for name, pin in _PIN.findall(text):
        pins.setdefault(_plain_name(name), []).append(pin)
    return pins


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _list(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def check_torch(code: str = _TORCH) -> Finding:
    """Check that torch can be imported, in a process of its own, and tell the GPU that it sees.

    Args:
        code: Prints the version and the name of the GPU.
    """
    install = f"pip install -r {REQUIREMENTS.name}/torch.txt"
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=_TORCH_SECONDS
        )
        told, gpu = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return Finding("warning", "torch", f"was not imported in {_TORCH_SECONDS:.0f} s", "run this again")
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("to do", "torch", f"cannot be imported: {last}", install)
    seen = f"the GPU is {gpu}" if gpu else "no GPU is seen, so that models run on the CPU"
    return Finding("ok", "torch", f"{told}; {seen}")


def check_folder(
    what: str, folder: Path, room: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> Finding:
    """Check that a folder, or the nearest one above it that is there, can be written and has room.

    Args:
        what: Its key in the config.
        folder: It need not be there yet.
        room: Tells how many bytes are free.
    """
    there = next(path for path in _above(folder) if path.exists())
    about = f"folder {what}"
    try:
        with tempfile.TemporaryFile(dir=there):
            free = room(there)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Finding("to do", about, f"{there} cannot be written: {reason}", f"mend this, or set another {what}")
    told = f"{folder}: {free / 1e9:.1f} GB free"
    if free < _FEW_BYTES:
        return Finding("warning", about, told, "make room: a run keeps models, answers and rows there")
    return Finding("ok", about, told)


def _above(folder: Path) -> Iterator[Path]:
    absolute = folder.absolute()
    yield absolute
    yield from absolute.parents
