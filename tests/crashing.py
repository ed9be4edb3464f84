"""Runs of the real workflow of which something is killed with SIGKILL, at a moment that a seed decides."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.conftest import Workspace

SPENT = {"history", "receipt", "costs", "report", "pareto"}
"""What tells times, or which answers were paid and which replayed: files that two equal studies differ in."""


@dataclass(frozen=True)
class Process:
    """A process that works in the folder of a study.

    Attributes:
        number: Its id.
        parent: That of its parent.
        command: Its command line.
    """

    number: int
    parent: int
    command: bytes


def processes(folder: Path) -> list[Process]:
    """List the processes that work in a folder, in the order of their ids."""
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError):  # it has ended
            if place.name.isdigit() and (place / "cwd").readlink() == folder:
                parent = int((place / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
                found.append(Process(int(place.name), parent, (place / "cmdline").read_bytes()))
    return sorted(found, key=lambda process: process.number)


def keepers(folder: Path) -> list[Process]:
    """List the keepers, of which jobs are forks."""
    named = {process.number: process for process in processes(folder) if b"hypermix.steps.keeper" in process.command}
    return [process for process in named.values() if process.parent not in named]


def jobs(folder: Path) -> list[Process]:
    """List the processes that do the work of a job: scripts, and what keepers forked."""
    own = {process.number for process in keepers(folder)}
    return [process for process in processes(folder) if process.parent in own or b"/scripts/" in process.command]


def servers(folder: Path) -> list[Process]:
    """List the embedded servers of language models."""
    return [process for process in processes(folder) if b"hypermix.llm.server" in process.command]


VICTIMS: dict[str, Callable[[Path], list[Process]]] = {"job": jobs, "keeper": keepers, "server": servers}


@dataclass
class Crashing:
    """A study that is run with something being killed.

    Args:
        workspace: Its workspace.
        seed: Decides which of several processes is killed.
    """

    workspace: Workspace
    seed: int = 1

    def __post_init__(self) -> None:
        self._generator = random.Random(self.seed)

    def run(self, victim: str, when: Callable[[], bool], *arguments: str) -> bool:
        """Run until a condition holds, kill, and wait for the end.

        Args:
            victim: ``all``, Snakemake with its jobs; ``snakemake``, it alone, and its jobs are not waited for; or one
                of `VICTIMS`, of which one process is killed.
            when: The condition.
            *arguments: Of snakemake.

        Returns:
            Whether something was killed.
        """
        workspace, killed = self.workspace, False
        with subprocess.Popen(
            workspace.command(*arguments),
            cwd=workspace.folder,
            env={**os.environ, **workspace.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            while not killed and process.poll() is None:
                if when():
                    killed = self._kill(victim, process.pid)
                time.sleep(0.02)
            process.wait(timeout=300)
        if victim != "snakemake":
            self._settle()
        return killed

    def _kill(self, victim: str, leader: int) -> bool:
        with suppress(ProcessLookupError):
            if victim == "all":
                os.killpg(leader, signal.SIGKILL)
                return True
            if victim == "snakemake":
                os.kill(leader, signal.SIGKILL)
                return True
            if found := VICTIMS[victim](self.workspace.folder):
                os.kill(self._generator.choice(found).number, signal.SIGKILL)
                return True
        return False

    def _settle(self) -> None:
        """Wait for what outlives Snakemake by a moment, such as a server that sees its pipe close."""
        deadline = time.monotonic() + 30
        while processes(self.workspace.folder) and time.monotonic() < deadline:
            time.sleep(0.05)


def digests(results: Path, without: Sequence[str] = ()) -> dict[str, str]:
    """Digest every result that two equal studies must have in common; a failed run's partial report is none."""
    skipped = SPENT | set(without)
    files = [path for path in results.rglob("*.*") if path.is_file() and path.suffix not in (".log", ".tmp")]
    lasting = [path for path in sorted(files) if path.relative_to(results).parts[0] != "partial"]
    kept = [path for path in lasting if not skipped & set(path.stem.split("_"))]
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
