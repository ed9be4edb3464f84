from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance, read_table
from hypermix.hashing import file_digest
from hypermix.steps import evaluate
from tests.integration.steps.chain import RUN, Chain, words

TORCHLESS = """
import sys
from pathlib import Path
from hypermix.steps import aggregate, evaluate
loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "transformers", "snakemake"})
sys.exit(f"loaded {loaded}" if loaded else 0)
"""


def test_metrics_have_one_row(done: Chain) -> None:
    for key in done.runs:
        found = read_table(done.metrics(key), "metrics")
        assert list(found) == tables.schema("metrics").names
        assert len(found) == 1
        assert found.loc[0, "n_test"] == 20


def test_accuracy_is_that_of_test_rows(done: Chain) -> None:
    for key in done.runs:
        rows = read_table(done.trained(key)["predictions"], "predictions")
        test = rows[rows["split"] == "test"]
        found = read_table(done.metrics(key), "metrics").loc[0]
        assert found["accuracy"] == (test["predicted"] == test["label"]).mean()
        columns = (test["label"] == "positive").astype(int)
        right = np.stack(test["probabilities"].tolist())[range(len(test)), columns]
        assert found["log_loss"] == pytest.approx(-np.log(right).mean(), rel=1e-9)


def test_counts_come_from_the_training(done: Chain) -> None:
    key = done.key("duplicate")
    found = read_table(done.metrics(key), "metrics").loc[0]
    counts = read_provenance(done.trained(key)["predictions"])["run"]
    assert {name: int(found[name]) for name in counts} == counts


def test_provenance_holds_slices_of_all_stages(done: Chain) -> None:
    key = done.key("mix")
    made = read_provenance(done.metrics(key))
    assert sorted(made["slices"]) == ["augment", "evaluate", "prepare", "subsample", "train"]
    assert made["keys"] == key
    assert made["inputs"] == {"predictions": file_digest(done.trained(key)["predictions"])}


def test_same_predictions_give_same_bytes(done: Chain, tmp_path: Path) -> None:
    key = done.key("none")
    outputs = {name: tmp_path / f"{name}.parquet" for name in done.scored(key)}
    evaluate.run(words(key, RUN), '{"method_version":1}', done.trained(key)["predictions"], outputs)
    for name, path in outputs.items():
        assert path.read_bytes() == done.scored(key)[name].read_bytes()


def test_confusion_counts_the_test_rows(done: Chain) -> None:
    key = done.key("duplicate")
    rows = read_table(done.trained(key)["predictions"], "predictions")
    test = rows[rows["split"] == "test"]
    found = read_table(done.scored(key)["confusion"], "confusion")
    assert found[["label", "predicted"]].to_numpy().tolist() == [
        [true, predicted] for true in ("negative", "positive") for predicted in ("negative", "positive")
    ]
    for true, predicted, n in found.itertuples(index=False, name=None):
        assert n == ((test["label"] == true) & (test["predicted"] == predicted)).sum()


def test_calibration_gives_the_error(done: Chain) -> None:
    key = done.key("none")
    bins = read_table(done.scored(key)["calibration"], "calibration")
    gaps = (bins["n"] * (bins["accuracy"] - bins["confidence"]).abs()).sum() / bins["n"].sum()
    assert gaps == pytest.approx(read_table(done.metrics(key), "metrics").loc[0, "ece"], abs=1e-12)


def test_evaluate_and_aggregate_load_no_torch() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", TORCHLESS], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_damaged_predictions_are_told(done: Chain, tmp_path: Path) -> None:
    key = done.key("none")
    path = tmp_path / "predictions.parquet"
    path.write_bytes(done.trained(key)["predictions"].read_bytes()[:-20])
    with pytest.raises(ArtefactError, match=r"predictions.parquet: cannot be read as Parquet"):
        evaluate.run(words(key, RUN), '{"method_version":1}', path, done.scored(key))
