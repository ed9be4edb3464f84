"""Mean, spread and confidence interval of one number over data seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from hypermix.errors import ArtefactError

ROUNDING = 1e-12
"""Differences of measures below this are floating point rounding: a share of rows cannot differ by so little."""


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: The mean; NaN without values.
        sd: Standard deviation with ``n - 1`` in the denominator; NaN with fewer than two values.
        low: Lower bound of the interval; NaN with fewer than two values.
        high: Upper bound of the interval; NaN with fewer than two values.
        n: How many values.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int


def mean_interval(values: Iterable[float], level: float = 0.95, more: float = 0.0) -> Interval:
    """Return the mean of values and its Student t confidence interval.

    The t interval (Student 1908) is used and not the percentile bootstrap: experiments have few data seeds, and with
    fewer than about 10 values the bootstrap interval is too narrow and misses the true mean too often. With 3 values
    it can never reach beyond the smallest and the largest of them.

    Args:
        values: One finite number for each data seed, in the measure's own unit.
        level: Coverage of the interval, between 0 and 1.
        more: What dependence between the values adds to 1 / n in the variance of their mean; see
            `hypermix.stats.overlap`.

    Returns:
        The interval in the unit of the values. Equal values give an interval of width zero.

    Raises:
        ArtefactError: If the level is not between 0 and 1, or a value is NaN or infinite.
    """
    numbers = np.fromiter(values, dtype=np.float64)
    check_share("level", level)
    check_finite(numbers)
    n = len(numbers)
    if n < 2:
        return Interval(float(numbers[0]) if n else math.nan, math.nan, math.nan, math.nan, n)
    mean = float(numbers.mean())
    sd = float(numbers.std(ddof=1)) if np.ptp(numbers) > ROUNDING else 0.0
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * sd * math.sqrt(1 / n + more)
    return Interval(mean, sd, mean - half, mean + half, n)


def share_interval(n_right: int, n: int, level: float = 0.95) -> Interval:
    """Return a share of rows and its Wilson score interval (Wilson 1927): what a test set of this size can tell.

    Args:
        n_right: How many rows count, such as those predicted rightly.
        n: All rows.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The share as the mean, without a spread; NaN without rows.

    Raises:
        ArtefactError: If the level is not between 0 and 1.
    """
    check_share("level", level)
    if n < 1:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0)
    found = stats.binomtest(n_right, n).proportion_ci(level, method="wilson")
    return Interval(n_right / n, math.nan, float(found.low), float(found.high), n)


def check_share(name: str, value: float) -> None:
    """Check a setting such as a level, which must lie between 0 and 1.

    Raises:
        ArtefactError: If it does not, naming the setting.
    """
    if not 0 < value < 1:
        raise ArtefactError(f"statistics: {name} is {value!r}, it must lie between 0 and 1, such as 0.95 or 0.05")


def check_finite(numbers: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """Check that no value is NaN or infinite.

    Args:
        numbers: Any numbers, (n,).

    Raises:
        ArtefactError: If one is not finite, naming its position.
    """
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size:
        position = int(wrong[0])
        raise ArtefactError(
            f"statistics: value {position} is {float(numbers[position])!r}, it must be finite; "
            "leave missing runs out and check the metrics of that run"
        )
