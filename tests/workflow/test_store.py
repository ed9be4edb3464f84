"""Runs without a network: the request store alone, exported and imported."""

from __future__ import annotations

from pathlib import Path

from hypermix import tables
from hypermix.cli import main
from tests.workflow.conftest import Workspace


def test_results_are_made_again_offline_from_an_exported_store(workspace: Workspace, tmp_path: Path) -> None:
    workspace.config["augmenters"] = {"gpt3mix": workspace.config["augmenters"]["gpt3mix"]}
    workspace.config["seeds"]["data"] = [1]
    workspace.run("--until", "augment")
    (synthetic,) = workspace.results().rglob("synthetic.parquet")
    first = synthetic.read_bytes()
    cache = workspace.folder / "cache"
    assert main(["cache", "export", str(tmp_path / "all.parquet"), "--cache", str(cache)]) == 0
    (cache / "requests").rename(tmp_path / "away")
    workspace.config["offline"] = True
    workspace.run("--until", "augment")  # the setting changes no result, so nothing is made again
    assert synthetic.read_bytes() == first

    told = workspace.run("--until", "augment", "--forcerun", "augment", fails=True)
    assert "offline: the answer to request " in told
    assert "is not stored in cache/requests; set offline: false, or import a store that has it" in told
    assert "Traceback" not in told
    assert not (cache / "requests").exists()

    assert main(["cache", "import", str(tmp_path / "all.parquet"), "--cache", str(cache)]) == 0
    workspace.run("--until", "augment")
    assert synthetic.read_bytes() == first
    receipt = tables.read(workspace.results() / "receipts", "receipt").iloc[0]
    assert (receipt["requests_paid"], receipt["requests_unknown"]) == (0, 0)
    assert receipt["requests_replayed"] == len(workspace.answers()) > 0
