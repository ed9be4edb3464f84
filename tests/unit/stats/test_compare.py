from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hypermix.errors import ArtefactError
from hypermix.stats import compare
from hypermix.stats.compare import compare_pairs, effect_size, holm, pairs_needed, sign_flip_p, smallest_p
from hypermix.stats.overlap import corrected_p, more_variance

HUNDREDTHS = st.lists(st.integers(-20, 20), min_size=1, max_size=9)
P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=12)


@given(HUNDREDTHS)
def test_p_equals_slow_count_of_patterns(hundredths: list[int]) -> None:
    observed = abs(sum(hundredths))
    patterns = list(itertools.product([1, -1], repeat=len(hundredths)))
    extreme = sum(
        abs(sum(sign * whole for sign, whole in zip(signs, hundredths, strict=True))) >= observed for signs in patterns
    )
    assert sign_flip_p([whole / 100 for whole in hundredths]) == extreme / len(patterns)


@given(HUNDREDTHS)
def test_p_ignores_the_direction(hundredths: list[int]) -> None:
    assert sign_flip_p([float(whole) for whole in hundredths]) == sign_flip_p([-float(whole) for whole in hundredths])


@given(HUNDREDTHS, st.randoms(use_true_random=False))
def test_p_ignores_the_order(hundredths: list[int], shuffler: random.Random) -> None:
    values = [whole / 100 for whole in hundredths]
    shuffled = list(values)
    shuffler.shuffle(shuffled)
    assert sign_flip_p(shuffled) == sign_flip_p(values)


@given(HUNDREDTHS)
def test_p_ignores_the_unit(hundredths: list[int]) -> None:
    assert sign_flip_p([whole / 100 for whole in hundredths]) == sign_flip_p([whole * 1e6 for whole in hundredths])


@given(HUNDREDTHS)
def test_p_is_never_below_the_smallest(hundredths: list[int]) -> None:
    assert smallest_p(len(hundredths)) <= sign_flip_p([whole / 100 for whole in hundredths]) <= 1


@pytest.mark.parametrize("n", range(1, 13))
def test_equal_signs_give_the_smallest_p(n: int) -> None:
    assert sign_flip_p([0.01 * (position + 1) for position in range(n)]) == smallest_p(n)


@pytest.mark.parametrize("differences", [[], [0.0], [0.0] * 8, [0.0] * 30, [0.1, -0.1], [0.1, 0.2, -0.3]])
def test_no_mean_difference_gives_one(differences: list[float]) -> None:
    assert sign_flip_p(differences) == 1.0


def test_p_agrees_with_scipy() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, 11)
    expected = stats.permutation_test(
        [differences.tolist()],
        lambda values, axis: np.mean(values, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**12,
    )
    assert sign_flip_p(differences) == pytest.approx(expected.pvalue, abs=1e-12)


def test_twenty_pairs_are_counted_exactly() -> None:
    assert sign_flip_p([1.0] * 20) == 2.0**-19


def test_monte_carlo_is_close_to_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(5).normal(0.4, 1, 18)
    exact = sign_flip_p(differences)
    monkeypatch.setattr(compare, "EXACT_LIMIT", 17)  # else as many would all be counted
    drawn = sign_flip_p(differences)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=0.002)


def test_monte_carlo_p_is_never_zero() -> None:
    assert sign_flip_p([1.0] * 40) == 1 / (1 + compare.MONTE_CARLO_DRAWS)


def test_same_seed_gives_same_p() -> None:
    differences = np.random.default_rng(7).normal(0.2, 1, 35)
    assert sign_flip_p(differences, seed=1) == sign_flip_p(differences, seed=1)


def test_other_seed_gives_other_p() -> None:
    differences = np.random.default_rng(7).normal(0.2, 1, 35)
    assert sign_flip_p(differences, seed=1) != sign_flip_p(differences, seed=2)


def test_test_keeps_its_error_rate() -> None:
    generator = np.random.default_rng(11)
    found = [sign_flip_p(generator.normal(0, 1, 8)) for _ in range(2000)]
    assert 0.03 < np.mean([p_value <= 0.05 for p_value in found]) <= 0.06


