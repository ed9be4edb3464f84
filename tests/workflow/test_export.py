"""`snakemake export` from end to end with a tiny model: the folder, its card, and what makes it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypermix.cli import main
from hypermix.files import read_table
from tests.tiny import save_tiny_bert
from tests.workflow.conftest import Workspace
from tests.workflow.test_chain import _jobs

RUN = "dataset=mine/subsample=all/data_seed=1/augmenter={}/classifier=tiny/trial=7"


def tiny_workspace(folder: Path) -> Workspace:
    """Make an experiment without a language model, in a folder that has none."""
    workspace = Workspace(folder)
    save_tiny_bert(folder / "bert")
    workspace.config["seeds"]["data"] = [1]
    workspace.config["augmenters"] = {name: {"method": name} for name in ("none", "duplicate")}
    del workspace.config["llms"]
    workspace.config["classifiers"] = {
        "tiny": {"method": "finetune", "model": "bert", "learning_rate": 5e-3, "batch_size": 4, "max_steps": 3}
    }
    return workspace


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    workspace = tiny_workspace(tmp_path_factory.mktemp("export"))
    return workspace, workspace.run("export")


def changed(workspace: Workspace, **settings: object) -> Workspace:
    """Return the same folder with other settings."""
    other = tiny_workspace(workspace.folder)
    other.config.update(settings)
    return other


def planned(workspace: Workspace) -> dict[str, int]:
    jobs = _jobs(workspace.run("export", "-n", "--quiet", "rules"))
    jobs.pop("total", None)
    return jobs


def test_export_tells_where_the_model_is(exported: tuple[Workspace, str]) -> None:
    assert "export: results/export has the model and its card, README.md" in exported[1]


def test_pipeline_loads_the_folder_without_network(exported: tuple[Workspace, str]) -> None:
    results = exported[0].results()
    test = read_table(results / "prepare/dataset=mine/test.parquet", "test")
    rows = read_table(results / "train" / RUN.format("none") / "predictions.parquet", "predictions")
    measured = rows[rows["split"] == "test"]
    code = """if True:
        import json, sys
        from transformers import pipeline
        classify = pipeline("text-classification", model=sys.argv[1], truncation=True)
        print(json.dumps(classify(json.load(sys.stdin), top_k=None)))
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(results / "export")],
        input=json.dumps(test["text"].tolist()),
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(results / "no-cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [{one["label"]: one["score"] for one in row} for row in json.loads(done.stdout)]

    assert measured["id"].tolist() == test["id"].tolist()
    assert [[row["1"], row["5"]] for row in told] == [
        pytest.approx(list(shares), abs=1e-6) for shares in measured["probabilities"]
    ]


def test_all_rows_are_trained_on_and_card_says_so(exported: tuple[Workspace, str]) -> None:
    text = (exported[0].results() / "export" / "README.md").read_text(encoding="utf-8")

    assert "on all 20 labelled rows for training." in text
    assert "was trained for 5 steps" in text  # max_steps: 3 would have left eight rows unread
    assert "No gain of an augmenter is shown at 3s" in text


def test_a_second_export_does_nothing(exported: tuple[Workspace, str]) -> None:
    assert "Nothing to be done" in exported[0].run("export")


def test_the_experiment_is_done_too(exported: tuple[Workspace, str]) -> None:
    assert "Nothing to be done" in exported[0].run("-n")


def test_other_settings_train_nothing_again(exported: tuple[Workspace, str]) -> None:
    workspace = exported[0]

    assert planned(changed(workspace, export={"license": "mit"})) == {"export": 1}
    assert planned(changed(workspace, report={"alpha": 0.1})) == {"aggregate": 1, "choose": 1, "export": 1}
    assert planned(changed(workspace, threads={"augment": 2})) == {}


def test_a_changed_report_keeps_the_trained_model(exported: tuple[Workspace, str]) -> None:
    """The best variant is looked for again, and is the same."""
    workspace = exported[0]
    weights = workspace.results() / "export" / "model.safetensors"
    inode = weights.stat().st_ino
    output = changed(workspace, report={"level": 0.9}).run("export")

    assert "90 % interval" in (workspace.results() / "export" / "README.md").read_text(encoding="utf-8")
    assert "Job" in output
    assert "fit tiny" not in output
    assert weights.stat().st_ino == inode
    workspace.run("export")


def test_the_named_augmenter_adds_its_own_run(exported: tuple[Workspace, str]) -> None:
    named = changed(exported[0], export={"augmenter": "duplicate"})
    output = named.run("export")
    text = (named.results() / "export" / "README.md").read_text(encoding="utf-8")

    assert output.count("fit tiny to all rows of mine with duplicate") == 1
    assert "The config names the augmenter duplicate." in text
    assert "The augmenter duplicate gave 20 rows" in text
    assert (named.results() / "train" / RUN.format("none") / "model").is_dir()  # going back costs no training
    back = exported[0].run("export")
    assert "fit tiny" not in back


def test_one_of_several_datasets_must_be_named_before_anything_runs(tmp_path: Path) -> None:
    workspace = tiny_workspace(tmp_path)
    workspace.config["datasets"]["second"] = {**workspace.config["datasets"]["mine"]}
    output = workspace.run("export", fails=True)

    assert "export.dataset: must be given, since the experiment has 2 datasets; wanted is one of mine, second" in output
    assert not workspace.results().exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"classifiers": {"quick": {"method": "probe", "model": "bert"}}}, "classifiers: none can be exported"),
        (
            {"export": {"augmenter": "duplicate"}, "except": [{"augmenter": "duplicate"}]},
            "no run with the dataset 'mine', the augmenter 'duplicate'",
        ),
    ],
)
def test_what_cannot_be_exported_is_told_before_anything_runs(
    tmp_path: Path, settings: dict[str, object], told: str
) -> None:
    workspace = tiny_workspace(tmp_path)
    workspace.config.update(settings)

    assert told in workspace.run("export", "-n", "--quiet", "rules", fails=True)


