"""Datasets of every source through the real workflow: the hub, the registry, URLs, one file that is split anew."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hypermix import tables
from hypermix.files import read_provenance
from tests.hub import Repository, card, hub, parquet
from tests.serving import serving
from tests.workflow.conftest import Workspace, review_rows, write_csv

SPLITS = ("train", "validation", "test")
CONTROLS = {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}}


@pytest.fixture
def plain(workspace: Workspace) -> Workspace:
    """Return a workspace without a language model."""
    workspace.config["augmenters"] = dict(CONTROLS)
    return workspace


def jsonl(rows: list[dict[str, str]], names: dict[str, str]) -> bytes:
    lines = [
        json.dumps({"text": row["review"], "label": int(row["stars"] == "5"), "label_text": names[row["stars"]]})
        for row in rows
    ]
    return "\n".join(lines).encode()


def prepared(workspace: Workspace, dataset: str, split: str) -> pd.DataFrame:
    return pd.read_parquet(workspace.results() / "prepare" / f"dataset={dataset}" / f"{split}.parquet")


def drawn(workspace: Workspace, dataset: str, size: str, seed: int, split: str) -> pd.DataFrame:
    folder = workspace.results() / "subsample" / f"dataset={dataset}" / f"subsample={size}" / f"data_seed={seed}"
    return pd.read_parquet(folder / f"{split}.parquet")


def profile(workspace: Workspace, dataset: str) -> dict[tuple[str, str], float]:
    """Return the measures that are of no single label, by split and name."""
    path = workspace.results() / "prepare" / f"dataset={dataset}" / "profile.parquet"
    rows = tables.read(path, "profile")
    rows = rows[rows["label"].isna()]
    return {(row["split"], row["measure"]): row["value"] for row in rows.to_dict("records")}


def test_hub_and_registry_are_fetched_pinned_and_read_again_without_network(plain: Workspace) -> None:
    names = {"1": "negative", "5": "positive"}
    sst2 = Repository({f"{name}.jsonl": jsonl(review_rows(12, seed), names) for seed, name in enumerate(SPLITS)})
    rows = review_rows(40, 9)
    columns = {"body": [row["review"] for row in rows], "kind": [int(row["stars"] == "5") for row in rows]}
    own = Repository({"data/train.parquet": parquet(columns, {"kind": ["bad", "good"]}), "README.md": card({})})
    plain.config["datasets"] = {
        # The registry pins a commit, which only the real hub has.
        "sst2": {"source": "registry", "revision": None},
        "own": {"source": "hub", "path": "lab/own", "text": "body", "label": "kind", "test": None},
    }
    plain.environment["HF_HOME"] = str(plain.folder / "hub")
    with hub({"SetFit/sst2": sst2, "lab/own": own}) as server:
        plain.environment["HF_ENDPOINT"] = server.url
        plain.run("--until", "subsample")
    assert set(prepared(plain, "sst2", "train")["label"]) == {"negative", "positive"}
    assert len(prepared(plain, "sst2", "validation")) == 12
    sizes = {name: len(prepared(plain, "own", name)) for name in SPLITS}
    assert sizes == {"train": 26, "validation": 6, "test": 8}
    assert set(prepared(plain, "own", "test")["label"]) == {"bad", "good"}
    told = read_provenance(plain.results() / "prepare" / "dataset=own" / "train.parquet")
    assert told["inputs"] == {"lab/own": own.commit()}

    before = {path: path.read_bytes() for path in plain.results().rglob("*.parquet")}
    plain.environment |= {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    output = plain.run("--until", "subsample", "--forcerun", "prepare")
    assert "prepare own" in output
    assert "the hub gave no answer; commit" in output
    assert {path: path.read_bytes() for path in before} == before

    program = "import sys; from hypermix.cli import main; sys.exit(main(sys.argv[1:]))"
    pin = [sys.executable, "-c", program, "datasets", "pin", "tiny.yaml"]
    (plain.folder / "config").mkdir()
    (plain.folder / "config" / "datasets.yaml").symlink_to(Path(__file__).parents[2] / "config" / "datasets.yaml")
    done = subprocess.run(pin, cwd=plain.folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pinned = yaml.safe_load((plain.folder / "tiny.yaml").read_text(encoding="utf-8"))["datasets"]
    assert (pinned["own"]["revision"], pinned["sst2"]["revision"]) == (own.commit(), sst2.commit())


def test_a_hub_dataset_that_is_not_there_is_one_sentence(plain: Workspace) -> None:
    plain.config["datasets"] = {"gone": {"source": "hub", "path": "lab/gone"}}
    plain.environment["HF_HOME"] = str(plain.folder / "hub")
    with hub({}) as server:
        plain.environment["HF_ENDPOINT"] = server.url
        output = plain.run("--until", "prepare", fails=True)
    told = [line for line in output.splitlines() if "lab/gone" in line and "Error" not in line]
    assert told
    assert "Traceback" not in output
    assert not list(plain.results().rglob("*.parquet"))


def test_an_unknown_name_of_the_registry_stops_before_any_job(plain: Workspace) -> None:
    plain.config["datasets"] = {"agnew": {"source": "registry"}}
    assert "did you mean 'agnews'?" in plain.run(fails=True)
    assert not plain.results().exists()


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    with serving(server) as url:
        yield url


def test_a_url_is_fetched_once(plain: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("web")
    (folder / "train.csv.gz").write_bytes(gzip.compress((plain.folder / "train.csv").read_bytes()))
    mine = plain.config["datasets"]["mine"]
    with web(folder) as url:
        mine["train"] = f"{url}/train.csv.gz?raw=1"
        plain.run("--until", "prepare")
        assert len(prepared(plain, "mine", "train")) == 20
    plain.run("--until", "prepare", "--forcerun", "prepare")  # the server is gone
    mine["train"] = f"{url}/train.csv?token=word"
    output = plain.run("--until", "prepare", fails=True)
    assert "the URL holds a password or a key" in output
    assert "token=word" not in output
    mine["train"] = f"{url}/gone.csv"
    output = plain.run("--until", "prepare", fails=True)
    assert f"{url}/gone.csv" in output
    assert "Traceback" not in output


def test_one_file_is_split_anew_for_each_data_seed(plain: Workspace) -> None:
    rows = review_rows(60, 3)
    for position, row in enumerate(rows):
        row["author"] = f"author {position % 15}"
    write_csv(plain.folder / "all.csv", rows)
    mine = plain.config["datasets"]["mine"]
    mine |= {"train": "all.csv", "validation": None, "test": None, "split": "repeated", "group": "author"}
    plain.config["subsample"] = {"train": ["3s", "6s"], "validation": None, "test": None}
    plain.config["except"] = [{"augmenter": "duplicate", "subsample": "6s"}]
    plain.run()
    authors = {row["review"]: row["author"] for row in rows}
    tests = []
    for seed in (1, 2):
        splits = {name: drawn(plain, "mine", "6s", seed, name) for name in SPLITS}
        held = [{authors[text] for text in splits[name]["text"]} for name in SPLITS]
        assert len(held[0] | held[1] | held[2]) == sum(map(len, held))
        assert set(drawn(plain, "mine", "3s", seed, "train")["id"]) < set(splits["train"]["id"])
        assert set(splits["test"]["label"]) == {"1", "5"}
        tests.append(set(splits["test"]["id"]))
    assert tests[0] != tests[1]
    metrics = next((plain.results() / "evaluate").rglob("metrics.parquet"))
    assert read_provenance(metrics)["slices"]["prepare"]["dataset"]["split"] == "repeated"
    report = (plain.results() / "aggregate" / "report.html").read_text(encoding="utf-8")
    assert "the test sets of two seeds share rows" in report
    assert "drawn anew for each data seed" in report


def test_what_is_wrong_with_the_data_is_told_before_anything_is_drawn(plain: Workspace) -> None:
    train, test = review_rows(20, 0), review_rows(8, 2)
    train[0]["review"] = test[0]["review"].upper()
    train[1]["review"] = ""
    train[2] = dict(train[4])
    write_csv(plain.folder / "train.csv", train)
    output = plain.run()
    assert "train: 1 row of 20 has an empty text (row 2); left out" in output
    assert "stands in test, text for text (overlap: drop)" in output
    told = profile(plain, "mine")
    assert (told["test", "overlap"], told["train", "dropped_overlap"], told["train", "dropped_empty"]) == (1, 1, 1)
    assert told["train", "duplicates"] == 1
    assert train[0]["review"] not in set(prepared(plain, "mine", "train")["text"])
    assert prepared(plain, "mine", "test")["text"].tolist() == [row["review"] for row in test]
    report = (plain.results() / "aggregate" / "report.html").read_text(encoding="utf-8")
    assert "left out" in report

    plain.config["datasets"]["mine"]["overlap"] = "fail"
    output = plain.run(fails=True)
    assert re.search(r"train\.csv: 1 row of 19 stands? in test, text for text \(row 1\)", output)
