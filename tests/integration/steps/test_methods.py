"""Training by the methods that are no loop of ours, and what all methods say of model and machine."""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hypermix import tables
from hypermix.config import experiment
from hypermix.errors import TrainError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.steps import train
from tests.integration.steps.chain import RUN, Chain, MakeChain, words
from tests.tiny import write_csv

PROBE = {"method": "probe", "penalties": [10.0, 1.0, 0.1]}
SETFIT = {"method": "setfit", "iterations": 2, "batch_size": 4, "max_length": 24}


@pytest.fixture
def with_classifier(make_chain: MakeChain, settings: dict[str, Any]) -> MakeChain:
    """Return a function that makes an experiment with one other classifier on the tiny model."""

    def make(**classifier: Any) -> Chain:
        model = settings["classifiers"]["tiny"]["model"]
        chain = make_chain(classifiers={"tiny": None, "own": {"model": model, **classifier}})
        chain.prepare()
        return chain

    return make


def run(chain: Chain, augmenter: str = "duplicate") -> dict[str, Path]:
    chain.up_to_train(chain.key(augmenter))
    return chain.trained(chain.key(augmenter))


# Probe.


def test_probe_predicts_validation_and_test(with_classifier: MakeChain) -> None:
    outputs = run(with_classifier(**PROBE))
    found = read_table(outputs["predictions"], "predictions")
    assert found["split"].value_counts().to_dict() == {"test": 20, "validation": 8}
    shares = np.array([*found["probabilities"]])
    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert found["predicted"].tolist() == [("negative", "positive")[best] for best in shares.argmax(axis=1)]


def test_probe_tells_its_choice(with_classifier: MakeChain) -> None:
    outputs = run(with_classifier(**PROBE))
    history, made = read_table(outputs["history"], "history"), read_provenance(outputs["predictions"])
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["learning_rate"].isna().all()
    best = int(history["validation_accuracy"].argmax())
    assert made["penalty"] == PROBE["penalties"][best]
    assert (made["pooling"], made["normalized"]) == ("mean", False)
    assert made["run"] == {
        **{"n_train": 4, "n_synthetic": 4, "best_epoch": best + 1},
        "steps": int(history["step"].iloc[-1]),
    }
    rows = read_table(outputs["predictions"], "predictions")
    rows = rows[rows["split"] == "validation"]
    assert (rows["predicted"] == rows["label"]).mean() == history["validation_accuracy"].max()


def test_probe_gives_the_same_bytes(with_classifier: MakeChain) -> None:
    chain = with_classifier(**PROBE)
    first = run(chain)["predictions"].read_bytes()
    torch.rand(3)
    chain.train(chain.key("duplicate"))
    assert chain.trained(chain.key("duplicate"))["predictions"].read_bytes() == first


def test_probe_is_evaluated_like_any_other(with_classifier: MakeChain) -> None:
    chain = with_classifier(**PROBE)
    run(chain)
    metrics = read_table(chain.evaluate(chain.key("duplicate")), "metrics")
    assert 0.0 <= metrics["accuracy"].iloc[0] <= 1.0
    assert metrics["n_synthetic"].iloc[0] == 4


def test_probe_pools_as_the_model_says(with_classifier: MakeChain, settings: dict[str, Any], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(settings["classifiers"]["tiny"]["model"], tmp_path / "bert"))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    made = read_provenance(run(with_classifier(**PROBE, model=str(folder)))["predictions"])
    assert made["pooling"] == "first"


# SetFit.