def test_rows_of_an_export_can_be_drawn_before_its_variant_is_known(tmp_path: Path) -> None:
    """So `hypermix plan --export` can count what will be paid."""
    workspace = tiny_workspace(tmp_path)
    jobs = _jobs(workspace.run("export", "--until", "subsample", "-n", "--quiet", "rules"))

    assert jobs == {"prepare": 1, "subsample": 2}


def test_a_match_makes_no_rows_for_an_export(tmp_path: Path) -> None:
    workspace = tiny_workspace(tmp_path)
    workspace.config["classifiers"]["tiny"]["match"] = "duplicate"
    fitted = f"results/train/{RUN.format('none')}/model"
    jobs = _jobs(workspace.run(fitted, "-n", "--quiet", "rules"))

    assert jobs == {"prepare": 1, "subsample": 1, "augment": 1, "fit": 1}


def test_a_new_augmenter_trains_nothing_of_a_match_again(tmp_path: Path) -> None:
    workspace = tiny_workspace(tmp_path)
    workspace.config["classifiers"]["tiny"]["match"] = "duplicate"
    before = _jobs(workspace.run("--quiet", "rules", "--until", "evaluate", "quality"))
    workspace.config["augmenters"]["double"] = {"method": "duplicate", "multiplier": 2.0}
    new = before["train"] // 2
    expected = {"augment": new, "quality": new, "train": new, "evaluate": new, "aggregate": 1, "all": 1}
    assert _jobs(workspace.run("-n", "--quiet", "rules")) == expected


def test_plan_counts_the_rows_of_an_export(
    exported: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = exported[0]
    monkeypatch.chdir(workspace.folder)
    workspace.command()
    assert main(["plan", "tiny.yaml", "--export"]) == 0

    assert "nothing will be spent" in capsys.readouterr().out
