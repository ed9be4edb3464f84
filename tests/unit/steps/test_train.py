from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hypermix import tables
from hypermix.errors import TrainError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.hashing import file_digest
from tests.tiny import write_csv
from tests.unit.steps.chain import Chain
from tests.unit.steps.conftest import MakeChain


def predictions(chain: Chain, augmenter: str, data_seed: int = 11) -> pd.DataFrame:
    return read_table(chain.trained(chain.key(augmenter, data_seed))["predictions"], "predictions")


def test_files_have_their_schemas(done: Chain) -> None:
    for key in done.runs:
        for table, path in done.trained(key).items():
            assert list(read_table(path, table)) == tables.schema(table).names


def test_validation_and_test_are_predicted(done: Chain) -> None:
    key = done.key("none")
    found = predictions(done, "none")
    for name in ("validation", "test"):
        drawn = read_table(done.drawn(key)[name], name)
        part = found[found["split"] == name]
        assert part["id"].tolist() == drawn["id"].tolist()
        assert part["label"].tolist() == drawn["label"].tolist()
    assert len(found) == 28


def test_predicted_is_the_likeliest_label(done: Chain) -> None:
    for augmenter in ("none", "duplicate", "mix"):
        found = predictions(done, augmenter)
        shares = np.array([*found["probabilities"]])
        assert shares.sum(axis=1) == pytest.approx(1.0)
        assert found["predicted"].tolist() == [("negative", "positive")[best] for best in shares.argmax(axis=1)]


def test_history_ends_at_max_steps(done: Chain) -> None:
    history = read_table(done.trained(done.key("duplicate"))["history"], "history")
    assert history["step"].tolist() == [2, 4, 6, 8, 10, 12]
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (history["seconds"] > 0).all()
    assert (history["learning_rate"] == 5e-3).all()


def test_best_validation_accuracy_is_that_of_predictions(done: Chain) -> None:
    for augmenter in ("none", "duplicate", "mix"):
        history = read_table(done.trained(done.key(augmenter))["history"], "history")
        rows = predictions(done, augmenter)
        rows = rows[rows["split"] == "validation"]
        assert (rows["predicted"] == rows["label"]).mean() == history["validation_accuracy"].max()


def test_provenance_counts_rows_and_steps(done: Chain) -> None:
    for augmenter, path in (
        (name, done.trained(done.key(name))["predictions"]) for name in ("none", "duplicate", "mix")
    ):
        made = read_provenance(path)
        kept = read_table(done.augmented(done.key(augmenter))["synthetic"], "synthetic")["kept"].sum()
        assert made["run"]["n_train"] == 4
        assert made["run"]["n_synthetic"] == kept
        assert made["run"]["steps"] == 12
        assert 1 <= made["run"]["best_epoch"] <= 12


def test_provenance_holds_slices_and_weights(done: Chain) -> None:
    key = done.key("mix")
    made = read_provenance(done.trained(key)["predictions"])
    assert sorted(made["slices"]) == ["augment", "prepare", "subsample", "train"]
    assert made["keys"] == key
    weights = Path(done.raw["classifiers"]["tiny"]["model"]) / "model.safetensors"
    assert made["weights"] == {"model.safetensors": file_digest(weights)}
    assert sorted(made["inputs"]) == ["synthetic", "test", "train", "validation"]
    assert made["inputs"]["synthetic"] == file_digest(done.augmented(key)["synthetic"])


def test_synthetic_rows_change_the_result(done: Chain) -> None:
    shares = [np.array([*predictions(done, name)["probabilities"]]) for name in ("none", "duplicate", "mix")]
    assert not np.array_equal(shares[0], shares[1])
    assert not np.array_equal(shares[1], shares[2])


def test_same_run_gives_same_bytes(done: Chain, make_chain: MakeChain) -> None:
    chain = make_chain()
    chain.prepare()
    key = chain.key("duplicate")
    chain.up_to_train(key)
    assert chain.trained(key)["predictions"].read_bytes() == done.trained(key)["predictions"].read_bytes()
    one, other = (read_table(made.trained(key)["history"], "history") for made in (done, chain))
    measured = ["seconds", "peak_mb"]
    pd.testing.assert_frame_equal(one.drop(columns=measured), other.drop(columns=measured), check_exact=True)


def test_rejected_rows_are_not_trained_on(done: Chain, make_chain: MakeChain) -> None:
    chain = make_chain()
    chain.prepare()
    key = chain.key("duplicate")
    chain.subsample(key)
    chain.augment(key)
    path = chain.augmented(key)["synthetic"]
    rows = read_table(path, "synthetic")
    rows.loc[0, "kept"] = False
    rows.loc[0, "reason"] = "no label"
    made = read_provenance(path)
    write_table(path, tables.from_columns("synthetic", rows), made)
    chain.train(key)
    assert read_provenance(chain.trained(key)["predictions"])["run"]["n_synthetic"] == 3


def test_cut_rows_are_told(make_chain: MakeChain, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [("good " * 40, "positive"), ("bad", "negative")] * 4
    source = str(write_csv(tmp_path / "long.csv", rows))
    chain = make_chain(datasets={"toy": {"test": source}})
    chain.prepare()
    with caplog.at_level(logging.INFO, "hypermix"):
        chain.up_to_train(chain.key("none"))
    assert "4 of 8 test rows are longer than 24 tokens and are cut" in caplog.messages
    assert any(message.startswith("step 12, loss ") for message in caplog.messages)
    assert any(message.startswith("kept the weights of step ") for message in caplog.messages)


def test_missing_model_stops(make_chain: MakeChain, tmp_path: Path) -> None:
    chain = make_chain(classifiers={"tiny": {"model": str(tmp_path / "gone")}})
    chain.prepare()
    with pytest.raises(TrainError, match="gone: no such folder"):
        chain.up_to_train(chain.key("none"))
    assert not (chain.results / "train").exists()
