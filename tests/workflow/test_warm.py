"""The jobs of a run share what they import, and nothing is left of it afterwards."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.workflow.conftest import Workspace

KEEPER = b"hypermix.steps.keeper"
SECONDS = 20.0


def processes(folder: Path, word: bytes) -> dict[int, int]:
    """Find the processes that work in a folder and have a word in their command, with their parents.

    Only leaders of a group, as keepers and their children are: a package may call a program while it is imported.
    """
    found = {}
    for process in Path("/proc").iterdir():
        try:
            at_work = process.name.isdigit() and (process / "cwd").readlink() == folder
            if at_work and word in (process / "cmdline").read_bytes():
                stat = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                if stat[2] == process.name:
                    found[int(process.name)] = int(stat[1])
        except OSError:
            continue  # it has ended
    return found


@contextmanager
def watching(folder: Path, word: bytes) -> Iterator[dict[int, int]]:
    """Collect such processes for a while."""
    seen: dict[int, int] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            seen.update(processes(folder, word))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def none_left(folder: Path) -> bool:
    """Wait until no keeper and no child of one works in a folder."""
    deadline = time.monotonic() + SECONDS
    while processes(folder, KEEPER) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes(folder, KEEPER)


def predictions(workspace: Workspace) -> dict[Path, str]:
    files = (workspace.results() / "train").rglob("predictions.parquet")
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def shrink(workspace: Workspace) -> None:
    workspace.forks = False  # the keepers of a run are its own
    workspace.config["augmenters"] = {"none": {"method": "none"}}
    workspace.config["classifiers"]["minilm"] |= {"model": "package:minilm-l6", "max_steps": 2}


def children(seen: dict[int, int]) -> tuple[int, int]:
    """Count the keepers that worked, and their children."""
    keepers = {parent for parent in seen.values() if parent in seen}
    return len(keepers), sum(parent in keepers for parent in seen.values())


def grouped(trainings: list[Path]) -> list[str]:
    """Word what a cluster runs for a group of these trainings."""
    keys = [[part for part in path.parts if "=" in part] for path in trainings]
    targets = [f"train:{','.join(key)}" for key in keys]
    remote = ["--mode", "remote", "--no-hooks", "--nolock", "--ignore-incomplete", "--allowed-rules", "train"]
    return [*remote, "--local-groupid", "some-group", "--target-jobs", *targets]


def test_trainings_are_children_of_one_process_and_give_the_same_bytes(workspace: Workspace) -> None:
    shrink(workspace)
    with watching(workspace.folder, KEEPER + b"\0hypermix.steps.train") as seen:
        workspace.run("--until", "train")
    assert children(seen) == (1, 2)
    assert none_left(workspace.folder)
    shared = predictions(workspace)
    assert len(shared) == 2
    with watching(workspace.folder, KEEPER) as seen:
        workspace.run("--until", "train", "--forcerun", "train", "--no-hooks")
    assert not seen
    assert predictions(workspace) == shared
    with watching(workspace.folder, KEEPER + b"\0hypermix.steps.train") as seen:
        workspace.run(*grouped(list(shared)))
    assert children(seen) == (1, 2)
    assert none_left(workspace.folder)
    assert predictions(workspace) == shared


def test_nothing_is_left_when_all_is_killed(workspace: Workspace) -> None:
    shrink(workspace)
    workspace.config["classifiers"]["minilm"] |= {"model": "package:minilm-l6", "max_steps": 50, "validate_every": 1}
    logs = workspace.results() / "logs" / "train"

    def is_training() -> bool:
        return any("step 2" in path.read_text(encoding="utf-8") for path in logs.rglob("*.log"))

    workspace.kill(is_training, "--until", "train")
    assert none_left(workspace.folder)


def test_dry_run_starts_nothing(workspace: Workspace) -> None:
    shrink(workspace)
    with watching(workspace.folder, KEEPER) as seen:
        workspace.run("--dry-run")
    assert not seen
