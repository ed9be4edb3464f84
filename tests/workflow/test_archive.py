"""A study in one file: run again elsewhere, by its own program, without network and key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
import yaml

from hypermix.cli import main
from tests.crashing import digests
from tests.endpoint import VARIABLE, hosted, write
from tests.loopback import loopback
from tests.workflow.conftest import Workspace
from tests.workflow.test_secrets import KEY_FILE, KEYS, find_secret

MIX = {"method": "gpt3mix", "llm": "far", "examples": 4, "max_tokens": 40, "labels": "hard", "label_source": "hard"}
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


def make_study(folder: Path, bert: Path) -> Workspace:
    """Run a study that asks an endpoint, and has its model in its own folder; the endpoint is gone afterwards."""
    folder.mkdir()
    shutil.copytree(bert, folder / "models" / "tiny")
    (folder / KEY_FILE).write_text(f"{KEYS['file']}\n", encoding="utf-8")
    workspace = Workspace(folder, environment={VARIABLE: KEYS["env"]})
    config = workspace.config
    config |= {"budget": {"requests": 1000}, "quality": {"model": "models/tiny"}}
    config["seeds"]["data"] = [1]
    config["augmenters"] = {"none": {"method": "none"}, "mix": MIX}
    config["classifiers"]["minilm"]["model"] = "models/tiny"
    with loopback() as endpoint:
        endpoint.decide = write
        other = {**hosted(endpoint.base_url, "other", "chat"), "key": {"file": KEY_FILE}}
        config["llms"] = {"far": hosted(endpoint.base_url, "writer"), "other": other}
        workspace.run()
    return workspace


def without_network() -> list[str]:
    """Return what a command begins with that runs without any network, where this system lets it."""
    wall = ["unshare", "--map-root-user", "--net"]
    usable = shutil.which(wall[0]) and subprocess.run([*wall, "true"], capture_output=True, check=False).returncode == 0
    return wall if usable else []


def run_again(folder: Path, home: Path) -> str:
    """Run the workflow of an unpacked study with its own library, in an environment that holds nothing else."""
    fonts = {"MPLCONFIGDIR": mpl.get_cachedir()}  # to look for fonts anew takes seconds
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(folder), **fonts, **OFFLINE}
    command = [*without_network(), sys.executable, "-m", "snakemake", "--cores", "2"]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_study_runs_again_elsewhere(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_study(tmp_path / "here", bert)
    monkeypatch.chdir(workspace.folder)
    monkeypatch.setenv(VARIABLE, KEYS["env"])
    assert main(["archive", "tiny.yaml", "--out", "one.zip"]) == 0
    assert "Not in it" not in capsys.readouterr().out
    assert main(["archive", "tiny.yaml", "--out", "two.zip"]) == 0
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    shutil.move("one.zip", tmp_path)
    capsys.readouterr()
    assert main(["unpack", str(tmp_path / "one.zip"), str(elsewhere)]) == 0
    told = capsys.readouterr().out
    assert "files are not those of this HyperMix" not in told

    assert find_secret(elsewhere) == []
    kept = yaml.safe_load((elsewhere / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert (kept["offline"], "budget" in kept, "key" in kept["llms"]["other"]) == (True, False, False)
    manifest = json.loads((elsewhere / "archive.json").read_text(encoding="utf-8"))
    # No row is made from the two requests of the probe, but from what they found.
    assert manifest["answers"] == len(list((elsewhere / "cache").rglob("*.json.gz"))) == len(workspace.answers()) - 1
    assert manifest["seeds"] == {"data": [1], "trials": [7]}
    assert "torch" in manifest["packages"]

    workspace.folder.rename(tmp_path / "gone")
    assert main(["compare", str(elsewhere)]) == 1  # nothing is made yet
    told = run_again(elsewhere, tmp_path)
    assert "augment mine 3s with mix" in told
    assert digests(elsewhere / "results") == digests(tmp_path / "gone" / "results")
    capsys.readouterr()
    assert main(["compare", str(elsewhere)]) == 0
    assert "are the same, byte for byte" in capsys.readouterr().out
    runs = elsewhere / "results" / "aggregate" / "runs.parquet"
    runs.write_bytes(b"other")
    assert main(["compare", str(elsewhere)]) == 1
    assert "runs.parquet: other" in capsys.readouterr().out
