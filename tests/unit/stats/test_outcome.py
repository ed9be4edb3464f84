from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.stats.compare import holm, smallest_p
from hypermix.stats.outcome import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    MIXED,
    NO_DIFFERENCE,
    NOTHING,
    OUTCOMES,
    can_answer,
    join_baselines,
    join_settings,
    judge_pair,
    seeds_for_test,
)

PAIR_OUTCOMES = st.sampled_from([HELPS, HURTS, NO_DIFFERENCE, CANNOT_TELL])


@pytest.mark.parametrize(
    ("n_pairs", "expected"), [(0, False), (1, False), (3, False), (5, False), (6, True), (9, True)]
)
def test_six_pairs_can_answer_alone(n_pairs: int, expected: bool) -> None:
    assert can_answer(n_pairs, [], 0.05) is expected


@pytest.mark.parametrize(("n_others", "expected"), [(0, 6), (1, 7), (3, 8), (4, 8), (5, 8), (6, 9), (299, 14)])
def test_larger_families_need_more_seeds(n_others: int, expected: int) -> None:
    assert seeds_for_test([0.9] * n_others, 0.05) == expected


def test_rejected_others_do_not_count() -> None:
    # Holm goes on with the rest of the family once the smallest p values are rejected
    assert can_answer(6, [0.0001], 0.05)
    assert not can_answer(6, [0.9], 0.05)


def test_comparisons_without_test_do_not_count() -> None:
    assert can_answer(6, [math.nan] * 5, 0.05)


def test_seeds_to_come_count_untested_comparisons() -> None:
    assert seeds_for_test([math.nan] * 2, 0.05) == seeds_for_test([1.0] * 2, 0.05) == 7


def test_one_pair_never_answers() -> None:
    assert not can_answer(1, [], 0.999)
    assert seeds_for_test([], 0.999) == 2


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.2))
def test_seeds_for_test_are_the_fewest(others: list[float], alpha: float) -> None:
    needed = seeds_for_test(others, alpha)
    assert can_answer(needed, others, alpha)
    assert needed == 2 or not can_answer(needed - 1, others, alpha)


@given(st.integers(2, 20), st.lists(st.floats(0, 1), max_size=8), st.floats(0, 1), st.floats(0.001, 0.2))
def test_what_is_rejected_could_be_answered(n_pairs: int, others: list[float], share: float, alpha: float) -> None:
    p_value = max(share, smallest_p(n_pairs))
    if holm([p_value, *others])[0] <= alpha:
        assert can_answer(n_pairs, others, alpha)


@pytest.mark.parametrize(
    ("difference", "p_adjusted", "answerable", "expected"),
    [
        (0.02, 0.03, True, HELPS),
        (0.02, 0.05, True, HELPS),
        (-0.02, 0.03, True, HURTS),
        (0.02, 0.051, True, NO_DIFFERENCE),
        (-0.02, 1.0, True, NO_DIFFERENCE),
        (0.0, 1.0, True, NO_DIFFERENCE),
        (0.02, 0.25, False, CANNOT_TELL),
        (0.02, math.nan, False, CANNOT_TELL),
        (math.nan, math.nan, True, CANNOT_TELL),
    ],
)
def test_pair_is_judged_by_the_rules(difference: float, p_adjusted: float, answerable: bool, expected: str) -> None:
    assert judge_pair(difference, p_adjusted, answerable, 0.05) == expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], NOTHING),
        ([HELPS], HELPS),
        ([HELPS, HELPS], HELPS),
        ([HELPS, NO_DIFFERENCE], NO_DIFFERENCE),
        ([HELPS, CANNOT_TELL], CANNOT_TELL),
        ([HURTS], HURTS),
        ([HURTS, NO_DIFFERENCE], HURTS),
        ([HURTS, CANNOT_TELL], HURTS),
        ([HELPS, HURTS], MIXED),
        ([HURTS, HELPS, CANNOT_TELL], MIXED),
        ([NO_DIFFERENCE, CANNOT_TELL], CANNOT_TELL),
        ([NO_DIFFERENCE, NO_DIFFERENCE], NO_DIFFERENCE),
    ],
)
def test_baselines_join_by_the_rules(outcomes: list[str], expected: str) -> None:
    assert join_baselines(outcomes) == expected


@given(st.lists(PAIR_OUTCOMES, min_size=1, max_size=4))
def test_help_needs_every_baseline(outcomes: list[str]) -> None:
    assert (join_baselines(outcomes) == HELPS) == (set(outcomes) == {HELPS})


@given(st.lists(PAIR_OUTCOMES, max_size=4))
def test_order_of_baselines_does_not_matter(outcomes: list[str]) -> None:
    assert join_baselines(outcomes) == join_baselines(outcomes[::-1])
    assert join_baselines(outcomes) in OUTCOMES


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], NOTHING),
        ([NOTHING], NOTHING),
        ([NOTHING, HELPS], HELPS),
        ([HELPS, HELPS], HELPS),
        ([HELPS, NO_DIFFERENCE], MIXED),
        ([HELPS, CANNOT_TELL], MIXED),
        ([HELPS, HURTS], MIXED),
        ([MIXED, NO_DIFFERENCE], MIXED),
        ([HURTS, NO_DIFFERENCE], HURTS),
        ([CANNOT_TELL, NO_DIFFERENCE], CANNOT_TELL),
        ([NO_DIFFERENCE], NO_DIFFERENCE),
    ],
)
def test_settings_join_by_the_rules(outcomes: list[str], expected: str) -> None:
    assert join_settings(outcomes) == expected
