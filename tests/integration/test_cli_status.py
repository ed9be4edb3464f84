"""`hypermix status` and `hypermix partial` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.cli import main
from hypermix.steps.joblog import FAILED

CONFIG: dict[str, Any] = {
    "datasets": {"toy": {"source": "file", "train": "rows.csv"}},
    "subsample": {"train": ["2s"], "validation": "2s", "test": None},
    "seeds": {"data": [1, 2], "trials": [7]},
    "augmenters": {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}},
    "classifiers": {"minilm": {"method": "finetune"}},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a config in an empty folder; the terminal has 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    path = Path("config/config.yaml")
    path.parent.mkdir()
    path.write_text(json.dumps(CONFIG), encoding="utf-8")  # JSON is YAML
    return path


def fail(results: str) -> None:
    log = Path(results, "logs", "prepare", "dataset=toy.log")
    log.parent.mkdir(parents=True)
    log.write_text(f"12:00:00 {FAILED}rows.csv: \x1b[2Jno column 'text'\n", encoding="utf-8")


def test_status_before_the_first_run(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "results: 0 of 4 runs are done." in out
    assert not Path("results").exists()  # nothing is written


def test_failed_job_is_an_answer_of_no(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fail("results")
    assert main(["status"]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "rows.csv: [2Jno column 'text'" in " ".join(out.split())


def test_status_for_machines(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fail("results")
    assert main(["status", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {one["stage"]: one["waiting"] for one in told["stages"]}["evaluate"] == 4
    assert [(job["stage"], job["keys"]) for job in told["failed"]] == [("prepare", {"dataset": "toy"})]


def test_overlay_is_laid_over(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("more.yaml").write_text('{"results": "other", "seeds": {"data": [1]}}', encoding="utf-8")
    fail("results")
    assert main(["status", str(config), "more.yaml"]) == 0
    assert "other: 0 of 2 runs are done." in capsys.readouterr().out


def test_wrong_config_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(json.dumps({**CONFIG, "augmenters": {"none": {"method": "nothing"}}}), encoding="utf-8")
    for command in ("status", "partial"):
        assert main([command]) == 1
        assert "augmenters.none.method" in capsys.readouterr().err


def test_partial_tells_what_is_missing_and_where_the_report_is(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fail("results")
    assert main(["partial"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("This report is partial: 0 of 4 runs are there")
    assert "prepare failed for toy: rows.csv" in out
    assert "\x1b" not in out
    assert out.rstrip().endswith("Report of the runs so far: results/partial/report.html")
    assert Path("results/partial/report.html").is_file()
