from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.errors import ArtefactError
from hypermix.stats.order import eps_min, violation

HUNDREDTHS = st.lists(st.integers(0, 100), min_size=1, max_size=8)


def slow_violation(ours: list[int], theirs: list[int]) -> float:
    """Integrate over a grid that both step functions fit."""
    n, m = len(ours), len(theirs)
    first, second = np.repeat(sorted(ours), m), np.repeat(sorted(theirs), n)
    gaps = (first - second) / 100
    whole = (gaps**2).sum()
    return float((np.minimum(gaps, 0) ** 2).sum() / whole) if whole else 0.5


@given(HUNDREDTHS, HUNDREDTHS)
def test_violation_equals_a_slow_integral(ours: list[int], theirs: list[int]) -> None:
    found = violation(np.array(ours) / 100, np.array(theirs) / 100)
    assert float(found) == pytest.approx(slow_violation(ours, theirs), abs=1e-12)


@given(HUNDREDTHS, HUNDREDTHS)
def test_violations_of_both_sides_sum_to_one(ours: list[int], theirs: list[int]) -> None:
    first, second = np.array(ours) / 100, np.array(theirs) / 100
    assert float(violation(first, second) + violation(second, first)) == pytest.approx(1.0)


def test_dominance_leaves_nothing_open() -> None:
    low, high = np.linspace(0.6, 0.65, 8), np.linspace(0.7, 0.75, 8)
    assert eps_min(high, low, 0) == 0
    assert eps_min(low, high, 0) == 1


def test_equal_scores_are_not_ordered() -> None:
    assert eps_min([0.7] * 6, [0.7] * 6, 0) == 0.5


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([0.7], [0.6]), ([0.7, 0.8], [0.6])])
def test_one_score_says_nothing(ours: list[float], theirs: list[float]) -> None:
    assert math.isnan(eps_min(ours, theirs, 0))


def test_bound_is_above_the_ratio() -> None:
    generator = np.random.default_rng(4)
    ours, theirs = generator.normal(0.71, 0.02, 10), generator.normal(0.7, 0.02, 10)
    assert float(violation(ours, theirs)) < eps_min(ours, theirs, 0) <= eps_min(ours, theirs, 0, 0.99)


def test_same_seed_gives_same_bound() -> None:
    generator = np.random.default_rng(5)
    ours, theirs = generator.normal(0.71, 0.02, 10), generator.normal(0.7, 0.02, 10)
    assert eps_min(ours, theirs, 1) == eps_min(ours, theirs, 1)


def test_missing_score_is_refused() -> None:
    with pytest.raises(ArtefactError, match="value 1 is nan"):
        eps_min([0.7, math.nan], [0.6, 0.7], 0)
