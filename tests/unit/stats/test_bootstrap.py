from __future__ import annotations

import math

import numpy as np
import pytest

from hypermix.stats.bootstrap import FEWEST, bootstrap_interval

HIGH = [[0.72, 0.74], [0.71, 0.75], [0.70], [0.74, 0.72, 0.76], [0.73, 0.71], [0.75, 0.74]]
LOW = [[0.70, 0.71], [0.70], [0.69, 0.70], [0.71, 0.70], [0.70, 0.72], [0.71, 0.70]]


def test_interval_holds_the_mean_difference() -> None:
    low, high = bootstrap_interval(HIGH, LOW)
    mean = np.mean([np.mean(ours) - np.mean(theirs) for ours, theirs in zip(HIGH, LOW, strict=True)])
    assert low < mean < high


def test_sides_change_the_sign() -> None:
    plain = [[value[0]] for value in HIGH], [[value[0]] for value in LOW]
    low, high = bootstrap_interval(*plain)
    assert bootstrap_interval(plain[1], plain[0]) == pytest.approx((-high, -low))


def test_higher_level_is_wider() -> None:
    narrow, wide = bootstrap_interval(HIGH, LOW, 0.8), bootstrap_interval(HIGH, LOW, 0.95)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_same_seed_gives_same_interval() -> None:
    assert bootstrap_interval(HIGH, LOW, seed=1) == bootstrap_interval(HIGH, LOW, seed=1)
    assert bootstrap_interval(HIGH, LOW, seed=1) != bootstrap_interval(HIGH, LOW, seed=2)


@pytest.mark.parametrize("n", range(FEWEST))
def test_few_seeds_have_no_interval(n: int) -> None:
    assert all(math.isnan(bound) for bound in bootstrap_interval(HIGH[:n], LOW[:n]))


def test_equal_differences_have_no_width() -> None:
    assert bootstrap_interval([[0.7]] * 6, [[0.6]] * 6) == pytest.approx((0.1, 0.1))


def test_many_seeds_agree_with_the_t_interval() -> None:
    generator = np.random.default_rng(3)
    ours, theirs = generator.normal(0.72, 0.02, (60, 1)), generator.normal(0.7, 0.02, (60, 1))
    gaps = (ours - theirs)[:, 0]
    half = 2.0 * gaps.std(ddof=1) / math.sqrt(60)
    found = bootstrap_interval(ours.tolist(), theirs.tolist())
    assert found == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.0012)
