"""Locks are forgotten when it is certain that nobody holds them, and else left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hypermix.steps.locks import OWNERS

ENTER = "import sys; from pathlib import Path; from hypermix.steps.locks import enter; "
TELL = "print(enter(Path(sys.argv[1]), 'results'), flush=True); "


def enter(folder: Path) -> str:
    """Enter from a process of its own that then ends."""
    done = subprocess.run([sys.executable, "-c", ENTER + TELL, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def living(folder: Path) -> Iterator[None]:
    """Have another run in the folder."""
    command = [sys.executable, "-c", ENTER + TELL + "sys.stdin.read()", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def lock(folder: Path, *files: str) -> Path:
    """Lock files as Snakemake does."""
    (folder / "locks").mkdir(exist_ok=True)
    made = folder / "locks" / "0.output.lock"
    made.write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    enter(tmp_path)
    return tmp_path


def test_lock_of_a_dead_run_is_forgotten(folder: Path) -> None:
    made = lock(folder, "results/train/a", "results/aggregate/verdict.json")
    assert enter(folder) == "True"
    assert not made.exists()
    assert enter(folder) == "False"


def test_lock_that_was_cut_by_the_kill_is_forgotten(folder: Path) -> None:
    made = lock(folder, "results/train/a")
    made.write_text(made.read_text(encoding="utf-8") + "resu", encoding="utf-8")
    assert enter(folder) == "True"


def test_lock_of_a_living_run_stays(folder: Path) -> None:
    with living(folder):
        made = lock(folder, "results/train/a")
        assert enter(folder) == "False"
        assert enter(folder) == "False"
        assert made.exists()
    assert enter(folder) == "True"


def test_lock_of_another_workflow_stays(folder: Path) -> None:
    made = lock(folder, "results/train/a", "elsewhere/b")
    assert enter(folder) == "False"
    assert made.exists()


def test_lock_of_another_machine_stays(folder: Path) -> None:
    made = lock(folder, "results/train/a")
    with (folder / OWNERS).open("a", encoding="utf-8") as owners:
        owners.write("another-machine\n")
    assert enter(folder) == "False"
    assert made.exists()
    made.unlink()
    assert enter(folder) == "False"  # nothing of it is left
    made = lock(folder, "results/train/a")
    assert enter(folder) == "True"


def test_lock_from_before_any_run_of_ours_stays(tmp_path: Path) -> None:
    made = lock(tmp_path, "results/train/a")
    assert enter(tmp_path) == "False"
    assert made.exists()
