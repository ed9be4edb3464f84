"""Texts that are rewritten by a model in a folder: the folder's files are inputs of the rule."""

from __future__ import annotations

from pathlib import Path

from hypermix import tables
from hypermix.files import read_provenance
from hypermix.hashing import file_digest
from tests.tiny_rewrite import save_masked_bert
from tests.workflow.conftest import Workspace


def test_new_weights_under_an_old_name_make_new_rows(tmp_path: Path) -> None:
    weights = save_masked_bert(tmp_path / "bert", {"good": 2.0}) / "model.safetensors"
    workspace = Workspace(tmp_path)
    workspace.config |= {
        "seeds": {"data": [1], "trials": [7]},
        "augmenters": {"eda": {"method": "eda"}, "masks": {"method": "contextual", "model": "bert"}},
    }
    workspace.run("--until", "augment")

    rows = tables.read(workspace.results() / "augment", "synthetic")
    assert {name: int(part["kept"].sum()) for name, part in rows.groupby("augmenter")} == {"eda": 6, "masks": 6}
    (made,) = (workspace.results() / "augment").rglob("augmenter=masks/**/synthetic.parquet")
    assert read_provenance(made)["rewriter"]["weights"] == {weights.name: file_digest(weights)}
    assert "augment mine" not in workspace.run("-n", "--until", "augment")

    save_masked_bert(tmp_path / "bert", {"dull": 2.0})
    planned = workspace.run("-n", "--until", "augment")
    assert "augment mine 3s with masks" in planned
    assert "with eda" not in planned
