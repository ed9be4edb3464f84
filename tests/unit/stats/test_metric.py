from __future__ import annotations

import math
import random
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn import metrics as reference

from hypermix.errors import ArtefactError
from hypermix.stats import metric
from hypermix.tables import METRICS

Predictions = tuple[NDArray[np.int64], NDArray[np.float64]]

SURE_RIGHT = np.array([[1.0, 0.0], [0.0, 1.0]])
EVEN = np.array([[0.5, 0.5], [0.5, 0.5]])
BOTH = np.array([0, 1])


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    """Draw labels and probabilities with many ties, zeros and absent classes."""
    n = draw(st.integers(1, 30))
    n_classes = draw(st.integers(2, 20))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, n_classes - 1)))
    weights = draw(hnp.arrays(np.float64, (n, n_classes), elements=st.integers(0, 4).map(float)))
    weights[weights.sum(axis=1) == 0] = 1
    return labels, weights / weights.sum(axis=1, keepdims=True)


@given(predictions())
def test_accuracy_equals_scikit_learn(drawn: Predictions) -> None:
    labels, probabilities = drawn
    expected = reference.accuracy_score(labels, probabilities.argmax(axis=1))
    assert metric.accuracy(labels, probabilities) == pytest.approx(expected, abs=1e-12)


@given(predictions())
def test_macro_f1_equals_scikit_learn(drawn: Predictions) -> None:
    labels, probabilities = drawn
    classes = range(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    expected = reference.f1_score(labels, predicted, labels=list(classes), average="macro", zero_division=0)
    assert metric.macro_f1(labels, probabilities) == pytest.approx(expected, abs=1e-12)


@given(predictions())
def test_mcc_equals_scikit_learn(drawn: Predictions) -> None:
    labels, probabilities = drawn
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # one class alone: scikit-learn warns
        expected = reference.matthews_corrcoef(labels, probabilities.argmax(axis=1))
    assert metric.mcc(labels, probabilities) == pytest.approx(expected, abs=1e-12)


@given(predictions())
def test_log_loss_equals_scikit_learn(drawn: Predictions) -> None:
    labels, probabilities = drawn
    expected = reference.log_loss(labels, probabilities, labels=list(range(probabilities.shape[1])))
    assert metric.log_loss(labels, probabilities) == pytest.approx(expected, abs=1e-12)


@given(predictions())
def test_brier_equals_scikit_learn(drawn: Predictions) -> None:
    labels, probabilities = drawn
    classes = list(range(probabilities.shape[1]))
    expected = reference.brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False)
    assert metric.brier(labels, probabilities) == pytest.approx(expected, abs=1e-12)


@given(predictions())
def test_ece_equals_slow_implementation(drawn: Predictions) -> None:
    labels, probabilities = drawn
    total = 0.0
    for position in range(15):
        low, high = position / 15, (position + 1) / 15
        inside = [row for row in range(len(labels)) if low < probabilities[row].max() <= high]
        if inside:
            hits = sum(probabilities[row].argmax() == labels[row] for row in inside) / len(inside)
            confidence = sum(probabilities[row].max() for row in inside) / len(inside)
            total += len(inside) / len(labels) * abs(hits - confidence)
    assert metric.ece(labels, probabilities) == pytest.approx(total, abs=1e-12)


@given(predictions())
def test_measures_stay_in_their_range(drawn: Predictions) -> None:
    found = metric.score(*drawn)
    limits = {
        "accuracy": (0, 1),
        "macro_f1": (0, 1),
        "mcc": (-1, 1),
        "log_loss": (0, 37),
        "brier": (0, 2),
        "ece": (0, 1),
    }
    rounding = 1e-12
    assert all(low - rounding <= found[name] <= high + rounding for name, (low, high) in limits.items())


@given(predictions(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(drawn: Predictions, shuffler: random.Random) -> None:
    labels, probabilities = drawn
    order = list(range(len(labels)))
    shuffler.shuffle(order)
    assert metric.score(labels[order], probabilities[order]) == pytest.approx(
        metric.score(labels, probabilities), abs=1e-12
    )


def test_scores_stand_in_column_order() -> None:
    assert tuple(metric.score(BOTH, SURE_RIGHT)) == METRICS


def test_scores_are_plain_floats() -> None:
    assert {type(value) for value in metric.score(BOTH, EVEN).values()} == {float}


def test_perfect_predictions_score_best() -> None:
    found = metric.score(BOTH, SURE_RIGHT)
    expected = {"accuracy": 1, "macro_f1": 1, "mcc": 1, "log_loss": 0, "brier": 0, "ece": 0}
    assert found == pytest.approx(expected, abs=1e-12)


def test_ties_go_to_first_label() -> None:
    assert metric.accuracy(np.array([0, 0]), EVEN) == 1.0


def test_sure_and_wrong_costs_the_most() -> None:
    found = metric.score(BOTH, SURE_RIGHT[::-1])
    assert (found["brier"], found["ece"]) == (2.0, 1.0)
    assert found["log_loss"] == pytest.approx(-math.log(metric.EPSILON))


def test_absent_class_lowers_macro_f1() -> None:
    three = np.hstack([SURE_RIGHT, np.zeros((2, 1))])
    assert metric.macro_f1(BOTH, three) == pytest.approx(2 / 3)


def test_mcc_of_one_class_is_zero() -> None:
    assert metric.mcc(np.array([0, 0]), SURE_RIGHT) == 0.0


def test_ece_finds_the_overconfident() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.95, 0.05]] * 4)
    assert metric.ece(labels, probabilities) == pytest.approx(0.95 - 0.75)


