"""A whole run with frozen embeddings, and the share of a GPU that jobs ask for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from hypermix.classify.model import locate_model
from tests.workflow.conftest import Workspace

PROBE = {"method": "probe", "penalties": [1.0, 0.1]}


def test_probe_runs_from_rows_to_report(workspace: Workspace) -> None:
    workspace.config["augmenters"] = {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}}
    workspace.config["seeds"] = {"data": [1], "trials": [7]}
    workspace.config["classifiers"] = {"quick": PROBE}
    workspace.run("--resources", "gpu_mb=1000", "--set-resources", "train:gpu_mb=600")
    runs = pd.read_parquet(workspace.results() / "aggregate" / "runs.parquet")
    assert len(runs) == 2
    assert (runs["classifier"] == "quick").all()
    assert (runs["n_synthetic"] > 0).tolist() == (runs["augmenter"] == "duplicate").tolist()

    # What changes no result runs nothing again; a penalty does.
    workspace.config["offline"] = True
    assert "Nothing to be done" in workspace.run("--dry-run")
    workspace.config["classifiers"] = {"quick": {**PROBE, "penalties": [1.0]}}
    planned = workspace.run("--dry-run", "--quiet", "rules")
    assert "train" in planned
    assert "augment" not in planned


def test_all_files_that_an_encoder_is_read_from_are_tracked(workspace: Workspace, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(locate_model("package:minilm-l6"), tmp_path / "encoder"))
    for name in ("1_Pooling", "2_Normalize"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "config.json").write_text("{}")
    workspace.config["augmenters"] = {"none": {"method": "none"}}
    workspace.config["classifiers"] = {"quick": {**PROBE, "model": str(folder)}}
    planned = workspace.run("--dry-run")
    for name in ("config.json", "model.safetensors", "1_Pooling/config.json", "2_Normalize/config.json"):
        assert f"{folder}/{name}" in planned, name
