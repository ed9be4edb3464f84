"""The rules that turn a tested comparison into an outcome."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypermix.stats.compare import holm, smallest_p

HELPS = "helps"
HURTS = "hurts"
MIXED = "mixed"
NO_DIFFERENCE = "no_difference"
CANNOT_TELL = "cannot_tell"
NOTHING = "nothing"

OUTCOMES: tuple[str, ...] = (HELPS, HURTS, MIXED, NO_DIFFERENCE, CANNOT_TELL, NOTHING)
"""Every outcome that a verdict can have."""


@dataclass(frozen=True)
class Finding:
    """An augmenter against one baseline.

    Attributes:
        baseline: The name of the baseline.
        outcome: `HELPS`, `HURTS`, `NO_DIFFERENCE` or `CANNOT_TELL`.
        mean: Mean of the metric with the baseline; NaN if unknown.
        mean_difference: Augmenter minus baseline, in the metric's unit; NaN without pairs.
        ci_low: Lower bound of the difference's interval; NaN with fewer than two pairs.
        ci_high: Upper bound; NaN with fewer than two pairs.
        p_value: Two-sided p value before correction; NaN without a test.
        p_adjusted: The p value corrected for all comparisons; NaN without a test.
        n_pairs: Data seeds that have both.
        pairs_needed: Data seeds that a difference of this size needs; None if not defined.
        family: How many comparisons are corrected for, this one included.
        seeds_for_test: The fewest data seeds with which the corrected test can reach alpha.
        usd_per_seed: Dollars that the augmenter paid for a data seed here; NaN if unknown.
    """

    baseline: str
    outcome: str
    mean: float
    mean_difference: float
    ci_low: float
    ci_high: float
    p_value: float
    p_adjusted: float
    n_pairs: int
    pairs_needed: int | None
    family: int
    seeds_for_test: int
    usd_per_seed: float = math.nan

    @property
    def largest_difference(self) -> float:
        """The bound of the interval that is further from zero: what the data still allow; NaN without an interval."""
        return max(self.ci_low, self.ci_high, key=abs)

    @property
    def seeds_needed(self) -> int:
        """How many data seeds would tell: as many as the test needs, and as a difference of this size needs."""
        return max(self.seeds_for_test, self.pairs_needed or 0)

    @property
    def usd_needed(self) -> float:
        """What the data seeds that are missing would cost the augmenter, in dollars; NaN if unknown."""
        return max(self.seeds_needed - self.n_pairs, 0) * self.usd_per_seed


def can_answer(n_pairs: int, other_p_values: Iterable[float], alpha: float) -> bool:
    """Tell whether the test of one comparison could have given an adjusted p value of at most alpha.

    The smallest p value that this many pairs can give is put in its place and corrected with the rest of its family.
    With a family of one, 6 pairs are enough at 0.05; every doubling of the family takes one pair more.

    Args:
        n_pairs: Data seeds that have both methods.
        other_p_values: The p values of the rest of the family; NaN where there was no test.
        alpha: The bound for p.
    """
    best = holm([smallest_p(n_pairs), *other_p_values])[0]
    return bool(best <= alpha)


def seeds_for_test(other_p_values: Iterable[float], alpha: float) -> int:
    """Return the fewest pairs with which a comparison can reach alpha; see `can_answer`.

    A comparison that has no test yet is counted as if it had one: more data seeds would give it one.
    """
    others = [1.0 if math.isnan(p_value) else p_value for p_value in other_p_values]
    n_pairs = 2
    while not can_answer(n_pairs, others, alpha):
        n_pairs += 1
    return n_pairs


def judge_pair(mean_difference: float, p_adjusted: float, answerable: bool, alpha: float) -> str:
    """Return the outcome of one comparison.

    Args:
        mean_difference: Augmenter minus baseline.
        p_adjusted: The corrected p value; NaN without a test.
        answerable: Whether the test could have reached alpha; see `can_answer`.
        alpha: The bound for p.

    Returns:
        `HELPS`, `HURTS`, `NO_DIFFERENCE`, or `CANNOT_TELL` if no test could have answered.
    """
    if not answerable or math.isnan(p_adjusted):
        return CANNOT_TELL
    if p_adjusted > alpha:
        return NO_DIFFERENCE
    return HELPS if mean_difference > 0 else HURTS


def join_baselines(outcomes: Sequence[str]) -> str:
    """Return the outcome of one augmenter in one setting from its outcomes against each baseline.

    It helps only if it helps against every baseline, and hurts if it hurts against any. Both at once is `MIXED`.
    A gain over one baseline that is not shown against another is no gain.
    """
    if not outcomes:
        return NOTHING
    if HURTS in outcomes:
        return MIXED if HELPS in outcomes else HURTS
    if all(outcome == HELPS for outcome in outcomes):
        return HELPS
    return CANNOT_TELL if CANNOT_TELL in outcomes else NO_DIFFERENCE


def join_settings(outcomes: Sequence[str]) -> str:
    """Return the outcome of an experiment from those of all augmenters in all settings.

    If some help and others do not, it is `MIXED`. Settings with nothing to compare do not count.
    """
    told = [outcome for outcome in outcomes if outcome != NOTHING]
    if MIXED in told or (HELPS in told and any(outcome != HELPS for outcome in told)):
        return MIXED
    return join_baselines(told)
