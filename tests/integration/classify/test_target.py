from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hypermix.classify.target import join, shape, smooth

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
SOFT = np.array([[0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2], [0.0, 1.0, 0.0]], dtype=np.float32)
REAL = np.eye(3, dtype=np.float32)[[0, 2]]
NONE = np.zeros((0, 3), dtype=np.float32)


@st.composite
def soft_labels(draw: st.DrawFn) -> NDArray[np.float32]:
    counts = st.lists(st.integers(0, 1000), min_size=3, max_size=3).filter(any)
    rows = np.array(draw(st.lists(counts, min_size=1, max_size=5)), dtype=np.float64)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), dtype=np.float32)


def test_soft_labels_stay() -> None:
    assert shape(SOFT, "soft", 0.5) is SOFT


def test_hard_is_the_first_likeliest_label() -> None:
    assert shape(SOFT, "hard", 0.5).tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_sharpened_is_the_power_of_the_temperature() -> None:
    squares = SOFT.astype(np.float64) ** 2
    assert shape(SOFT, "sharpened", 0.5) == pytest.approx(squares / squares.sum(axis=1, keepdims=True), abs=1e-6)


def test_temperature_one_changes_nothing() -> None:
    assert shape(SOFT, "sharpened", 1.0) == pytest.approx(SOFT, abs=1e-7)


def test_a_temperature_near_zero_is_hard_but_for_ties() -> None:
    found = shape(SOFT, "sharpened", 1e-6)
    assert found[[0, 1, 3]] == pytest.approx(shape(SOFT, "hard", 1.0)[[0, 1, 3]])
    assert found[2] == pytest.approx([0.5, 0.5, 0.0])


@STEADY
@given(soft_labels(), st.sampled_from(["soft", "hard", "sharpened"]), st.floats(1e-9, 1.0), st.floats(0.0, 0.9))
def test_targets_are_probabilities(soft: NDArray[np.float32], kind: str, sharpen: float, share: float) -> None:
    found = smooth(shape(soft, kind, sharpen), share)  # type: ignore[arg-type]
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(len(soft)), abs=1e-5)


@STEADY
@given(soft_labels(), st.floats(0.01, 1.0))
def test_sharpening_keeps_the_order(soft: NDArray[np.float32], sharpen: float) -> None:
    found = shape(soft, "sharpened", sharpen)
    assert (found.max(axis=1) >= soft.max(axis=1) - 1e-6).all()
    for row, sharp in zip(soft, found, strict=True):
        assert (np.diff(sharp[np.argsort(row, kind="stable")]) >= -1e-6).all()


@pytest.mark.parametrize("kind", ["soft", "hard", "sharpened"])
def test_no_rows_stay_none(kind: str) -> None:
    assert shape(NONE, kind, 0.5).shape == (0, 3)  # type: ignore[arg-type]


def test_smoothing_spreads_a_share() -> None:
    assert smooth(REAL, 0.3) == pytest.approx(np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]))
    assert np.array_equal(smooth(REAL, 0.0), REAL)


def test_equal_weights_leave_rows_alone() -> None:
    assert np.array_equal(join(REAL, SOFT), np.concatenate([REAL, SOFT]))


@pytest.mark.parametrize("weight", [0.1, 0.5, 3.0])
def test_a_synthetic_row_counts_as_much_as_its_weight(weight: float) -> None:
    sums = join(REAL, SOFT, weight).sum(axis=1)
    assert sums.mean() == pytest.approx(1.0)
    assert sums[2:] / sums[0] == pytest.approx(np.full(4, weight))
    assert sums[0] == pytest.approx(sums[1])


def test_weights_scale_whole_targets() -> None:
    found = join(REAL, SOFT, 0.5)
    assert found / found.sum(axis=1, keepdims=True) == pytest.approx(np.concatenate([REAL, SOFT]), abs=1e-6)


@pytest.mark.parametrize(("real", "synthetic"), [(REAL, NONE), (NONE, SOFT), (NONE, NONE)])
def test_one_kind_alone_has_weight_one(real: NDArray[np.float32], synthetic: NDArray[np.float32]) -> None:
    assert join(real, synthetic, 0.25) == pytest.approx(np.concatenate([real, synthetic]))
