"""What a user sees when something is wrong: one sentence that says where, what and what to do; nothing half-made."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
from copy import deepcopy
from pathlib import Path

import pandas as pd
import pytest

from hypermix.files import read_provenance
from tests.workflow.conftest import GOOD, TINY, Workspace, review_rows, write_csv


def test_all_config_mistakes_are_told_at_once(workspace: Workspace) -> None:
    workspace.config["classifiers"]["minilm"]["learning_rate"] = "5e-5"
    workspace.config["augmenters"]["gpt3mix"]["exmples"] = 2
    workspace.config["augmenters"]["gpt3mix"]["llm"] = "lokal"
    workspace.config["augmenters"]["other"] = {"method": "gpt4mix"}
    workspace.config["only"] = [{"dataset": "mien"}]
    output = workspace.run(fails=True)
    assert "the config has 5 mistakes" in output
    assert "classifiers.minilm.learning_rate: '5e-5' stands there" in output
    assert "write 5.0e-5" in output
    assert "augmenters.gpt3mix.exmples: unknown key; did you mean 'examples'?" in output
    assert "augmenters.gpt3mix.llm: 'lokal' is no key of llms; did you mean 'local'?" in output
    assert "augmenters.other.method: 'gpt4mix' stands there; did you mean 'gpt3mix'?" in output
    assert "only[0].dataset: 'mien' is no key of datasets; did you mean 'mine'?" in output
    assert "Traceback" not in output
    assert not workspace.results().exists()


def test_a_missing_file_stops_before_any_job(workspace: Workspace) -> None:
    (workspace.folder / "test.csv").unlink()
    output = workspace.run(fails=True)
    assert "datasets.mine.test: test.csv: no such file" in output
    assert "Traceback" not in output
    assert not workspace.results().exists()


UNUSABLE = {
    "unlabeled": ([{"review": "x", "rating": "5"}] * 9, "no column 'stars'"),
    "gap": ([*review_rows(9, 0), {"review": "fine", "stars": ""}], "no label in row 10"),
    "same": ([{"review": text, "stars": "5"} for text in GOOD], "train has the one label '5'"),
}


def test_unusable_rows_stop_prepare(workspace: Workspace) -> None:
    mine = workspace.config["datasets"].pop("mine")
    for name, (rows, _) in UNUSABLE.items():
        write_csv(workspace.folder / f"{name}.csv", rows)
        workspace.config["datasets"][name] = {**mine, "train": f"{name}.csv"}
    output = workspace.run("--until", "prepare", fails=True)
    for name, (_, message) in UNUSABLE.items():
        assert message in output, name
    assert not list(workspace.results().rglob("*.parquet"))


HOSTILE = "</script><script>alert(1)</script> {{ 7 * 7 }} ../../x %s \x1b[31m"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> tuple[Workspace, str]:
    """Return a study of too few rows, one of them hostile, and what its run told."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"))
    rows = review_rows(20, 0)
    rows[0]["review"] = HOSTILE
    write_csv(workspace.folder / "train.csv", rows)
    workspace.config["subsample"]["train"] = ["50s"]
    workspace.config["augmenters"] = {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}}
    workspace.config["seeds"]["data"] = [1]
    workspace.config["classifiers"]["minilm"]["model"] = str(bert)
    return workspace, workspace.run()


@pytest.fixture
def copied(finished: tuple[Workspace, str], tmp_path: Path) -> Workspace:
    """Return a copy of the finished study, with the times of its files."""
    workspace = Workspace(tmp_path, deepcopy(finished[0].config))
    shutil.copytree(finished[0].folder, tmp_path, dirs_exist_ok=True)
    return workspace


def test_a_small_class_goes_on_and_is_recorded(finished: tuple[Workspace, str]) -> None:
    workspace, output = finished
    assert "train has too few rows: '1' has 10 of 50, '5' has 10 of 50; all of them are taken" in output
    drawn = workspace.results() / "subsample/dataset=mine/subsample=50s/data_seed=1/train.parquet"
    assert read_provenance(drawn)["short"] == {"train": {"1": [10, 50], "5": [10, 50]}}
    report = (workspace.results() / "aggregate" / "report.html").read_text(encoding="utf-8")
    assert "has 10 of the 50 rows that were asked for" in report