@pytest.mark.parametrize(("n_pairs", "expected"), [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_smallest_p_halves_with_each_pair(n_pairs: int, expected: float) -> None:
    assert smallest_p(n_pairs) == expected


def test_holm_matches_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_holm_never_lowers_a_p_value(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True) if not math.isnan(before))
    assert np.nanmax(adjusted, initial=0) <= 1


@given(P_VALUES)
def test_holm_keeps_the_order(p_values: list[float]) -> None:
    tested = [position for position, p_value in enumerate(p_values) if not math.isnan(p_value)]
    ranked = holm(p_values)[sorted(tested, key=lambda position: p_values[position])]
    assert (np.diff(ranked) >= 0).all()


@given(P_VALUES)
def test_holm_leaves_missing_out(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    tested = [p_value for p_value in p_values if not math.isnan(p_value)]
    assert adjusted[~np.isnan(p_values)].tolist() == holm(tested).tolist()
    assert np.isnan(adjusted[np.isnan(p_values)]).all()


@given(st.floats(0, 1))
def test_holm_leaves_one_test_alone(p_value: float) -> None:
    assert holm([p_value]).tolist() == [p_value]


@given(st.floats(0, 1), st.integers(1, 10))
def test_holm_multiplies_equal_p_values(p_value: float, n: int) -> None:
    assert holm([p_value] * n).tolist() == [min(1.0, p_value * n)] * n


@pytest.mark.parametrize("p_value", [-0.1, 1.5])
def test_impossible_p_value_is_refused(p_value: float) -> None:
    with pytest.raises(ArtefactError, match=f"a p value is {p_value!r}, it must lie between 0 and 1 or be NaN"):
        holm([0.5, p_value])


def test_effect_is_mean_over_spread() -> None:
    assert effect_size([1.0, 2.0, 3.0]) == 2.0
    assert effect_size([-1.0, -2.0, -3.0]) == -2.0


def test_effect_of_nothing_is_zero() -> None:
    assert effect_size([0.0, 0.0, 0.0]) == 0.0


@pytest.mark.parametrize("differences", [[0.1, 0.1, 0.1], [0.1], []])
def test_effect_without_spread_is_undefined(differences: list[float]) -> None:
    assert math.isnan(effect_size(differences))


@pytest.mark.parametrize(("effect", "expected"), [(0.1, 787), (0.2, 199), (0.5, 34), (0.8, 15), (1.2, 8)])
def test_pairs_needed_match_published_tables(effect: float, expected: int) -> None:
    # G*Power 3.1, "difference between two dependent means", two-sided, alpha 0.05, power 0.8; with fewer pairs the
    # sign-flip test needs more than the t test of these tables.
    assert pairs_needed(effect) == pairs_needed(-effect) == expected


def test_large_effects_need_six_pairs() -> None:
    # fewer pairs cannot give an exact p value of 0.05
    assert [pairs_needed(effect) for effect in (2.0, 50.0, 1e6, 1e300, math.inf)] == [6] * 5


def test_stricter_alpha_needs_more_pairs() -> None:
    assert pairs_needed(1e6, alpha=0.001) == 11
    assert (pairs_needed(0.5, alpha=0.01) or 0) > (pairs_needed(0.5) or 0)


def test_lax_alpha_needs_two_pairs() -> None:
    assert pairs_needed(50.0, alpha=0.9, power=0.5) == 2


def test_tiny_effects_stop_at_the_cap() -> None:
    assert pairs_needed(1e-9) == compare.MAX_PAIRS


@pytest.mark.parametrize("effect", [0.0, math.nan])
def test_no_effect_needs_no_number(effect: float) -> None:
    assert pairs_needed(effect) is None


@given(st.floats(0.05, 5), st.floats(1.1, 3))
def test_larger_effects_need_fewer_pairs(effect: float, factor: float) -> None:
    assert (pairs_needed(effect * factor) or 0) <= (pairs_needed(effect) or 0)


def test_needed_pairs_have_the_power() -> None:
    needed = pairs_needed(0.8) or 0
    draws = np.random.default_rng(13).normal(0.8, 1, (20_000, needed))
    reached = float(np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue <= 0.05))
    assert reached == pytest.approx(0.82, abs=0.02)


@pytest.mark.parametrize(("name", "value"), [("alpha", 0.0), ("power", 1.0)])
def test_wrong_power_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ArtefactError, match=f"{name} is {value!r}, it must lie between 0 and 1"):
        pairs_needed(0.5, **{name: value})


def test_pairs_are_compared_in_full() -> None:
    found = compare_pairs([0.01, 0.02, 0.03])
    assert (found.n_pairs, found.test, found.p_value) == (3, "exact sign-flip", 0.25)
    assert found.mean_difference == pytest.approx(0.02)
    assert found.ci_low < 0.02 < found.ci_high
    assert found.effect_size == pytest.approx(2.0)
    assert found.pairs_needed == 6


