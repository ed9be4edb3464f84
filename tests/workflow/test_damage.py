"""Files that cannot be written or are damaged, and a clock that was set back."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import Workspace


@pytest.fixture
def subsampled(tmp_path: Path) -> Workspace:
    """Return a study whose first two stages are made."""
    workspace = Workspace(tmp_path)
    workspace.config["seeds"]["data"] = [1]
    workspace.config["augmenters"] = {"none": {"method": "none"}}
    workspace.config["llms"] = {}
    workspace.run("--until", "subsample")
    return workspace


def test_table_cut_short_is_told_with_what_to_do(subsampled: Workspace) -> None:
    (cut,) = (subsampled.results() / "subsample").rglob("train.parquet")
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    told = subsampled.run("--until", "augment", fails=True)
    assert f"{cut.relative_to(subsampled.folder)}: cannot be read as Parquet" in told
    assert "delete it and run snakemake again" in told
    assert "Traceback" not in told
    cut.unlink()
    subsampled.run("--until", "augment")
    assert cut.read_bytes() == whole


def test_clock_set_back_makes_nothing_again(subsampled: Workspace) -> None:
    later = time.time() + 86_400
    files = [path for path in subsampled.results().rglob("*.parquet") if path.is_file()]
    files += list(subsampled.folder.glob("*.csv"))
    before = {path: path.read_bytes() for path in files}
    for path in files:
        os.utime(path, (later, later))
    told = subsampled.run("--until", "subsample")
    assert "rule subsample" not in told
    assert {path: path.stat().st_mtime for path in before} == dict.fromkeys(before, pytest.approx(later))
    told = subsampled.run("--until", "augment", fails=True)
    assert "could indicate a clock skew problem" in told
    for path in files:
        os.utime(path)
    assert "rule subsample" not in subsampled.run("--until", "augment")


def test_results_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.config |= {"augmenters": {"none": {"method": "none"}}, "llms": {}}
    workspace.results().mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(workspace.results())]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0  # root asks for no rights
    if not mounted:
        workspace.results().chmod(0o555)
    try:
        told = workspace.run(fails=True)
    finally:
        if mounted:
            subprocess.run(["umount", str(workspace.results())], check=True)
    assert "results: " in told
    assert "let it be written, or name another folder in the config" in told
    assert "Traceback" not in told
    assert "rule prepare" not in told
