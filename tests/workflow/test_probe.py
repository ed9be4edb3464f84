"""A whole run with frozen embeddings, and the share of a GPU that jobs ask for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from hypermix.classify.model import locate_model
from tests.workflow.conftest import Workspace

PROBE = {"method": "probe", "penalties": [1.0, 0.1]}


def test_probe_runs_from_rows_to_report(workspace: Workspace, tmp_path: Path) -> None:
    encoder = Path(shutil.copytree(locate_model("package:minilm-l6"), tmp_path / "encoder"))
    module = encoder / "2_Normalize"
    module.mkdir(exist_ok=True)
    (module / "config.json").write_text("{}")
    probe = {**PROBE, "model": str(encoder)}
    workspace.config["augmenters"] = {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}}
    workspace.config["seeds"] = {"data": [1], "trials": [7]}
    workspace.config["classifiers"] = {"quick": probe}
    workspace.run("--resources", "gpu_mb=1000", "--set-resources", "train:gpu_mb=600")
    runs = pd.read_parquet(workspace.results() / "aggregate" / "runs.parquet")
    assert len(runs) == 2
    assert (runs["classifier"] == "quick").all()
    assert (runs["n_synthetic"] > 0).tolist() == (runs["augmenter"] == "duplicate").tolist()

    # What changes no result runs nothing again; a penalty does, and so does a file of the encoder's last module.
    workspace.config["offline"] = True
    assert "Nothing to be done" in workspace.run("--dry-run")
    workspace.config["classifiers"] = {"quick": {**probe, "penalties": [1.0]}}
    planned = workspace.run("--dry-run", "--quiet", "rules")
    assert "train" in planned
    assert "augment" not in planned
    workspace.config["classifiers"] = {"quick": probe}
    (module / "config.json").write_text('{"dim": 1}')
    assert "train" in workspace.run("--dry-run", "--quiet", "rules")
