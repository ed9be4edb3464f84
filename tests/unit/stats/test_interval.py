from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.errors import ArtefactError
from hypermix.stats.interval import Interval, check_finite, check_share, mean_interval, share_interval

SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=20)


def test_known_interval_is_found() -> None:
    # t(0.975, 2) = 4.30265 from a printed table; sd = 1
    found = mean_interval([1.0, 2.0, 3.0])
    half = 4.30265 / math.sqrt(3)
    assert (found.mean, found.sd, found.n) == (2.0, 1.0, 3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-5)


def test_higher_level_is_wider() -> None:
    narrow, wide = mean_interval([1.0, 2.0, 3.0], 0.9), mean_interval([1.0, 2.0, 3.0], 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@given(SHARES)
def test_interval_is_symmetric_around_mean(values: list[float]) -> None:
    found = mean_interval(values)
    assert found.low <= found.mean <= found.high
    assert found.high - found.mean == pytest.approx(found.mean - found.low, abs=1e-9)


@given(SHARES, st.floats(-10, 10))
def test_shift_moves_the_interval(values: list[float], shift: float) -> None:
    before, after = mean_interval(values), mean_interval([value + shift for value in values])
    assert (after.low, after.high) == pytest.approx((before.low + shift, before.high + shift), abs=1e-9)


def test_interval_covers_as_promised() -> None:
    generator = np.random.default_rng(0)
    found = [mean_interval(generator.normal(0, 1, 4)) for _ in range(2000)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in found])
    assert 0.94 < covered < 0.96


def test_one_value_has_no_interval() -> None:
    found = mean_interval([0.7])
    assert (found.mean, found.n) == (0.7, 1)
    assert all(math.isnan(number) for number in (found.sd, found.low, found.high))


def test_no_value_has_no_mean() -> None:
    found = mean_interval([])
    assert found.n == 0
    assert all(math.isnan(number) for number in (found.mean, found.sd, found.low, found.high))


@pytest.mark.parametrize("n", [2, 3, 7, 10])
def test_equal_values_have_zero_width(n: int) -> None:
    found = mean_interval([0.1] * n)  # the plain standard deviation of these is not exactly zero
    assert found.sd == 0.0
    assert found.low == found.mean == found.high == pytest.approx(0.1)


def test_rounding_is_not_spread() -> None:
    assert mean_interval([0.3, 0.1 + 0.2]).sd == 0.0


def test_series_is_accepted() -> None:
    assert mean_interval(pd.Series([1.0, 3.0], index=[5, 9])) == mean_interval([1.0, 3.0])


def test_interval_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Interval(1.0, 0.0, 1.0, 1.0, 2).mean = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.5, math.nan])
def test_wrong_level_is_refused(level: float) -> None:
    with pytest.raises(ArtefactError, match=f"level is {level!r}, it must lie between 0 and 1, such as 0.95"):
        mean_interval([1.0, 2.0], level)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ArtefactError, match=f"value 1 is {value!r}, it must be finite; leave missing runs out"):
        mean_interval([1.0, value])


def test_sound_settings_pass_the_checks() -> None:
    check_share("alpha", 0.05)
    check_finite(np.array([1.0, -2.0]))


def test_wilson_interval_of_a_book_is_found() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 and 15 of 148 at 95 %.
    found = share_interval(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    found = share_interval(15, 148)
    assert (found.low, found.high) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@given(st.integers(1, 5000), st.data(), st.floats(0.5, 0.999))
def test_share_lies_in_its_interval(n: int, data: st.DataObject, level: float) -> None:
    right = data.draw(st.integers(0, n))
    found = share_interval(right, n, level)

    assert -1e-12 <= found.low <= right / n + 1e-12
    assert right / n - 1e-12 <= found.high <= 1 + 1e-12
    assert (found.mean, found.n) == (right / n, n)
    assert found.high - found.low > 0


def test_no_rows_give_no_share() -> None:
    found = share_interval(0, 0)

    assert found.n == 0
    assert all(math.isnan(value) for value in (found.mean, found.low, found.high))


def test_level_of_a_share_is_checked() -> None:
    with pytest.raises(ArtefactError, match="level"):
        share_interval(1, 2, 1.0)
