"""Ctrl-C in the middle of a stage, and a plain run after it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypermix import tables
from tests.workflow.conftest import Workspace


def test_ctrl_c_in_augment_loses_no_answer(slow_workspace: Workspace) -> None:
    workspace = slow_workspace
    workspace.config["augmenters"] = {"gpt3mix": workspace.config["augmenters"]["gpt3mix"]}
    workspace.config["subsample"]["train"] = ["6s"]
    workspace.config["seeds"]["data"] = [1]
    output = workspace.interrupt(lambda: len(workspace.answers()) >= 3, "--until", "augment")
    assert "interrupted; run again to go on" in output
    assert "Traceback" not in output
    kept = {path: path.stat().st_mtime_ns for path in workspace.answers()}
    assert len(kept) >= 3
    assert not list(workspace.results().rglob("synthetic.parquet"))
    workspace.run("--until", "augment")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    receipt = tables.read(workspace.results() / "receipts", "receipt").iloc[0]
    assert receipt["requests_replayed"] == len(kept)
    assert receipt["requests_paid"] == len(workspace.answers()) - len(kept)


def test_ctrl_c_in_train_is_made_good(workspace: Workspace) -> None:
    workspace.config["augmenters"] = {"none": {"method": "none"}}
    workspace.config["seeds"]["data"] = [1]
    workspace.config["classifiers"]["minilm"] |= {"model": "package:minilm-l6", "max_steps": 12, "validate_every": 1}
    log = workspace.results() / "logs" / "train"

    def is_training() -> bool:
        return any("step 2" in path.read_text(encoding="utf-8") for path in log.rglob("*.log"))

    workspace.interrupt(is_training, "--until", "train")
    assert not list((workspace.results() / "train").rglob("*.parquet"))
    workspace.run("--until", "train")
    undisturbed = _predictions(workspace)
    workspace.run("--until", "train", "--forcerun", "train")
    assert _predictions(workspace) == undisturbed


def _predictions(workspace: Workspace) -> dict[Path, str]:
    files = (workspace.results() / "train").rglob("predictions.parquet")
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