def test_ece_bins_are_closed_above() -> None:
    probabilities = np.array([[0.6, 0.4], [0.601, 0.399]])  # 0.6 is the edge of the ninth bin
    apart = (abs(1 - 0.6) + abs(0 - 0.601)) / 2
    assert metric.ece(np.array([0, 1]), probabilities) == pytest.approx(apart)


def test_twenty_classes_are_scored() -> None:
    labels = np.arange(20)
    found = metric.score(labels, np.full((20, 20), 0.05))
    assert found["accuracy"] == 0.05
    assert found["log_loss"] == pytest.approx(math.log(20))


def test_inputs_are_left_unchanged() -> None:
    labels, probabilities = BOTH.copy(), SURE_RIGHT.copy()
    metric.score(labels, probabilities)
    assert (labels == BOTH).all()
    assert (probabilities == SURE_RIGHT).all()


def test_float32_rounding_is_accepted() -> None:
    rounded = np.array([[1 / 3] * 3], dtype=np.float32).astype(np.float64)
    assert metric.accuracy(np.array([0]), rounded) == 1.0


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (np.array([[0], [1]]), EVEN, r"labels have the shape \(2, 1\) and probabilities \(2, 2\), they must be"),
        (BOTH, np.array([0.5, 0.5]), r"probabilities \(2,\), they must be \(n,\) and \(n, n_classes\)"),
        (np.array([0]), EVEN, r"labels have the shape \(1,\) and probabilities \(2, 2\)"),
        (BOTH, np.zeros((2, 0)), r"probabilities \(2, 0\)"),
        (np.zeros(0, dtype=np.int64), np.zeros((0, 2)), "there are 0 rows, a measure needs at least 1; check"),
        (np.array([0.0, 1.0]), EVEN, "labels have the type 'float64', they must be integer positions"),
        (np.array([0, 2]), EVEN, "row 1 has the label 2, labels are positions from 0 to 1; train this run again"),
        (np.array([-1, 1]), EVEN, "row 0 has the label -1, labels are positions from 0 to 1"),
        (BOTH, np.array([[0.5, 0.5], [math.nan, 0.5]]), "row 1 has probabilities from nan with the sum nan"),
        (BOTH, np.array([[1.5, -0.5], [0.5, 0.5]]), "row 0 has probabilities from -0.5 with the sum 1.0"),
        (BOTH, np.array([[2.0, 1.0], [0.5, 0.5]]), "row 0 .* the sum 3.0, they must not be negative or NaN and must"),
    ],
)
@pytest.mark.parametrize("name", METRICS)
def test_wrong_predictions_are_refused(
    name: str, labels: NDArray[np.int64], probabilities: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(ArtefactError, match=message):
        getattr(metric, name)(labels, probabilities)


# What the measures are made of.


@given(predictions())
def test_confusion_equals_scikit_learn(drawn: Predictions) -> None:
    labels, probabilities = drawn
    classes = list(range(probabilities.shape[1]))
    expected = reference.confusion_matrix(labels, probabilities.argmax(axis=1), labels=classes)
    assert metric.confusion(labels, probabilities).tolist() == expected.tolist()


@given(predictions())
def test_calibration_bins_give_the_error(drawn: Predictions) -> None:
    labels, probabilities = drawn
    bins = {name: np.array(values) for name, values in metric.calibration(labels, probabilities).items()}
    gaps = np.abs(bins["accuracy"] - bins["confidence"])
    assert bins["n"].sum() == len(labels)
    assert np.nansum(gaps * bins["n"]) / len(labels) == pytest.approx(metric.ece(labels, probabilities), abs=1e-12)
    known = bins["n"] > 0
    assert (np.isnan(bins["accuracy"]) == ~known).all()
    assert (bins["low"][known] <= bins["confidence"][known] + 1e-12).all()
    assert (bins["confidence"][known] <= bins["high"][known] + 1e-12).all()
