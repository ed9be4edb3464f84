from __future__ import annotations

import numpy as np
import pytest

from hypermix.augment.quality import label


def test_shift_is_the_share_that_must_change() -> None:
    assert label.shift(["a", "b"] * 5, ["b", "a"]) == 0
    assert label.shift(["a"] * 10, ["a", "b"]) == pytest.approx(0.5)
    assert label.shift(["c"] * 3, ["a", "b"]) == pytest.approx(1)
    assert label.shift(["a", "a", "a", "b"], ["a", "b"]) == pytest.approx(0.25)


def test_entropy_is_between_sure_and_knowing_nothing() -> None:
    assert label.entropy(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])) == 0
    assert label.entropy(np.full((4, 3), 1 / 3)) == pytest.approx(1)
    assert label.entropy(np.array([[0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])) == pytest.approx(0.25)


def test_hard_labels_are_not_soft() -> None:
    assert not label.is_soft(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert label.is_soft(np.array([[1.0, 0.0], [0.4, 0.6]]))
    assert not label.is_soft(np.zeros((0, 2)))
