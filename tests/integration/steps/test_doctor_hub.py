"""What `hypermix doctor` finds of the hub, in processes of their own: its library reads the environment on import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.architecture.source import ROOT
from tests.hub import Repository, hub

MINI = {"none": {"method": "none"}}

HUB = """
import json, sys
from pathlib import Path
from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.data.hub import open_hub
from hypermix.steps.doctor.sources import check_classifier, check_dataset
config = load_config(json.loads(sys.stdin.read()))
for name in sys.argv[1:]:
    open_hub(json.loads(experiment.prepare_slice(config, name))["dataset"])
found = [check_dataset(config, name) for name in config.datasets]
found += [check_classifier(config, name) for name in config.classifiers]
print(json.dumps([[one.level, one.about, one.told, one.todo] for one in found]))
"""


def ask_of_hub(folder: Path, *prepared: str, **environment: str) -> dict[str, tuple[str, str]]:
    names = {"there": "acme/reviews", "gone": "acme/none", "barred": "acme/gated", "odd": "acme/broken"}
    raw: dict[str, Any] = {
        "datasets": {name: {"source": "hub", "path": path} for name, path in names.items()},
        "classifiers": {f"c-{name}": {"method": "finetune", "model": path} for name, path in names.items()},
        "augmenters": MINI,
    }
    raw["datasets"]["branch"] = {"source": "hub", "path": "acme/reviews", "revision": "no-such-branch"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    settings = {"HF_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(
        [sys.executable, "-c", HUB, *prepared], input=json.dumps(raw), env={**kept, **settings}, cwd=folder,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {about: (level, f"{told}; {todo}") for level, about, told, todo in json.loads(done.stdout)}


def test_hub_is_asked_and_nothing_is_downloaded(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "train.csv": b"text,label\ndull,0\n"}
    repositories = {
        "acme/reviews": Repository(files),
        "acme/gated": Repository(files, token="hf_other", access="gated"),
        "acme/broken": Repository(files, faults={"broken": 503}),
    }
    with hub(repositories) as running:
        found = ask_of_hub(tmp_path, HF_ENDPOINT=running.url)
        assert running.asked("resolve") == 0
    for prefix in ("dataset ", "classifier c-"):
        assert found[f"{prefix}there"][0] == "ok"
        assert "the hub shows it" in found[f"{prefix}there"][1]
        assert found[f"{prefix}gone"][0] == "to do"
        assert "the hub shows no such" in found[f"{prefix}gone"][1]
        assert found[f"{prefix}odd"] == (
            "to do", "acme/broken: the hub answers with status 503; wait and try again"
        )  # fmt: skip
    assert found["dataset branch"][0] == "to do"
    assert "has no revision 'no-such-branch'" in found["dataset branch"][1]


def test_prepared_dataset_needs_no_hub(tmp_path: Path) -> None:
    files = {"train.csv": b"text,label\ndull,0\n", "test.csv": b"text,label\nfine,1\n"}
    repository = Repository(files)
    with hub({"acme/reviews": repository}) as running:
        ask_of_hub(tmp_path, "there", HF_ENDPOINT=running.url)
    found = ask_of_hub(tmp_path, HF_HUB_OFFLINE="1")
    commit = repository.commit()[:8]
    assert found["dataset there"] == ("ok", f"acme/reviews is prepared on this machine, commit {commit}; ")
    for about in ("dataset gone", "classifier c-there"):
        assert found[about][0] == "to do"
        assert "HF_HUB_OFFLINE keeps the hub from being asked; unset it" in found[about][1]


def test_without_the_hub_each_line_says_so(tmp_path: Path) -> None:
    found = ask_of_hub(tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert len(found) == 9
    for level, text in found.values():
        assert level == "to do"
        assert "the hub cannot be reached; check network and proxy" in text


def test_a_cached_model_without_a_commit_is_told_which_to_write(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "home" / "hub" / "models--acme--reviews"
    for file, content in ((f"snapshots/{commit}/config.json", "{}"), ("refs/main", commit)):
        (cached / file).parent.mkdir(parents=True)
        (cached / file).write_text(content, encoding="utf-8")
    found = ask_of_hub(tmp_path, HF_HUB_OFFLINE="1")
    assert found["classifier c-there"] == (
        "warning",
        "acme/reviews is in the cache of the hub; another machine may get another commit; "
        f"write revision: {commit} beside it",
    )
