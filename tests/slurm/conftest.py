"""A SLURM of one node, and studies that run on it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crashing import digests
from tests.workflow.conftest import ROOT, Workspace, bert, cache, gemma, make_workspace

__all__ = ["bert", "cache", "gemma"]

HERE = Path(__file__).parent
SLURM = [
    *("--profile", str(ROOT / "profiles" / "slurm"), "--workflow-profile", "none"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"),
    *("--slurm-keep-successful-logs", "--latency-wait", "15"),
]
"""The profile that ships, on a cluster without accounting; and no long waits."""


@pytest.fixture(scope="session", autouse=True)
def slurm() -> Iterator[None]:
    """Start SLURM and stop it again, whatever happens."""
    # Whoever ends the tests gets back the machine as it was.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Not below pytest's folder, whose path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        try:
            subprocess.run(["bash", str(HERE / "slurm_up.sh"), folder], check=True, timeout=300)
            yield
        finally:
            subprocess.run(["bash", str(HERE / "slurm_down.sh"), folder], check=True, timeout=60)


class Study(Workspace):
    """A workspace whose jobs run on SLURM."""

    def on_slurm(self, *arguments: str) -> list[str]:
        """Return the command line of a run on SLURM, which has no --cores."""
        command = self.command(*SLURM, *arguments)
        cores = command.index("--cores")
        return command[:cores] + command[cores + 2 :]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a run on SLURM."""
        path = os.pathsep.join([str(HERE / "often"), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            self.on_slurm(*arguments),
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def submit(self, *arguments: str, fails: bool = False) -> str:
        """Run on SLURM and return all that was printed."""
        with self.start(*arguments) as process:
            try:
                told, _ = process.communicate(timeout=300)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert (process.returncode != 0) == fails, told
        return told


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, gemma: Path, bert: Path) -> dict[str, str]:
    """Return the digests of the study's results from a run on this machine."""
    study = make_study(tmp_path_factory.mktemp("here"), gemma, bert)
    study.run()
    return digests(study.results())


@pytest.fixture
def study(tmp_path: Path, gemma: Path, bert: Path) -> Study:
    """Return a study of one draw, none and two rows of the language model."""
    return make_study(tmp_path, gemma, bert)


def make_study(folder: Path, gemma: Path, bert: Path) -> Study:
    """Make a study of one draw, none and rows of the language model."""
    workspace = make_workspace(folder, gemma, bert)
    study = Study(folder, workspace.config)
    del study.config["augmenters"]["duplicate"]
    study.config["seeds"]["data"] = [1]
    return study


def jobs(since: int = 0) -> list[dict[str, str]]:
    """List SLURM's jobs with what they asked for, the ended ones too, in the order of their ids."""
    told = query("scontrol", "--oneliner", "show", "job")
    found = [
        dict(part.split("=", 1) for part in line.split() if "=" in part)
        for line in told.splitlines()
        if "JobId=" in line
    ]
    return sorted((job for job in found if int(job["JobId"]) > since), key=lambda job: int(job["JobId"]))


def query(*command: str) -> str:
    """Ask SLURM."""
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def last_job() -> int:
    """Return the id of the youngest job; 0 if there is none yet."""
    return max((int(job["JobId"]) for job in jobs()), default=0)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
