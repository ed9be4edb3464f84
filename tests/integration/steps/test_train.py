from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hypermix import tables
from hypermix.config import experiment
from hypermix.config.load import merge
from hypermix.errors import TrainError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.hashing import file_digest
from hypermix.steps import train
from tests.integration.steps.chain import RUN, Chain, MakeChain, words
from tests.tiny import write_csv


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


# Matched steps. Four real rows in batches of four are one step a pass; `double` has eight more.

MATCHED = {
    "augmenters": {"double": {"method": "duplicate", "multiplier": 2.0}, "mix": None},
    "classifiers": {"tiny": {"max_steps": None, "epochs": 3, "match": "double"}},
    "except": [],
}


def matched_chain(make_chain: MakeChain, augmenters: tuple[str, ...], **overlay: Any) -> Chain:
    chain = make_chain(**merge(MATCHED, overlay))
    chain.prepare()
    chain.subsample(chain.key("double"))
    chain.augment(chain.key("double"))
    for name in augmenters:
        chain.augment(chain.key(name))
        chain.train(chain.key(name))
    return chain


def history(chain: Chain, augmenter: str) -> pd.DataFrame:
    return read_table(chain.trained(chain.key(augmenter))["history"], "history")


def test_all_augmenters_get_the_steps_of_the_matched_one(
    make_chain: MakeChain, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hypermix"):
        chain = matched_chain(make_chain, ("none", "duplicate", "double"))
    for name in ("none", "duplicate", "double"):
        assert history(chain, name)["step"].tolist() == [3, 6, 9], name
        assert history(chain, name)["epoch"].tolist() == [1, 2, 3]
    assert caplog.messages.count("an epoch has 3 steps, as with the augmenter double") == 3


def test_without_a_match_steps_differ(make_chain: MakeChain) -> None:
    chain = matched_chain(make_chain, ("none", "double"), classifiers={"tiny": {"match": None}})
    assert history(chain, "none")["step"].tolist() == [1, 2, 3]
    assert history(chain, "double")["step"].tolist() == [3, 6, 9]


def test_a_match_with_itself_changes_no_prediction(make_chain: MakeChain) -> None:
    one = matched_chain(make_chain, ("double",))
    other = matched_chain(make_chain, ("double",), classifiers={"tiny": {"match": None}})
    found = [read_table(chain.trained(chain.key("double"))["predictions"], "predictions") for chain in (one, other)]
    pd.testing.assert_frame_equal(found[0], found[1], check_exact=True)


def test_steps_of_equal_number_are_plain(make_chain: MakeChain) -> None:
    settings = {"max_steps": 7, "epochs": None, "match": None}
    chain = matched_chain(make_chain, ("none", "double"), classifiers={"tiny": settings})
    assert {history(chain, name)["step"].max() for name in ("none", "double")} == {7}


def test_provenance_tells_the_matched_rows(make_chain: MakeChain) -> None:
    chain = matched_chain(make_chain, ("none",))
    made = read_provenance(chain.trained(chain.key("none"))["predictions"])
    assert made["slices"]["augment"]["augmenter"]["method"] == "none"
    assert made["slices"]["match"]["augmenter"]["multiplier"] == 2.0
    assert made["inputs"]["matched"] == file_digest(chain.augmented(chain.key("double"))["synthetic"])
    assert made["run"]["n_synthetic"] == 0


# What the settings change.

CHANGES: dict[str, dict[str, Any]] = {
    **{name: {name: value} for name, value in {"epsilon": 1e-3, "weight_decay": 0.9, "clip": 0.01}.items()},
    "schedule": {"schedule": "linear"},
    "warmup": {"warmup": 0.5},
    "keep": {"keep": "last", "learning_rate": 2e-2},
    "reinit_layers": {"reinit_layers": 1},
    "hard targets": {"targets": "hard"},
    "sharpened targets": {"targets": "sharpened", "sharpen": 0.3},
    "label_smoothing": {"label_smoothing": 0.4},
    "synthetic_weight": {"synthetic_weight": 0.05},
    "tmix": {"method": "tmix"},
    "tmix of mixtext": {"method": "tmix", "mixing": "mixtext"},
    "tmix in one layer": {"method": "tmix", "layers": [1], "layers_of": 2},
}


@pytest.fixture(scope="module")
def soft(settings: dict[str, Any], cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Return a draw with synthetic rows whose labels are soft."""
    chain = Chain(tmp_path_factory.mktemp("soft"), cache, settings)
    chain.prepare()
    key = chain.key("duplicate")
    chain.subsample(key)
    chain.augment(key)
    path = chain.augmented(key)["synthetic"]
    rows = read_table(path, "synthetic")
    rows["soft_label"] = [[0.7, 0.3] if label == "negative" else [0.2, 0.8] for label in rows["label"]]
    write_table(path, tables.from_columns("synthetic", rows), read_provenance(path))
    return chain


def test_each_setting_changes_predictions(soft: Chain) -> None:
    found: dict[str, bytes] = {}
    for name, change in {"nothing": {}, **CHANGES}.items():
        chain = Chain(soft.results, soft.cache, merge(soft.raw, {"classifiers": {"tiny": change}}))
        chain.train(chain.key("duplicate"))
        shares = np.array([*predictions(chain, "duplicate")["probabilities"]])
        assert np.isfinite(shares).all()
        found[name] = shares.tobytes()
    assert len(set(found.values())) == len(found)


# Few rows, and none.


def test_no_validation_rows_are_told(soft: Chain, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    key = soft.key("duplicate")
    inputs = {**soft.drawn(key), "synthetic": soft.augmented(key)["synthetic"]}
    none = read_table(inputs["validation"], "validation").head(0)
    inputs["validation"] = tmp_path / "validation.parquet"
    made = read_provenance(soft.drawn(key)["validation"])
    write_table(inputs["validation"], tables.from_columns("validation", none), made)
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("predictions", "history")}
    with caplog.at_level(logging.INFO, "hypermix"):
        train.run(words(key, RUN), experiment.train_slice(soft.config, "tiny"), inputs, outputs)
    assert "there are no validation rows: no accuracy tells when to stop, and the last weights are kept" in caplog.text
    assert "kept the weights of step 12 of 12: no validation rows" in caplog.messages
    assert read_provenance(outputs["predictions"])["kept"] == "last, since there are no validation rows"
    assert read_table(outputs["history"], "history")["validation_accuracy"].isna().all()
    assert set(read_table(outputs["predictions"], "predictions")["split"]) == {"test"}


def test_provenance_tells_which_weights_are_kept(done: Chain) -> None:
    assert read_provenance(done.trained(done.key("none"))["predictions"])["kept"] == "best"


def test_a_loss_that_is_not_finite_names_rows(soft: Chain) -> None:
    chain = Chain(soft.results, soft.cache, merge(soft.raw, {"classifiers": {"tiny": {"learning_rate": 1.0}}}))
    key = chain.key("duplicate")
    path = chain.augmented(key)["synthetic"]
    rows = read_table(path, "synthetic")
    made = read_provenance(path)
    broken = rows.assign(soft_label=[[float("nan"), 0.5]] * len(rows))
    write_table(path, tables.from_columns("synthetic", broken), made)
    try:
        with pytest.raises(TrainError) as caught:
            chain.train(key)
    finally:
        write_table(path, tables.from_columns("synthetic", rows), made)
    named = str(caught.value).partition("with the ids ")[2].partition(";")[0].split(", ")
    drawn = read_table(chain.drawn(key)["train"], "train")["id"]
    assert set(named) <= {*rows["id"], *drawn}
    assert set(named) & {*rows["id"]}


def test_missing_model_stops(make_chain: MakeChain, tmp_path: Path) -> None:
    chain = make_chain(classifiers={"tiny": {"model": str(tmp_path / "gone")}})
    chain.prepare()
    with pytest.raises(TrainError, match="gone: no such folder"):
        chain.up_to_train(chain.key("none"))
    assert not (chain.results / "train").exists()
