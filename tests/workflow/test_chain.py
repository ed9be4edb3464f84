"""One tiny experiment through every rule, the embedded server and the packaged models."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from hypermix import tables
from hypermix.files import read_provenance
from hypermix.report.outputs import FIGURE_NAMES, TABLE_NAMES, file_outputs
from hypermix.steps.artefacts import FRAMES
from tests.workflow.conftest import ROOT, Workspace, make_workspace

SIZE = "2s"
N_CELLS = 2 * 3  # data seeds, augmenters
OWN_REPORT = [*(f"{name}.svg" for name in FIGURE_NAMES), *(f"{name}.csv" for name in TABLE_NAMES)]
"""What stands in Snakemake's own report beside ours."""


def small(workspace: Workspace) -> Workspace:
    """Have the language model write few rows."""
    workspace.config["subsample"]["train"] = [SIZE]
    return workspace


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, gemma: Path) -> tuple[Workspace, str]:
    workspace = small(make_workspace(tmp_path_factory.mktemp("first"), gemma))
    workspace.forks = False  # once all as a user runs it
    return workspace, workspace.run()


def test_every_artefact_is_made(finished: tuple[Workspace, str]) -> None:
    results = finished[0].results()
    counts = {
        "train": N_CELLS,
        "evaluate": N_CELLS,
        "confusion": N_CELLS,
        "calibration": N_CELLS,
        "augment": N_CELLS,
        "quality": N_CELLS,
        "receipts": N_CELLS,
        "subsample": 2,
        "prepare": 1,
    }
    for stage, wanted in counts.items():
        files = list((results / stage).rglob("*.parquet"))
        per_cell = {"train": 2, "subsample": 3, "prepare": 5}.get(stage, 1)
        assert len(files) == wanted * per_cell, stage
        assert all(read_provenance(file)["slices"] for file in files)
    made = {path.name for path in (results / "aggregate").iterdir()}
    assert made == {f"{name}.parquet" for name in FRAMES} | {"verdict.json", "report.html", "figures", "tables"}
    assert all((results / "aggregate" / path).is_file() for path in file_outputs().values())