@pytest.mark.parametrize(("differences", "mean"), [([], math.nan), ([0.1], 0.1)])
def test_too_few_pairs_have_no_test(differences: list[float], mean: float) -> None:
    found = compare_pairs(differences)
    assert (found.test, found.pairs_needed) == ("none", None)
    assert found.mean_difference == pytest.approx(mean, nan_ok=True)
    assert all(math.isnan(number) for number in (found.p_value, found.ci_low, found.ci_high, found.effect_size))


def test_equal_differences_have_no_effect_size() -> None:
    found = compare_pairs([0.02] * 6)
    assert (found.p_value, found.pairs_needed) == (0.03125, None)
    assert found.ci_low == found.ci_high == pytest.approx(0.02)
    assert math.isnan(found.effect_size)


def test_many_pairs_are_drawn() -> None:
    assert compare_pairs(np.linspace(-1, 1.1, 30)).test == "exact sign-flip"
    assert compare_pairs(np.linspace(-1, 1.1, 31)).test == "monte carlo sign-flip"


def test_monte_carlo_has_an_error() -> None:
    assert compare.p_error(0.05, 30) == 0
    assert compare.p_error(0.05, 31) == pytest.approx(math.sqrt(0.05 * 0.95 / 2**20))
    assert (compare.reachable_p(30), compare.reachable_p(31)) == (2.0**-29, 1 / (1 + 2**20))


@pytest.mark.parametrize(("n", "effect"), [(6, 1.5), (6, 1.1), (7, 1.3), (8, 1.1)])
def test_power_of_few_pairs_is_that_of_the_test(n: int, effect: float) -> None:
    draws = np.random.default_rng(n).normal(effect, 1, (2000, n))
    found = np.mean([sign_flip_p(values) <= 0.05 for values in draws])
    assert compare.paired_power(n, effect) == pytest.approx(found, abs=0.04)


# Test sets that overlap.


def test_overlap_widens_interval_and_test() -> None:
    values = [0.02, 0.03, 0.01, 0.04, 0.02, 0.05, 0.03, 0.02]
    plain, corrected = compare_pairs(values), compare_pairs(values, more=0.25)
    assert corrected.test == "corrected resampled t"
    assert corrected.p_value > plain.p_value
    ratio = (corrected.ci_high - corrected.ci_low) / (plain.ci_high - plain.ci_low)
    assert ratio == pytest.approx(math.sqrt((1 / 8 + 0.25) / (1 / 8)))


def test_corrected_test_is_the_t_test_without_overlap() -> None:
    values = np.random.default_rng(2).normal(0.4, 1, 9)
    assert corrected_p(values, 0.0) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=1e-12)


def test_corrected_test_follows_the_paper() -> None:
    # Nadeau and Bengio 2003, section 3: n2 / n1 with all rows in train or test, here 200 of 1000 rows tested
    values = np.array([0.02, 0.05, -0.01, 0.03, 0.04])
    statistic = values.mean() / math.sqrt((1 / 5 + 200 / 800) * values.var(ddof=1))
    assert corrected_p(values, more_variance({"d": 0.2})["d"]) == pytest.approx(2 * stats.t.sf(statistic, 4), abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_equal_differences_prove_no_more_than_their_number(n: int) -> None:
    assert compare_pairs([0.02] * n, more=0.25).p_value == smallest_p(n)
    assert compare_pairs([0.0] * n, more=0.25).p_value == 1.0


def test_shared_rows_can_hide_an_effect_for_good() -> None:
    assert pairs_needed(0.3, more=0.25) is None
    assert (pairs_needed(2.0, more=0.25) or 0) > (pairs_needed(2.0) or 0)


@pytest.mark.parametrize("rho", [-0.1, 1.0, math.nan])
def test_impossible_overlap_is_refused(rho: float) -> None:
    with pytest.raises(ArtefactError, match=f"the test sets of rt overlap by {rho!r}, it must be a share"):
        more_variance({"rt": rho})


def test_level_and_alpha_reach_their_numbers() -> None:
    values = [0.01, 0.02, 0.04]
    lax, strict = compare_pairs(values, 0.9, alpha=0.1), compare_pairs(values, 0.999, alpha=0.001)
    assert strict.ci_low < lax.ci_low
    assert compare_pairs(values, 0.9, alpha=0.001).pairs_needed == strict.pairs_needed
    assert (strict.pairs_needed, lax.pairs_needed) == (13, 6)


@pytest.mark.parametrize("function", [sign_flip_p, effect_size, compare_pairs])
def test_missing_difference_is_refused(function: object) -> None:
    with pytest.raises(ArtefactError, match="value 1 is nan, it must be finite; leave missing runs out"):
        function([0.1, math.nan])  # type: ignore[operator]
