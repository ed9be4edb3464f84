from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from hypermix.augment.quality import semantic

VECTORS = np.random.default_rng(0).normal(size=(40, 8))
OTHERS = np.random.default_rng(1).normal(size=(25, 8))


def test_spread_is_the_mean_of_all_pairs() -> None:
    assert semantic.spread(VECTORS) == pytest.approx(float(pdist(VECTORS, "cosine").mean()))


def test_spread_of_equal_rows_is_zero() -> None:
    assert semantic.spread(np.repeat(VECTORS[:1], 9, axis=0)) == pytest.approx(0)


def test_nearest_is_the_mean_of_the_least() -> None:
    wanted = float(cdist(VECTORS, OTHERS, "cosine").min(axis=1).mean())
    assert semantic.nearest(VECTORS, OTHERS) == pytest.approx(wanted)


def test_copies_are_no_distance_away() -> None:
    assert semantic.nearest(VECTORS[:5] * 3, VECTORS) == pytest.approx(0)
    assert (semantic.nearest(VECTORS[:5] * 3, VECTORS) or 0) >= 0


def test_too_few_rows_have_none() -> None:
    assert semantic.spread(VECTORS[:1]) is None
    assert semantic.nearest(VECTORS[:0], OTHERS) is None
    assert semantic.nearest(VECTORS, OTHERS[:0]) is None


def test_vectors_of_zeros_are_far_from_all() -> None:
    assert semantic.spread(np.zeros((3, 4))) == pytest.approx(1)
