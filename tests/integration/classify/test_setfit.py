"""SetFit by its real library, on the tiny model."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hypermix.classify import setfit as module
from hypermix.classify.device import CPU
from hypermix.classify.finetune import Moment
from hypermix.classify.setfit import MOST_ROWS, Pairs, train_setfit
from hypermix.errors import TrainError
from tests.tiny import LONGEST, toy_rows

PAIRS = Pairs(iterations=3, epochs=2, batch_size=8, learning_rate=5e-3, max_length=LONGEST)
SPLITS = ("train", "validation", "test")
COUNTS = (12, 8, 20)
Result = tuple[Moment, dict[str, NDArray[np.float64]]]


def rows_of(counts: tuple[int, ...] = COUNTS) -> tuple[dict[str, list[str]], dict[str, NDArray[np.int64]]]:
    made = {name: toy_rows(count, seed) for seed, (name, count) in enumerate(zip(SPLITS, counts, strict=True))}
    texts = {name: [text for text, _ in rows] for name, rows in made.items()}
    return texts, {name: np.array([int(label == "positive") for _, label in rows]) for name, rows in made.items()}


def trained(tiny: Path, seed: int = 1, n_labels: int = 2, counts: tuple[int, ...] = COUNTS, **changes: Any) -> Result:
    texts, labels = rows_of(counts)
    pairs = Pairs(**{**PAIRS.__dict__, **changes})
    return train_setfit(str(tiny), texts, labels, n_labels, pairs, seed, CPU)


@pytest.fixture(scope="module")
def done(tiny: Path) -> Result:
    return trained(tiny)


def test_all_splits_but_train_are_predicted(done: Result) -> None:
    moment, found = done
    assert {name: part.shape for name, part in found.items()} == {"validation": (8, 2), "test": (20, 2)}
    for part in found.values():
        assert part.sum(axis=1) == pytest.approx(1.0)
    right = rows_of()[1]["validation"]
    assert moment.validation_accuracy == (found["validation"].argmax(axis=1) == right).mean()


def test_history_tells_steps_and_loss(done: Result) -> None:
    moment, _ = done
    assert (moment.epoch, moment.step) == (2, 2 * 3 * 2 * 12 // 8)  # pairs of one and of two labels for each row
    assert 0.0 < moment.train_loss < 1.0
    assert moment.learning_rate == 5e-3
    assert moment.seconds > 0
    assert moment.peak_mb > 0


def test_seed_decides(tiny: Path, done: Result) -> None:
    _, same = trained(tiny)
    _, other = trained(tiny, seed=2**63)
    assert np.array_equal(same["test"], done[1]["test"])
    assert not np.array_equal(other["test"], done[1]["test"])


def test_pairs_teach(tiny: Path) -> None:
    moment, _ = trained(tiny, counts=(24, 20, 1), iterations=6, epochs=3)
    assert moment.validation_accuracy > 0.8


def test_absent_label_gets_nothing(tiny: Path) -> None:
    _, found = trained(tiny, n_labels=3, epochs=1)
    assert found["test"].shape == (20, 3)
    assert (found["test"][:, 2] == 0).all()


def test_no_validation_rows_are_no_accuracy(tiny: Path) -> None:
    moment, found = trained(tiny, counts=(12, 0, 3), epochs=1)
    assert math.isnan(moment.validation_accuracy)
    assert found["validation"].shape == (0, 2)


def test_long_rows_are_told(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(tiny, epochs=1, max_length=8)
    assert any(told.endswith("of 12 train rows are longer than 8 tokens and are cut") for told in caplog.messages)


def test_nothing_is_printed_or_left(tiny: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = dict(os.environ)
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        trained(tiny, epochs=1)
    finally:
        os.chdir(here)
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err == ""
    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == before


def test_pickled_head_of_a_folder_is_not_read(tiny: Path, tmp_path: Path, done: Result) -> None:
    import shutil

    folder = Path(shutil.copytree(tiny, tmp_path / "bert"))
    (folder / "model_head.pkl").write_bytes(b"cposix\nsystem\n(S'touch " + str(tmp_path).encode() + b"/run'\ntR.")
    assert np.array_equal(trained(folder)[1]["test"], done[1]["test"])
    assert not (tmp_path / "run").exists()


# What it does not take.


def test_library_that_is_not_installed_is_told(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "setfit", None)
    with pytest.raises(TrainError, match=r"method: setfit needs its library, which is not installed; pip inst"):
        trained(tiny)


@pytest.mark.parametrize(("count", "known"), [(0, 0), (1, 1)])
def test_rows_of_one_label_are_told(tiny: Path, count: int, known: int) -> None:
    wanted = rf"compares rows of two labels, and the {count} rows of train have {known}; raise subsample.train"
    with pytest.raises(TrainError, match=wanted):
        trained(tiny, counts=(count, 1, 1))


def test_too_many_rows_are_told(tiny: Path) -> None:
    with pytest.raises(TrainError, match=rf"takes at most {MOST_ROWS}, and there are {MOST_ROWS + 1}; lower subsample"):
        trained(tiny, counts=(MOST_ROWS + 1, 1, 1))


def test_model_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(TrainError, match=r"cannot be loaded: .+; name a folder or a hub id with safetensors"):
        trained(tmp_path)


def test_memory_that_runs_out_is_told(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module, "_train", run_out)
    with pytest.raises(TrainError, match=r"memory is too small for a batch of pairs; lower the classifier's ba"):
        trained(tiny)
