"""What runs again after a change, and what does not: real dry runs after one finished run.

Each of them is held against `hypermix why`, which tells the same jobs from the files alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hypermix.config.experiment import METHOD_VERSIONS
from hypermix.config.load import load_config, merge
from hypermix.report.why import Why
from hypermix.steps.artefacts import STAGES, list_units
from hypermix.steps.reads import list_reads
from hypermix.steps.why import explain
from tests.workflow.conftest import ROOT, Workspace, review_rows, write_csv
from tests.workflow.test_chain import _jobs
from tests.workflow.test_export import tiny_workspace

PROJECT = ("Snakefile", "config", "envs", "hypermix", "profiles", "workflow")
"""What of the project a run reads."""

PROFILE = """
rerun-triggers: [params, software-env, mtime, input]
scheduler: ilp
keep-going: false
max-checksum-file-size: 100MB
"""
"""Another profile, with the triggers that docs tell to repeat."""

Jobs = dict[str, int]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return an experiment of two datasets after its run; the second has no augmenter but `none`."""
    workspace = tiny_workspace(tmp_path_factory.mktemp("reruns"))
    write_csv(workspace.folder / "other.csv", review_rows(20, 5))
    workspace.config["datasets"]["yours"] = {**workspace.config["datasets"]["mine"], "train": "other.csv"}
    workspace.config["except"] = [
        {"dataset": "yours", "augmenter": "duplicate"},
        {"augmenter": "duplicate", "dataset": "yours", "trial": 7},
    ]
    workspace.run()
    return workspace


Copy = Callable[[], Workspace]


@pytest.fixture
def copy(finished: Workspace, tmp_path: Path) -> Copy:
    """Return a function that copies the finished experiment, with the times of its files."""

    def make() -> Workspace:
        made = Workspace(tmp_path, deepcopy(finished.config))
        shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
        return made

    return make


def checkout(folder: Path) -> Path:
    """Copy the project as git would write it: each file is new."""
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, copy_function=shutil.copyfile, ignore=ignored)
        else:
            shutil.copyfile(source, folder / name)
    return folder


def planned(workspace: Workspace, *arguments: str) -> Jobs:
    """Return the jobs of a dry run."""
    jobs = _jobs(workspace.run("-n", "--quiet", "rules", *arguments))
    jobs.pop("all", None)
    return jobs


def told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Why:
    monkeypatch.chdir(workspace.folder)
    return explain(load_config(workspace.config))


def with_settings(workspace: Workspace, **overlay: Any) -> Workspace:
    """Return the same folder with other settings; nothing in it is written anew."""
    other = object.__new__(Workspace)
    other.folder, other.environment = workspace.folder, dict(workspace.environment)
    other.config = merge(workspace.config, overlay)
    return other


