"""A run in which jobs fail: what `hypermix status` tells, the partial report, and what the workflow says at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pandas as pd

from hypermix import tables
from tests.workflow.conftest import Workspace

BROKEN = {"method": "finetune", "model": "./broken", "batch_size": 4, "max_steps": 2}


def hypermix(workspace: Workspace, *words: str, status: int = 0) -> str:
    """Run the command as a user does, in the folder of the experiment."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from hypermix.cli import main; sys.exit(main())", *words, "tiny.yaml"],
        cwd=workspace.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def look(workspace: Workspace, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hypermix(workspace, "status", "--json", status=status))
    return found


def counts(told: dict[str, Any], state: str) -> dict[str, int]:
    return {one["stage"]: one[state] for one in told["stages"] if one[state]}


def test_failed_runs_leave_a_status_and_a_report(workspace: Workspace) -> None:
    """A model whose weights are no weights fails in `train`; all other runs go on."""
    workspace.config["augmenters"] = {"none": {"method": "none"}}
    workspace.config["classifiers"]["minilm"]["max_steps"] = 2
    workspace.config["classifiers"]["broken"] = dict(BROKEN)
    workspace.config["only"] = [{"classifier": "minilm"}, {"classifier": "broken", "data_seed": 1}]
    model = workspace.folder / "broken"
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    output = workspace.run("--keep-going", fails=True)

    told = look(workspace, status=1)
    done = {"prepare": 1, "subsample": 2, "augment": 2, "quality": 2, "train": 2, "evaluate": 2}
    assert counts(told, "done") == done
    assert counts(told, "failed") == {"train": 1}
    assert counts(told, "held") == {"evaluate": 1}
    assert not told["stale"]
    (failed,) = told["failed"]
    assert failed["keys"] == {
        "dataset": "mine",
        "subsample": "3s",
        "data_seed": 1,
        "augmenter": "none",
        "classifier": "broken",
        "trial": 7,
    }
    assert "broken" in failed["told"]
    assert (workspace.folder / failed["log"]).is_file()

    report = workspace.results() / "partial" / "report.html"
    assert "This report is partial: 2 of 3 runs are there" in output
    assert f"Report of the runs so far: {report.relative_to(workspace.folder)}" in output
    assert "mine, 3s, none, broken: its one run is missing." in report.read_text(encoding="utf-8")
    runs = tables.read(workspace.results() / "partial" / "runs.parquet", "runs")
    assert runs["classifier"].tolist() == ["minilm"] * 2
    assert not (workspace.results() / "aggregate").exists()

    written = report.read_bytes()
    hypermix(workspace, "partial")
    assert report.read_bytes() == written

    workspace.config["only"] = [{"classifier": "minilm"}]
    del workspace.config["classifiers"]["broken"]
    workspace.run()
    whole = look(workspace)
    assert counts(whole, "done") == {**done, "aggregate": 1}
    made = tables.read(workspace.results() / "aggregate" / "runs.parquet", "runs")
    pd.testing.assert_frame_equal(made, runs)


def test_status_is_told_while_it_runs(workspace: Workspace) -> None:
    workspace.config["augmenters"] = {"none": {"method": "none"}}
    workspace.config["seeds"]["data"] = [1]
    # So many that it is not over before somebody has looked, whatever else the machine does.
    workspace.config["classifiers"]["minilm"] |= {"min_steps": 100_000, "max_steps": 100_000, "validate_every": 1}
    seen: list[dict[str, Any]] = []

    def is_training() -> bool:
        if any(path.stat().st_size for path in (workspace.results() / "logs" / "train").rglob("*.log")):
            seen.append(look(workspace))
        return bool(seen)

    workspace.kill(is_training)
    assert counts(seen[-1], "running") == {"train": 1}
    assert seen[-1]["running"][0]["keys"]["classifier"] == "minilm"
    killed = look(workspace)
    assert counts(killed, "running") == {}
    assert [job["stage"] for job in killed["stopped"]] == ["train"]
