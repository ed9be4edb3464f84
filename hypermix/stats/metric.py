"""The measures of one run, from true labels and predicted probabilities.

Axis order everywhere: labels are (n,), probabilities are (n, n_classes), classes in label order (sorted label names).
The predicted class is the one with the highest probability; of equal ones it is the first in label order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hypermix.errors import ArtefactError
from hypermix.tables import METRICS

Labels = NDArray[np.int64]
"""True classes: (n,), positions in label order."""

Probabilities = NDArray[np.float64]
"""Predicted probabilities: (n, n_classes), each row sums to 1."""

ECE_BINS = 15
"""Number of equal-width confidence bins; Guo et al. 2017, section 4 (their tables use M = 15)."""

EPSILON = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [EPSILON, 1 - EPSILON] before a logarithm, as scikit-learn does for float64."""

_SUM_TOLERANCE = 1e-3  # probabilities often come from float16 or float32


def accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the share of rows whose predicted class is the true one, 0 to 1.

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    _check(labels, probabilities)
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def macro_f1(labels: Labels, probabilities: Probabilities) -> float:
    """Return the plain mean of the F1 scores of all classes, 0 to 1.

    A class with neither a true nor a predicted row counts as 0, as in scikit-learn with all labels given and
    ``zero_division=0``.

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    counts = confusion(labels, probabilities)
    hits = np.diag(counts)
    involved = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.mean(2 * hits / np.maximum(involved, 1)))


def mcc(labels: Labels, probabilities: Probabilities) -> float:
    """Return the Matthews correlation coefficient for any number of classes, -1 to 1.

    It is 0 where it is not defined: all rows of one true class, or all predicted to be of one class.
    Formula: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    counts = confusion(labels, probabilities).astype(np.float64)
    true, predicted, n = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * n - true @ predicted
    spread = (n**2 - predicted @ predicted) * (n**2 - true @ true)
    return float(covariance / np.sqrt(spread)) if spread else 0.0


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean negative natural logarithm of the true class's probability, in nats.

    Probabilities are clipped by `EPSILON`, so a row costs at most about 36 nats.

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    _check(labels, probabilities)
    clipped = np.clip(probabilities, EPSILON, 1 - EPSILON)
    return float(-np.log(clipped[np.arange(len(labels)), labels]).mean())


def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean over rows of the squared error summed over all classes, 0 to 2.

    This is the original form for any number of classes (Brier 1950). With two classes it is twice the one-class form
    that some libraries report.

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    _check(labels, probabilities)
    error = probabilities.astype(np.float64)
    error[np.arange(len(labels)), labels] -= 1
    return float(np.mean((error**2).sum(axis=1)))


def ece(labels: Labels, probabilities: Probabilities) -> float:
    """Return the expected calibration error of the highest probability, 0 to 1.

    Rows are put into `ECE_BINS` equal-width bins (low, high] by their highest probability. The error is the mean over
    rows of the gap between accuracy and mean confidence of the row's bin: Guo et al. 2017, "On Calibration of Modern
    Neural Networks", equation 3.

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    confidence, correct, bins = _binned(labels, probabilities)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def calibration(labels: Labels, probabilities: Probabilities) -> dict[str, list[float]]:
    """Return the bins of `ece`, also those without rows.

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Returns:
        The columns of the table ``calibration``, a row for each of `ECE_BINS` bins: its bounds ``low`` and ``high``,
        its rows ``n``, and their mean ``confidence`` and ``accuracy``, NaN without rows.

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    confidence, correct, bins = _binned(labels, probabilities)
    n = np.bincount(bins, minlength=ECE_BINS)
    rows = np.where(n > 0, n, np.nan)
    edges = np.arange(ECE_BINS + 1) / ECE_BINS
    return {
        "low": edges[:-1].tolist(),
        "high": edges[1:].tolist(),
        "n": n.tolist(),
        "confidence": (np.bincount(bins, weights=confidence, minlength=ECE_BINS) / rows).tolist(),
        "accuracy": (np.bincount(bins, weights=correct, minlength=ECE_BINS) / rows).tolist(),
    }


def _binned(
    labels: Labels, probabilities: Probabilities
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Return for each row its highest probability, whether its class is the true one, and its bin."""
    _check(labels, probabilities)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    inner_edges = np.arange(1, ECE_BINS) / ECE_BINS
    return confidence, correct, np.searchsorted(inner_edges, confidence, side="left").astype(np.int64)


_MEASURES: dict[str, Callable[[Labels, Probabilities], float]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "mcc": mcc,
    "log_loss": log_loss,
    "brier": brier,
    "ece": ece,
}


def score(labels: Labels, probabilities: Probabilities) -> dict[str, float]:
    """Return all measures of a run by name, in the order of `hypermix.tables.METRICS`.

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    return {name: _MEASURES[name](labels, probabilities) for name in METRICS}


def confusion(labels: Labels, probabilities: Probabilities) -> NDArray[np.int64]:
    """Count rows by true class (first axis) and predicted class (second axis).

    Args:
        labels: True classes, (n,) integers in label order.
        probabilities: Predicted probabilities, (n, n_classes).

    Returns:
        Counts, (n_classes, n_classes).

    Raises:
        ArtefactError: If the arrays do not fit each other or hold impossible values.
    """
    _check(labels, probabilities)
    n_classes = probabilities.shape[1]
    cells = labels * n_classes + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def _check(labels: Labels, probabilities: Probabilities) -> None:
    _check_shapes(labels, probabilities)
    n_classes = probabilities.shape[1]
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if outside.size:
        row = int(outside[0])
        raise ArtefactError(
            f"predictions: row {row} has the label {int(labels[row])!r}, "
            f"labels are positions from 0 to {n_classes - 1}; train this run again"
        )
    sums = probabilities.sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= _SUM_TOLERANCE) | (probabilities < 0).any(axis=1))
    if wrong.size:
        row = int(wrong[0])
        raise ArtefactError(
            f"predictions: row {row} has probabilities from {float(probabilities[row].min())!r} with the sum "
            f"{float(sums[row])!r}, they must not be negative or NaN and must sum to 1; train this run again"
        )


def _check_shapes(labels: Labels, probabilities: Probabilities) -> None:
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities) or not probabilities.shape[1]:
        raise ArtefactError(
            f"predictions: labels have the shape {labels.shape!r} and probabilities {probabilities.shape!r}, "
            "they must be (n,) and (n, n_classes); train this run again"
        )
    if not len(labels):
        raise ArtefactError("predictions: there are 0 rows, a measure needs at least 1; check the test split")
    if labels.dtype.kind not in "iu":
        raise ArtefactError(
            f"predictions: labels have the type {str(labels.dtype)!r}, they must be integer positions in label order"
        )
