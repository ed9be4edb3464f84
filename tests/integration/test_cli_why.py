"""`hypermix why` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.cli import main
from hypermix.config.load import load_config
from tests.integration.steps.stub_files import write_all

CONFIG: dict[str, Any] = {
    "datasets": {"toy": {"source": "file", "train": "rows.csv"}},
    "subsample": {"train": ["2s"]},
    "seeds": {"data": [1], "trials": [7]},
    "augmenters": {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}},
    "classifiers": {"minilm": {"method": "finetune"}},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the config of an experiment that is finished; the terminal has 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("rows.csv").write_text("text,label\n", encoding="utf-8")
    path = Path("config/config.yaml")
    path.parent.mkdir()
    path.write_text(json.dumps(CONFIG), encoding="utf-8")  # JSON is YAML
    write_all(load_config(CONFIG))
    return path


def test_nothing_to_do(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why"]) == 0
    assert capsys.readouterr().out == "results: nothing would run; all 11 jobs are done with these settings.\n"


def test_an_overlay_is_told_by_its_key(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("more.yaml").write_text('{"classifiers": {"minilm": {"batch_size": 8}}}', encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    assert main(["why", str(config), "more.yaml"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "results: 5 of 11 jobs would run.",
        "train, 2 jobs: classifiers.minilm.batch_size 32 → 8",
        "evaluate, 2 jobs: after train",
        "aggregate, 1 job: after evaluate",
    ]
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before  # nothing is written


def test_machines_are_told_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(json.dumps({**CONFIG, "quality": {"rows": 500}}), encoding="utf-8")
    assert main(["why", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert told["jobs"] == {"quality": 2, "aggregate": 1}
    assert told["groups"][0] == {
        "stage": "quality",
        "jobs": 2,
        "kind": "settings",
        "shared": {},
        "changes": [{"key": "quality.rows", "old": "1000", "new": "500"}],
        "files": [],
        "after": [],
    }


def test_a_wrong_config_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(json.dumps({**CONFIG, "augmenters": {"none": {"method": "nothing"}}}), encoding="utf-8")
    assert main(["why"]) == 1
    assert "augmenters.none.method" in capsys.readouterr().err