def test_what_jobs_read_is_told_as_the_rules_have_it(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    config = load_config(finished.config)
    recorded = {
        tuple(record["input"])
        for path in Path(".snakemake", "metadata").rglob("*")
        if path.is_file() and (record := json.loads(path.read_text(encoding="utf-8")))["rule"] != "aggregate"
    }
    units = [unit for units in list_units(config).values() for unit in units.values()]

    assert {tuple(sorted(read.path for read in list_reads(config, unit))) for unit in units} == recorded


ALL = {"prepare": 2, "subsample": 2, "augment": 3, "quality": 3, "train": 3, "evaluate": 3, "aggregate": 1}
OF_MINE = {"prepare": 1, "subsample": 1, "augment": 2, "quality": 2, "train": 2, "evaluate": 2, "aggregate": 1}
OF_DUPLICATE = {"augment": 1, "quality": 1, "train": 1, "evaluate": 1, "aggregate": 1}


@pytest.mark.parametrize(
    ("overlay", "expected", "key"),
    [
        ({"datasets": {"mine": {"duplicates": "drop"}}}, OF_MINE, "datasets.mine.duplicates"),
        ({"subsample": {"validation": "3s"}}, {**ALL, "prepare": 0}, "subsample.validation"),
        ({"augmenters": {"duplicate": {"multiplier": 2.0}}}, OF_DUPLICATE, "augmenters.duplicate.multiplier"),
        ({"quality": {"rows": 999}}, {"quality": 3, "aggregate": 1}, "quality.rows"),
        (
            {"classifiers": {"tiny": {"learning_rate": 1e-3}}},
            {"train": 3, "evaluate": 3, "aggregate": 1},
            "classifiers.tiny.learning_rate",
        ),
        ({"report": {"alpha": 0.1}}, {"aggregate": 1}, "report.alpha"),
    ],
    ids=["prepare", "subsample", "augment", "quality", "train", "aggregate"],
)
def test_a_setting_reruns_its_stage_and_what_follows(
    finished: Workspace, overlay: dict[str, Any], expected: Jobs, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = with_settings(finished, **overlay)
    why = told(changed, monkeypatch)

    assert planned(changed) == why.jobs == {stage: jobs for stage, jobs in expected.items() if jobs}
    assert {change.key for group in why.groups for change in group.changes} == {key}


def test_nothing_runs_again_for_what_changes_no_result(
    copy: Copy, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once: a moved folder, touched files, a checkout, comments, other orders, cores, profile and limits."""
    moved = copy()
    touch(moved)
    project = checkout(tmp_path_factory.mktemp("project"))
    for source in ("workflow/scripts/train.py", "hypermix/steps/train.py", "workflow/rules/train.smk", "Snakefile"):
        with (project / source).open("a", encoding="utf-8") as stream:
            stream.write("# Another comment.\n")
    age(project, newest(moved.folder) + 10)
    (project / "profiles" / "other").mkdir()
    (project / "profiles" / "other" / "profile.yaml").write_text(PROFILE, encoding="utf-8")
    moved.environment["PYTHONPATH"] = str(project)
    moved.config |= {"budget": {"requests": 5}, "offline": True, "threads": {"augment": 3}}
    moved.config["except"] = moved.config["except"][::-1]
    turned = moved.folder / "turned.yaml"
    turned.write_text(f"# Another comment.\n{dump_turned(moved.config)}", encoding="utf-8")
    other = ["--snakefile", str(project / "Snakefile"), "--workflow-profile", str(project / "profiles" / "other")]

    assert planned(moved, *other, "--cores", "1", "--configfile", str(turned)) == {}
    assert told(moved, monkeypatch).jobs == {}


def touch(workspace: Workspace) -> None:
    """Give every file another time, each input a later one than what was made from it."""
    stages = ["aggregate", *reversed(STAGES), ""]
    order = {stage: position for position, stage in enumerate(stages)} | {"receipts": stages.index("augment")}
    start = newest(workspace.folder) + 10
    for path in workspace.folder.rglob("*"):
        parts = path.relative_to(workspace.folder).parts
        if path.is_file() and parts[0] != ".snakemake":
            age(path, start + order.get(parts[1] if parts[0] == "results" else "", len(stages)))


def newest(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.rglob("*"))


def age(path: Path, time: float) -> None:
    """Give a file, or all in a folder, a time."""
    for one in (path, *path.rglob("*")):
        os.utime(one, (time, time))


def dump_turned(config: Mapping[str, Any]) -> str:
    """Write a config with the keys of each mapping in the opposite order."""

    def turn(value: Any) -> Any:
        return {key: turn(part) for key, part in reversed(value.items())} if isinstance(value, dict) else value

    return yaml.safe_dump(turn(dict(config)), sort_keys=False)


def test_nothing_runs_again_after_the_records_are_lost(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a changed setting would make again is told, which the dry run no longer sees (`aggregate` refuses)."""
    lost = copy()
    shutil.rmtree(lost.folder / ".snakemake" / "metadata")

    assert planned(lost) == {}
    assert told(lost, monkeypatch).jobs == {}
    changed = with_settings(lost, classifiers={"tiny": {"learning_rate": 1e-3}})
    assert told(changed, monkeypatch).jobs == {"train": 3, "evaluate": 3, "aggregate": 1}


def test_a_byte_of_an_input_reruns_what_reads_it(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are read by `prepare` of one dataset, and a model by all trainings."""
    changed = copy()
    rows, model = changed.folder / "train.csv", changed.folder / "bert" / "tokenizer.json"
    rows.write_bytes(rows.read_bytes().replace(b"part", b"Part", 1))
    model.write_bytes(model.read_bytes() + b"\n")
    why = told(changed, monkeypatch)

    assert planned(changed) == why.jobs == {**OF_MINE, "train": 3, "evaluate": 3}
    files = {(group.stage, *group.files, *group.shared.values()) for group in why.groups if group.kind == "input"}
    assert files == {("prepare", "train.csv", "mine"), ("train", "bert/tokenizer.json", "yours", "none")}


def test_deleted_files_are_made_again_where_they_are_needed(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others were made from may lack as long as these stay; the report that lacks needs the rows."""
    emptied = copy()
    shutil.rmtree(emptied.results() / "subsample")
    shutil.rmtree(emptied.results() / "augment" / "dataset=mine")
    assert told(emptied, monkeypatch).jobs == {}
    (emptied.results() / "aggregate" / "verdict.json").unlink()
    why = told(emptied, monkeypatch)

    expected = {"subsample": 1, "augment": 2, "quality": 2, "train": 2, "evaluate": 2, "aggregate": 1}
    assert planned(emptied) == why.jobs == expected


def test_a_raised_method_version_reruns_its_stage(
    copy: Copy, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That each stage's version is in its slice is a test of the slices; here two leave all others as they are."""
    project = checkout(tmp_path_factory.mktemp("newer"))
    module = project / "hypermix" / "config" / "experiment.py"
    source, raised = module.read_text(encoding="utf-8"), ("quality", "evaluate")
    for stage in raised:
        now = METHOD_VERSIONS[stage]
        source, times = re.subn(rf'^    "{stage}": {now},$', f'    "{stage}": {now + 1},', source, flags=re.MULTILINE)
        assert times == 1
        monkeypatch.setitem(METHOD_VERSIONS, stage, now + 1)
    module.write_text(source, encoding="utf-8")
    newer = copy()
    newer.environment["PYTHONPATH"] = str(project)
    why = told(newer, monkeypatch)

    expected = {"quality": 3, "evaluate": 3, "aggregate": 1}
    assert planned(newer, "--snakefile", str(project / "Snakefile")) == why.jobs == expected
    changes = [(change.key, change.new) for group in why.groups for change in group.changes]
    assert changes == [(f"method version of {stage} in HyperMix", str(METHOD_VERSIONS[stage])) for stage in raised]


ADDED: dict[str, dict[str, Any]] = {
    "dataset": {"datasets": {"third": {"source": "file", "train": "train.csv", "text": "review", "label": "stars"}}},
    "size": {"subsample": {"train": ["3s", "2s"]}},
    "data seed": {"seeds": {"data": [2, 1]}},
    "trial": {"seeds": {"trials": [7, 8]}},
    "augmenter": {"augmenters": {"double": {"method": "duplicate", "multiplier": 2.0}}},
    "classifier": {"classifiers": {"second": {"method": "probe", "model": "bert"}}},
}


def cells_of(workspace: Workspace, before: Workspace) -> Jobs:
    """Count the jobs of a config that another config has not."""
    old, new = (list_units(load_config(one.config)) for one in (before, workspace))
    return {
        **{stage: count for stage in STAGES if (count := len(new[stage].keys() - old[stage].keys()))},
        "aggregate": 1,
    }


@pytest.mark.parametrize("what", ADDED)
def test_what_is_added_costs_its_own_cells(finished: Workspace, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wider = with_settings(finished, **ADDED[what])

    assert told(wider, monkeypatch).jobs == cells_of(wider, finished)


CELL = {"dataset": "mine", "subsample": "3s", "data_seed": 1, "augmenter": "none", "classifier": "tiny", "trial": 7}
OLD = ({}, {"augmenter": "duplicate"}, {"dataset": "yours"})
NEW = (
    *({"dataset": "third"}, {"subsample": "2s"}, {"data_seed": 2}),
    *({"trial": 8}, {"augmenter": "double"}, {"classifier": "second"}),
)


def test_all_that_is_added_together_costs_its_own_cells(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    wider = with_settings(finished, only=[{**CELL, **other} for other in (*OLD, *NEW)])
    for overlay in ADDED.values():
        wider = with_settings(wider, **overlay)

    expected = {"prepare": 1, "subsample": 3, "augment": 5, "quality": 5, "train": 6, "evaluate": 6, "aggregate": 1}
    assert planned(wider) == told(wider, monkeypatch).jobs == expected == cells_of(wider, finished)


def test_what_is_taken_away_and_comes_back_costs_the_report_alone(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = copy()
    less = with_settings(whole)
    less.config = {**whole.config, "except": []}
    less.config["augmenters"] = {"none": whole.config["augmenters"]["none"]}
    assert told(less, monkeypatch).jobs == {"aggregate": 1}
    assert _jobs(less.run("--quiet", "rules")) == {"aggregate": 1, "all": 1}

    assert planned(whole) == told(whole, monkeypatch).jobs == {"aggregate": 1}