def test_setfit_predicts_validation_and_test(with_classifier: MakeChain) -> None:
    outputs = run(with_classifier(**SETFIT))
    found = read_table(outputs["predictions"], "predictions")
    assert found["split"].value_counts().to_dict() == {"test": 20, "validation": 8}
    history = read_table(outputs["history"], "history")
    assert history["step"].tolist() == [2 * 2 * 8 // 4]
    assert read_provenance(outputs["predictions"])["run"]["n_synthetic"] == 4


def test_setfit_without_its_library_is_told(with_classifier: MakeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "setfit", None)
    with pytest.raises(TrainError, match="method: setfit needs its library, which is not installed"):
        run(with_classifier(**SETFIT))


# Odd rows, for all methods.


SMOOTHED = {"method": "finetune", "max_steps": 2, "label_smoothing": 0.1}


@pytest.mark.parametrize(
    "classifier",
    [PROBE, {"method": "finetune", "max_steps": 2}, SMOOTHED],
    ids=["probe", "finetune", "smoothed"],
)
def test_absent_label_is_told(
    with_classifier: MakeChain, classifier: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    chain = with_classifier(**classifier)
    key = chain.key("none")
    chain.subsample(key)
    chain.augment(key)
    path = chain.drawn(key)["train"]
    rows = read_table(path, "train")

    write_table(path, tables.from_columns("train", rows[rows["label"] == "positive"].iloc[:1]), read_provenance(path))
    with caplog.at_level(logging.WARNING):
        chain.train(key)
    assert "no train row has the label 'negative', which is not learned" in caplog.messages
    assert read_provenance(chain.trained(key)["predictions"])["run"]["n_train"] == 1


@pytest.mark.parametrize(
    ("share", "told"), [(0.4, True), (0.6, False)], ids=["never the likeliest", "likeliest in a synthetic row"]
)
def test_soft_label_counts_where_it_is_the_likeliest(
    with_classifier: MakeChain, share: float, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chain = with_classifier(**SMOOTHED)
    key = chain.key("duplicate")
    chain.subsample(key)
    chain.augment(key)
    drawn, made = chain.drawn(key)["train"], chain.augmented(key)["synthetic"]
    real, synthetic = read_table(drawn, "train"), read_table(made, "synthetic")
    synthetic["soft_label"] = [[share, 1 - share]] * len(synthetic)
    positive = tables.from_columns("train", real[real["label"] == "positive"])
    write_table(drawn, positive, read_provenance(drawn))
    write_table(made, tables.from_columns("synthetic", synthetic), read_provenance(made))
    with caplog.at_level(logging.WARNING):
        chain.train(key)
    assert ("no train row has the label 'negative', which is not learned" in caplog.messages) == told


def test_long_rows_are_cut_and_told(
    make_chain: MakeChain, settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = str(write_csv(tmp_path / "long.csv", [("good " * 40, "positive"), ("bad", "negative")] * 4))
    model = settings["classifiers"]["tiny"]["model"]
    chain = make_chain(datasets={"toy": {"test": source}}, classifiers={"tiny": None, "own": {"model": model, **PROBE}})
    chain.prepare()
    with caplog.at_level(logging.INFO, "hypermix"):
        run(chain)
    assert "4 of 8 test rows are longer than 24 tokens and are cut" in caplog.messages
    assert "the model takes 24 tokens at most: max_length 512 has no effect" in caplog.messages


# Model and machine.


@pytest.mark.parametrize("classifier", [PROBE, {"method": "finetune", "max_steps": 2}], ids=["probe", "finetune"])
@pytest.mark.parametrize(("precision", "wanted"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_provenance_tells_where_it_was_computed(
    with_classifier: MakeChain, classifier: dict[str, Any], precision: str, wanted: str
) -> None:
    outputs = run(with_classifier(**classifier, device="cpu", precision=precision))
    made = read_provenance(outputs["predictions"])
    assert (made["device"], made["precision"], made["commit"]) == ("cpu", wanted, None)
    assert (read_table(outputs["history"], "history")["peak_mb"] > 50).all()


def test_gpu_that_is_not_there_stops(with_classifier: MakeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainError, match="device: cuda asks for a GPU"):
        run(with_classifier(**PROBE, device="cuda"))


def test_offline_asks_no_hub(with_classifier: MakeChain) -> None:
    chain = with_classifier(**PROBE, model="acme/no-such-encoder", revision="v1")
    key = chain.key("none")
    chain.subsample(key)
    chain.augment(key)
    slice_json = experiment.train_slice(chain.config, "own")
    inputs = {**chain.drawn(key), "synthetic": chain.augmented(key)["synthetic"]}
    with pytest.raises(TrainError, match="acme/no-such-encoder: revision 'v1' is not on this machine as a whole"):
        train.run(words(key, RUN), slice_json, inputs, chain.trained(key), {"offline": True})
    assert not (chain.results / "train").exists()