def test_hostile_text_stays_text(finished: tuple[Workspace, str]) -> None:
    results = finished[0].results()
    report = (results / "aggregate" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in report
    assert "{{ 7 * 7 }}" in report
    assert HOSTILE in set(pd.read_parquet(results / "augment")["text"])


def test_an_old_verdict_is_not_told_again(finished: tuple[Workspace, str], copied: Workspace) -> None:
    assert "Report: " in finished[1]
    copied.config["seeds"]["data"] = [1, 2]
    assert "Report: " not in copied.run("--until", "subsample")


def test_stale_files_are_refused_by_name(copied: Workspace) -> None:
    """Once Snakemake's own records are lost it sees no changed setting; the files' own provenance does."""
    copied.config["classifiers"]["minilm"]["learning_rate"] = 1.0e-5
    for record in (copied.folder / ".snakemake" / "metadata").iterdir():
        record.unlink()
    (copied.results() / "aggregate" / "verdict.json").unlink()
    output = copied.run(fails=True)
    assert "made with other settings than the config's" in output
    assert "metrics.parquet (train)" in output


def test_no_usable_answer_fails_with_the_first_three(workspace: Workspace) -> None:
    workspace.config["augmenters"]["gpt3mix"]["max_tokens"] = 1
    workspace.config["subsample"]["train"] = ["6s"]
    workspace.config["seeds"]["data"] = [1]
    output = workspace.run("--until", "augment", fails=True)
    told = output[output.index("none of ") :].splitlines()
    assert told[0].endswith("none of 10 answers can be used; the first are")
    assert all(line.endswith("(cut off)") for line in told[1:4])
    assert told[4].startswith("raise the augmenter's max_tokens")
    assert 10 <= len(workspace.answers()) <= 12  # what was under way is stored too
    done = {path.parent.parent.name for path in (workspace.results() / "augment").rglob("synthetic.parquet")}
    assert done == {"augmenter=none", "augmenter=duplicate"}
    stored = {path: path.stat().st_mtime_ns for path in workspace.answers()}
    workspace.run("--until", "augment", fails=True)
    assert {path: path.stat().st_mtime_ns for path in workspace.answers()} == stored


def test_broken_model_files_are_named(workspace: Workspace) -> None:
    workspace.config["seeds"]["data"] = [1]
    workspace.config["augmenters"] = {}
    broken = {"words": b"not a model", "short": b"GGUF" + bytes(2000)}
    for name, content in broken.items():
        (workspace.folder / f"{name}.gguf").write_bytes(content)
        workspace.config["llms"][name] = {**workspace.config["llms"]["local"], "model": f"{name}.gguf"}
        workspace.config["augmenters"][name] = {**TINY["augmenters"]["gpt3mix"], "llm": name}
    output = workspace.run("--until", "augment", fails=True)
    for name in broken:
        assert f"{name}.gguf: " in output
    assert "Traceback" not in output


def test_another_model_under_an_old_name_is_noticed(workspace: Workspace, writer: Path) -> None:
    model = workspace.folder / "mine.gguf"
    shutil.copy(writer, model)
    workspace.config["llms"]["local"]["model"] = "./mine.gguf"
    workspace.config["augmenters"] = {"gpt3mix": workspace.config["augmenters"]["gpt3mix"]}
    workspace.config["subsample"]["train"] = ["2s"]
    workspace.config["seeds"]["data"] = [1]
    workspace.run("--until", "augment")
    assert re.search(r"total +0\n", workspace.run("-n", "--until", "augment"))
    model.write_bytes(writer.read_bytes()[:-1] + b"?")
    assert re.search(r"augment +1\n", workspace.run("-n", "--until", "augment"))


def test_a_missing_model_stops_before_any_job(workspace: Workspace) -> None:
    workspace.config["llms"]["local"]["model"] = "gone.gguf"
    workspace.config["classifiers"]["minilm"]["model"] = "./gone"
    output = workspace.run(fails=True)
    assert "llms.local.model: gone.gguf: no such file" in output
    assert "classifiers.minilm.model: ./gone: no such file" in output
    assert not workspace.results().exists()


def test_ports_in_use_are_no_obstacle(workspace: Workspace) -> None:
    """The system chooses the port: the server's usual one may be taken, and so may the last one of another job."""
    workspace.config["augmenters"] = {"gpt3mix": workspace.config["augmenters"]["gpt3mix"]}
    workspace.config["subsample"]["train"] = ["2s"]
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # then somebody else has taken it, which does as well
            taken.bind(("127.0.0.1", 8080))
        workspace.run("--until", "augment")
    assert len(list((workspace.results() / "augment").rglob("synthetic.parquet"))) == 2
