from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hypermix.classify import probe as module
from hypermix.classify.probe import Fit, fit_probe
from hypermix.errors import TrainError

N_ROWS, WIDTH, LABELS = 60, 8, 3
NONE = np.zeros((0, WIDTH)), np.zeros(0, dtype=np.int64)
PENALTIES = [10.0, 1.0, 0.1, 0.01]


def make(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Make embeddings far from zero, and soft labels that hang on them."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(N_ROWS, WIDTH)) * 4.0 + 3.0
    scores = (vectors - 3.0) @ generator.normal(size=(WIDTH, LABELS)) / 4.0 + generator.normal(size=(N_ROWS, LABELS))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return vectors, shares.astype(np.float32)


def slowly(vectors: NDArray[np.float64], targets: NDArray[np.float32], penalty: float, scale: float) -> NDArray[Any]:
    """Fit by scikit-learn: each row stands there once a label, with the label's probability as its weight."""
    rows = np.repeat((vectors - vectors.mean(axis=0)) / scale, LABELS, axis=0)
    labels = np.tile(np.arange(LABELS), len(vectors))
    model = LogisticRegression(C=1 / penalty, tol=1e-12, max_iter=10_000)
    model.fit(rows, labels, sample_weight=targets.astype(np.float64).reshape(-1))
    found: NDArray[Any] = model.predict_proba(rows[::LABELS])
    return found


def fit(vectors: NDArray[np.float64], targets: NDArray[np.float32], **changes: Any) -> Fit:
    return fit_probe(vectors, targets, *changes.get("validation", NONE), changes.get("penalties", PENALTIES))


# The optimum.


@pytest.mark.parametrize("penalty", [100.0, *PENALTIES, 1e-3])
@pytest.mark.parametrize("weighted", [False, True])
def test_head_is_that_of_a_regression_on_weighted_rows(penalty: float, weighted: bool) -> None:
    vectors, targets = make()
    if weighted:
        targets = targets * np.linspace(0.1, 2.0, N_ROWS, dtype=np.float32)[:, None]
    found = fit(vectors, targets, penalties=[penalty])
    assert found.head.predict(vectors) == pytest.approx(slowly(vectors, targets, penalty, found.head.scale), abs=1e-6)


def test_centering_changes_no_optimum() -> None:
    vectors, targets = make()
    found = fit(vectors, targets).head
    moved = fit(vectors + 50.0, targets).head
    assert moved.predict(vectors + 50.0) == pytest.approx(found.predict(vectors), abs=1e-5)


def test_penalty_means_the_same_for_any_scale() -> None:
    vectors, targets = make()
    assert fit(vectors * 100.0, targets).head.predict(vectors * 100.0) == pytest.approx(
        fit(vectors, targets).head.predict(vectors), abs=1e-5
    )


def test_soft_labels_are_learned() -> None:
    targets = np.full((N_ROWS, 2), 0.5, dtype=np.float32)
    targets[::2] = [0.8, 0.2]
    vectors = np.eye(2)[[row % 2 for row in range(N_ROWS)]]
    found = fit_probe(vectors, targets, vectors[:0], NONE[1], [1e-4])
    assert found.head.predict(vectors[:2]) == pytest.approx(np.array([[0.8, 0.2], [0.5, 0.5]]), abs=1e-3)


def test_same_rows_give_the_same_bits() -> None:
    one, other = (fit(*make()) for _ in range(2))
    torch.manual_seed(3)  # what is global is nothing to it
    third = fit(*make())
    assert torch.equal(one.head.weights, other.head.weights)
    assert torch.equal(one.head.weights, third.head.weights)


# The choice.


def test_best_validation_accuracy_decides() -> None:
    vectors, targets = make()
    other, shares = make(1)
    right = shares.argmax(axis=1)
    found = fit(vectors, targets, validation=(other, right))
    alone = [fit(vectors, targets, validation=(other, right), penalties=[penalty]) for penalty in PENALTIES]
    accuracies = [float((one.head.predict(other).argmax(axis=1) == right).mean()) for one in alone]
    assert [moment.validation_accuracy for moment in found.history] == accuracies
    assert found.penalty == PENALTIES[accuracies.index(max(accuracies))]
    assert found.kept.validation_accuracy == max(accuracies)
    assert torch.equal(found.head.weights, alone[PENALTIES.index(found.penalty)].head.weights)


def test_first_of_equal_penalties_is_taken() -> None:
    vectors, targets = make()
    same = vectors[:1], np.array([int(fit(vectors, targets).head.predict(vectors[:1]).argmax())])
    assert fit(vectors, targets, validation=same, penalties=[0.02, 0.01, 0.03]).penalty == 0.02


def test_without_validation_the_middle_is_taken() -> None:
    found = fit(*make(), penalties=[9.0, 1.0, 0.1])
    assert found.penalty == 1.0
    assert found.kept == found.history[1]
    assert math.isnan(found.kept.validation_accuracy)


def test_history_has_a_moment_a_penalty() -> None:
    told = list[tuple[int, float]]()
    vectors, targets = make()
    found = fit_probe(vectors, targets, *NONE, PENALTIES, lambda moment, penalty: told.append((moment.epoch, penalty)))
    assert told == [(1, 10.0), (2, 1.0), (3, 0.1), (4, 0.01)]
    losses = [moment.train_loss for moment in found.history]
    assert losses == sorted(losses, reverse=True)  # a weaker penalty fits closer
    steps = [moment.step for moment in found.history]
    assert steps == sorted(set(steps))
    assert all(
        moment.seconds > 0 and moment.peak_mb > 0 and math.isnan(moment.learning_rate) for moment in found.history
    )


def test_head_that_is_not_fitted_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "_ITERATIONS", 2)
    with caplog.at_level(logging.WARNING):
        fit(*make(), penalties=[0.01])
    assert any(told.startswith("penalty 0.01: the head is not fitted after 2 steps") for told in caplog.messages)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_separable_rows_are_fitted(penalty: float, caplog: pytest.LogCaptureFixture) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(40, 300))  # more numbers than rows, as with a real encoder
    targets = np.eye(4, dtype=np.float32)[generator.integers(0, 4, 40)]
    with caplog.at_level(logging.WARNING):
        found = fit_probe(vectors, targets, vectors, targets.argmax(axis=1), [penalty])
    assert caplog.messages == []
    if penalty < 1.0:
        assert found.kept.validation_accuracy == 1.0
    assert found.kept.train_loss < math.log(4)


# Odd rows.


def test_one_row_is_enough() -> None:
    found = fit(np.ones((1, WIDTH)), np.array([[0.0, 1.0, 0.0]], dtype=np.float32))
    assert found.head.predict(np.ones((2, WIDTH))).argmax(axis=1).tolist() == [1, 1]


def test_absent_label_is_hardly_predicted() -> None:
    vectors, targets = make()
    targets[:, 2] = 0.0
    shares = fit(vectors, targets).head.predict(vectors)
    assert shares.shape == (N_ROWS, LABELS)
    assert shares[:, 2].max() < 0.01


def test_no_rows_are_told() -> None:
    with pytest.raises(TrainError, match=r"training needs rows, and train has none; raise subsample.train"):
        fit(NONE[0], np.zeros((0, LABELS), dtype=np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embedding_that_is_no_number_is_told(value: float) -> None:
    vectors, targets = make()
    vectors[3, 1] = value
    with pytest.raises(TrainError, match=r"an embedding is not a finite number; set precision: float32, or take"):
        fit(vectors, targets)
