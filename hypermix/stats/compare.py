"""Paired comparison of two methods over data seeds: test, correction, effect size, seeds needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hypermix.errors import ArtefactError
from hypermix.stats.interval import check_finite, check_share, mean_interval
from hypermix.stats.overlap import corrected_p

EXACT_LIMIT = 30
"""Up to this many pairs all 2**n sign patterns are counted; two halves of 2**15 sums are joined for that."""

MONTE_CARLO_DRAWS = 2**20
"""How many sign patterns are drawn beyond `EXACT_LIMIT`; the standard error of p is then at most 0.0005."""

MAX_PAIRS = 100_000
"""The largest answer of `pairs_needed`; it stands for this many or more."""

EXACT = "exact sign-flip"
MONTE_CARLO = "monte carlo sign-flip"
CORRECTED = "corrected resampled t"
NO_TEST = "none"

_CHUNK = 2**16
_BLOCK = 15  # values whose sums are tabulated together
_TIES = 1e-12  # sums that differ by less than this share of the total are equal up to rounding
_LARGE_EFFECT = 100.0  # two pairs are plenty here; the noncentral t distribution overflows far beyond


@dataclass(frozen=True)
class Comparison:
    """What is known about one paired difference: the numbers of a row of the table ``comparisons``.

    Attributes:
        n_pairs: How many data seeds have both methods.
        mean_difference: Mean of the differences, in the measure's unit; NaN without pairs.
        ci_low: Lower bound of the t interval of the mean difference; NaN with fewer than two pairs.
        ci_high: Upper bound; NaN with fewer than two pairs.
        p_value: Two-sided p value before correction; NaN with fewer than two pairs.
        test: `EXACT`, `MONTE_CARLO`, `CORRECTED` or `NO_TEST`.
        effect_size: Mean over standard deviation of the differences; NaN where not defined.
        pairs_needed: Pairs for 80 % power at this effect size; None where not defined.
    """

    n_pairs: int
    mean_difference: float
    ci_low: float
    ci_high: float
    p_value: float
    test: str
    effect_size: float
    pairs_needed: int | None


def sign_flip_p(differences: Iterable[float], seed: int = 0) -> float:
    """Return the two-sided sign-flip permutation p value of the mean difference.

    If neither method is better, each difference could as well have had the other sign (Fisher 1935, "The Design of
    Experiments", section 21). The p value is the share of sign patterns whose mean is at least as far from zero as
    the observed one; sums that are equal up to rounding count as equal. Up to `EXACT_LIMIT` pairs all patterns are
    counted. Beyond, `MONTE_CARLO_DRAWS` patterns are drawn, and the observed one is counted with them (Phipson and
    Smyth 2010, "Permutation P-values should never be zero").

    Args:
        differences: One finite difference for each data seed, (n_pairs,).
        seed: Seed of the drawn patterns; not used for exact p values.

    Returns:
        A share in (0, 1]; 1 if all differences are zero or there are none.

    Raises:
        ArtefactError: If a difference is NaN or infinite.
    """
    values = _numbers(differences)
    total = float(np.abs(values).sum())
    threshold = abs(float(values.sum())) - _TIES * total
    if threshold <= 0:
        return 1.0
    if len(values) <= EXACT_LIMIT:
        return _count_all(values, threshold) * smallest_p(len(values))
    return (1 + _count_drawn(values, threshold, seed)) / (1 + MONTE_CARLO_DRAWS)


def _count_all(values: NDArray[np.float64], threshold: float) -> int:
    """Count the sign patterns with a plus in front whose sum is at least so far from zero.

    The sums of one half of the values are sorted, so that for each sum of the other half two searches tell how many
    are far enough (Horowitz and Sahni 1974, "Computing partitions with applications to the knapsack problem").
    """
    middle = (len(values) + 1) // 2
    first, second = _sums(values[1:middle]) + values[0], np.sort(_sums(values[middle:]))
    above = len(second) - np.searchsorted(second, threshold - first, side="left")
    below = np.searchsorted(second, -threshold - first, side="right")
    return int(above.sum() + below.sum())


def _sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of all sign patterns, (2**n,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _count_drawn(values: NDArray[np.float64], threshold: float, seed: int) -> int:
    generator = np.random.Generator(np.random.PCG64(seed))
    blocks = [_sums(values[start : start + _BLOCK]) for start in range(0, len(values), _BLOCK)]
    count = 0
    for _ in range(MONTE_CARLO_DRAWS // _CHUNK):
        sums = np.zeros(_CHUNK)
        for block in blocks:
            sums += block[generator.integers(0, len(block), _CHUNK, dtype=np.uint16)]
        count += int(np.count_nonzero(np.abs(sums) >= threshold))
    return count


def reachable_p(n_pairs: int) -> float:
    """Return the smallest p value that `sign_flip_p` can give: `smallest_p`, or that of one pattern of those drawn."""
    return smallest_p(n_pairs) if n_pairs <= EXACT_LIMIT else 1 / (1 + float(MONTE_CARLO_DRAWS))


def p_error(p_value: float, n_pairs: int) -> float:
    """Return the Monte Carlo standard error of a sign-flip p value: 0 where all patterns are counted."""
    if n_pairs <= EXACT_LIMIT or math.isnan(p_value):
        return 0.0
    return math.sqrt(p_value * (1 - p_value) / MONTE_CARLO_DRAWS)


def smallest_p(n_pairs: int) -> float:
    """Return the smallest p value that the exact sign-flip test can give: ``2 / 2**n_pairs``, at most 1."""
    return 1.0 if n_pairs < 1 else math.ldexp(2.0, -n_pairs)


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p values adjusted for their number with Holm's step-down procedure.

    Holm 1979, "A simple sequentially rejective multiple test procedure". It bounds the chance of any false claim in
    the family, whatever the dependence between the tests.

    Args:
        p_values: One p value for each comparison of the family; NaN where there was no test.

    Returns:
        Adjusted p values in the given order, (n,). NaN stays NaN and does not count in the family.

    Raises:
        ArtefactError: If a p value is not between 0 and 1.
    """
    given = np.asarray(p_values, dtype=np.float64)
    outside = given[(given < 0) | (given > 1)]
    if outside.size:
        raise ArtefactError(f"statistics: a p value is {float(outside[0])!r}, it must lie between 0 and 1 or be NaN")
    adjusted = np.full(given.shape, math.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return adjusted


def effect_size(differences: Iterable[float]) -> float:
    """Return the mean of paired differences in units of their standard deviation.

    Cohen 1988, "Statistical Power Analysis for the Behavioral Sciences", section 2.3.5 (d_z).

    Args:
        differences: One finite difference for each data seed, (n_pairs,).

    Returns:
        The effect size, without a unit. If all differences are zero it is 0. It is NaN if all are equal and not zero,
        since their spread is then not known, and with fewer than two of them.

    Raises:
        ArtefactError: If a difference is NaN or infinite.
    """
    found = mean_interval(_numbers(differences))
    if found.n < 2:
        return math.nan
    if found.sd == 0:
        return 0.0 if found.mean == 0 else math.nan
    return found.mean / found.sd


def pairs_needed(effect: float, alpha: float = 0.05, power: float = 0.8, more: float = 0.0) -> int | None:
    """Return how many pairs a study needs to find an effect of this size.

    The power is that of the two-sided paired t test (noncentral t distribution; Cohen 1988, section 2.3.5) at the
    largest level up to alpha that the sign-flip test of so many pairs can have: 3.1 % for 6 pairs at 0.05, and none for
    fewer. Simulations in docs/statistics.md agree with that.

    Args:
        effect: The effect size that is assumed to be true; see `effect_size`.
        alpha: The bound for p.
        power: The chance of a p value of at most alpha.
        more: What overlapping test sets add to the variance; see `hypermix.stats.overlap`.

    Returns:
        At least 2. `MAX_PAIRS` stands for that many or more. None if no number is enough: the effect is 0 or NaN, or
        the rows that test sets share hide it.

    Raises:
        ArtefactError: If alpha or power is not between 0 and 1.
    """
    check_share("alpha", alpha)
    check_share("power", power)
    if math.isnan(effect) or effect == 0:
        return None
    size = min(abs(effect), _LARGE_EFFECT)

    def enough(n_pairs: int) -> bool:
        return smallest_p(n_pairs) <= alpha and paired_power(n_pairs, size, alpha, more) >= power

    low, high = 2, 2
    while not enough(high):
        if high >= MAX_PAIRS:
            return MAX_PAIRS if more == 0 else None
        low, high = high + 1, min(2 * high, MAX_PAIRS)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def paired_power(n_pairs: int, effect: float, alpha: float = 0.05, more: float = 0.0) -> float:
    """Return the chance that so many pairs give a p value of at most alpha; see `pairs_needed`.

    Args:
        n_pairs: How many pairs, at least two, enough for the sign-flip test to reach alpha.
        effect: The effect size that is assumed to be true, above 0.
        alpha: The bound for p.
        more: What overlapping test sets add to the variance; see `hypermix.stats.overlap`.
    """
    level = alpha
    if more == 0 and n_pairs <= EXACT_LIMIT:
        # Of 2**(n - 1) p values so many are at most alpha; with few pairs the level that is reached is well below it.
        patterns = math.floor(alpha / smallest_p(n_pairs))
        if patterns == 1:  # all differences must have one sign
            return float(special.ndtr(effect) ** n_pairs + special.ndtr(-effect) ** n_pairs)
        level = patterns * smallest_p(n_pairs)
    freedom, shift = n_pairs - 1, effect / math.sqrt(1 / n_pairs + more)
    critical = float(special.stdtrit(freedom, 1 - level / 2))
    missed, wrong_sign = (float(special.nctdtr(freedom, shift, bound)) for bound in (critical, -critical))
    return 1 - missed + (0.0 if math.isnan(wrong_sign) else wrong_sign)


def compare_pairs(
    differences: Iterable[float], level: float = 0.95, alpha: float = 0.05, more: float = 0.0
) -> Comparison:
    """Return everything that a table says about one paired difference.

    Where test sets overlap, the sign-flip test does not hold, since its differences must be independent: the corrected
    resampled t test stands in its place. Its p value is held at what the sign-flip test of as many pairs could give, so
    that no few differences that happen to be alike prove anything.

    Args:
        differences: One finite difference for each data seed that has both methods, (n_pairs,).
        level: Coverage of the interval.
        alpha: The bound for p in `pairs_needed`, for one comparison alone.
        more: What overlapping test sets add to the variance; see `hypermix.stats.overlap`.

    Raises:
        ArtefactError: If a difference is NaN or infinite, or level or alpha is not between 0 and 1.
    """
    values = _numbers(differences)
    found = mean_interval(values, level, more)
    effect = effect_size(values)
    if found.n < 2:
        p_value, test = math.nan, NO_TEST
    elif more:
        p_value, test = max(corrected_p(values, more), smallest_p(found.n)), CORRECTED
    else:
        p_value, test = sign_flip_p(values), EXACT if found.n <= EXACT_LIMIT else MONTE_CARLO
    needed = pairs_needed(effect, alpha, more=more)
    return Comparison(found.n, found.mean, found.low, found.high, p_value, test, effect, needed)


def _numbers(differences: Iterable[float]) -> NDArray[np.float64]:
    values = np.fromiter(differences, dtype=np.float64)
    check_finite(values)
    return values