def test_snakemakes_own_report_needs_no_network(finished: tuple[Workspace, str], tmp_path: Path) -> None:
    told = finished[0].run("--report", str(tmp_path / "own.zip"))
    assert re.findall(r"^Adding (\S+) \(", told, re.M) == ["report.html", *OWN_REPORT]
    with zipfile.ZipFile(tmp_path / "own.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
    assert {"report.html", *OWN_REPORT} <= set(names)


def test_pandas_opens_a_stage_whole(finished: tuple[Workspace, str]) -> None:
    metrics = pd.read_parquet(finished[0].results() / "evaluate")
    synthetic = pd.read_parquet(finished[0].results() / "augment")
    assert len(metrics) == N_CELLS
    assert {"dataset", "subsample", "data_seed", "augmenter", "classifier", "trial"} < set(metrics.columns)
    assert set(synthetic["augmenter"].astype(str)) == {"duplicate", "gpt3mix"}  # `none` has no rows


def test_keys_are_read_with_their_types(finished: tuple[Workspace, str]) -> None:
    metrics = tables.read(finished[0].results() / "evaluate", "metrics")
    assert metrics["data_seed"].dtype == "int64"
    assert sorted(metrics["trial"].unique()) == [7]


def test_soft_labels_come_from_the_model(finished: tuple[Workspace, str]) -> None:
    rows = tables.read(finished[0].results() / "augment", "synthetic")
    mixed = rows[(rows["augmenter"] == "gpt3mix") & rows["kept"]]
    assert len(mixed) > 0
    assert set(mixed["label_source"]) == {"logprobs"}
    assert all(abs(sum(soft) - 1) < 1e-9 for soft in mixed["soft_label"])
    assert any(0.001 < soft[0] < 0.999 for soft in mixed["soft_label"])
    assert all(len(shown) == 4 for shown in mixed["source_ids"])


def test_duplicates_match_the_number_of_rows(finished: tuple[Workspace, str]) -> None:
    runs = tables.read(finished[0].results() / "aggregate", "runs")
    duplicates = runs[runs["augmenter"] == "duplicate"]
    assert (duplicates["n_synthetic"] == duplicates["n_train"]).all()
    assert (runs[runs["augmenter"] == "none"]["n_synthetic"] == 0).all()


def test_a_run_ends_with_the_verdict(finished: tuple[Workspace, str]) -> None:
    workspace, output = finished
    verdict = json.loads((workspace.results() / "aggregate" / "verdict.json").read_text(encoding="utf-8"))
    last = output[output.rindex("steps (100%) done") :]
    assert " ".join(verdict["headline"].split()) in " ".join(last.split())
    assert "results/aggregate/report.html" in last
    assert verdict["outcome"] == "cannot_tell"  # two data seeds can show nothing


def test_progress_tells_rows_rate_and_usable_share(finished: tuple[Workspace, str]) -> None:
    told = re.findall(
        rf"^augment mine {SIZE} \d gpt3mix 7: (\d+) of 4 rows, \d+ answers a minute, \d+ % usable$", finished[1], re.M
    )
    assert told.count("4") == 2  # the last line of each draw
    assert not re.search(rf"augment mine {SIZE} \d (none|duplicate) 7: .* answers", finished[1])  # they ask nobody


def test_the_default_profile_is_loaded(finished: tuple[Workspace, str]) -> None:
    assert "Using workflow specific profile" in finished[1]
    assert str(Path("profiles") / "default") in finished[1]
    # With the code trigger of Snakemake's own defaults, a touched script would run its jobs again.
    script = ROOT / "workflow" / "scripts" / "train.py"
    before = script.stat()
    try:
        script.touch()
        assert "Nothing to be done" in finished[0].run("-n")
    finally:
        import os

        os.utime(script, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_second_run_does_nothing(finished: tuple[Workspace, str]) -> None:
    assert "Nothing to be done" in finished[0].run()


def test_jobs_may_see_their_slice_alone(finished: tuple[Workspace, str]) -> None:
    """A rule that read the global config would not run again when what it read changes, so none may read it."""
    workspace = finished[0]
    for record in (workspace.folder / ".snakemake" / "metadata").iterdir():
        params = json.loads(record.read_text(encoding="utf-8"))["params"]
        assert len(params) <= 1, params
        if params:
            assert "method_version" in params[0]


def test_a_new_variant_costs_only_itself(finished: tuple[Workspace, str]) -> None:
    workspace = finished[0]
    wider = small(Workspace(workspace.folder))
    wider.config["augmenters"]["double"] = {"method": "duplicate", "multiplier": 2.0}
    planned = wider.run("-n", "--quiet", "rules")
    assert _jobs(planned) == {"augment": 2, "quality": 2, "train": 2, "evaluate": 2, "aggregate": 1, "all": 1}


def test_a_changed_setting_reruns_what_depends_on_it(finished: tuple[Workspace, str]) -> None:
    changed = small(Workspace(finished[0].folder))
    changed.config["classifiers"]["minilm"]["learning_rate"] = 1.0e-5
    assert _jobs(changed.run("-n", "--quiet", "rules")) == {"train": 6, "evaluate": 6, "aggregate": 1, "all": 1}
    changed = small(Workspace(finished[0].folder))
    changed.config["threads"] = {"augment": 2}
    assert "Nothing to be done" in changed.run("-n")


def test_deleted_results_are_made_again_for_free(finished: tuple[Workspace, str], gemma: Path) -> None:
    workspace = finished[0]
    answers = workspace.answers()
    before = {path: path.stat().st_mtime_ns for path in answers}
    draw = f"dataset=mine/subsample={SIZE}/data_seed=1/augmenter=gpt3mix/trial=7"
    synthetic = workspace.results() / "augment" / draw / "synthetic.parquet"
    content = synthetic.read_bytes()
    synthetic.unlink()
    workspace.run(str(synthetic.relative_to(workspace.folder)))
    receipt = tables.read(workspace.results() / "receipts" / draw / "receipt.parquet", "receipt")
    assert receipt["requests_paid"].tolist() == [0]
    assert receipt["requests_replayed"].item() >= receipt["rows_wanted"].item()
    assert synthetic.read_bytes() == content
    assert {path: path.stat().st_mtime_ns for path in workspace.answers()} == before


def test_two_fresh_runs_give_equal_bytes(finished: tuple[Workspace, str], tmp_path: Path, gemma: Path) -> None:
    other = small(make_workspace(tmp_path, gemma))
    other.run()
    first, second = _digests(finished[0].results()), _digests(other.results())
    assert set(second) == set(first)
    assert [path for path in first if first[path] != second[path]] == []


def _digests(results: Path) -> dict[str, str]:
    """Digest every file but those that hold times."""
    files = [path for path in results.rglob("*.*") if path.suffix != ".log" and path.stem not in ("history", "receipt")]
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _jobs(output: str) -> dict[str, int]:
    """Read the table of jobs that a dry run prints."""
    lines = [line.split() for line in output.splitlines()]
    return {
        parts[0]: int(parts[1]) for parts in lines if len(parts) == 2 and parts[1].isdigit() and parts[0] != "total"
    }
