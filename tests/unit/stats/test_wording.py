from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.stats.outcome import CANNOT_TELL, HELPS, HURTS, MIXED, NO_DIFFERENCE, NOTHING, Finding
from hypermix.stats.wording import Told, tell_experiment, tell_p, tell_points, tell_setting

SEEN = Finding(
    baseline="none",
    outcome=HELPS,
    mean=0.7,
    mean_difference=0.042,
    ci_low=0.021,
    ci_high=0.063,
    p_value=0.0078,
    p_adjusted=0.0156,
    n_pairs=8,
    pairs_needed=7,
    family=2,
    seeds_for_test=7,
)
UNSEEN = replace(
    SEEN,
    outcome=CANNOT_TELL,
    mean_difference=0.012,
    ci_low=-0.03,
    ci_high=0.054,
    p_value=0.5,
    p_adjusted=0.5,
    n_pairs=3,
    pairs_needed=41,
    family=1,
    seeds_for_test=6,
)


def told(outcome: str, *findings: Finding, augmenter: str = "gpt3mix", dataset: str = "rt") -> Told:
    """Return one augmenter in one setting; its finding has the same outcome unless given."""
    return Told(dataset, augmenter, outcome, findings or (replace(SEEN, outcome=outcome),))


def sentence(*findings: Finding) -> str:
    return tell_setting(told(HELPS, *findings), 0.05, 0.95, {})


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.012, "+1.2"), (-0.03, "-3.0"), (0.0, "0.0"), (-0.0001, "0.0"), (0.0004, "0.0"), (1.0, "+100.0")],
)
def test_points_have_sign_and_decimal(share: float, expected: str) -> None:
    assert tell_points(share) == expected


@given(st.floats(-1, 1))
def test_points_are_close_to_the_share(share: float) -> None:
    assert float(tell_points(share)) == pytest.approx(100 * share, abs=0.0501)


@pytest.mark.parametrize(
    ("p_value", "expected"), [(0.03125, "p = 0.031"), (1.0, "p = 1.000"), (0.001, "p = 0.001"), (0.0009, "p < 0.001")]
)
def test_p_has_three_decimals(p_value: float, expected: str) -> None:
    assert tell_p(p_value) == expected


def test_too_few_seeds_are_explained() -> None:
    assert sentence(UNSEEN) == (
        "gpt3mix cannot be told apart from none with 3 data seeds: accuracy changed by +1.2 points "
        "(95 % interval -3.0 to +5.4), and no test over 3 seeds can reach p = 0.05; "
        "at least 6 are needed, and about 41 for a difference of this size."
    )


def test_correction_is_told_as_the_reason() -> None:
    found = sentence(replace(UNSEEN, n_pairs=6, family=4, seeds_for_test=8))
    assert (
        "no test over 6 seeds can reach p = 0.05 when 4 comparisons are corrected for; at least 8 are needed" in found
    )


def test_one_seed_is_explained() -> None:
    one = replace(UNSEEN, n_pairs=1, ci_low=math.nan, ci_high=math.nan, p_adjusted=math.nan, pairs_needed=None)
    assert sentence(one) == (
        "gpt3mix cannot be told apart from none with 1 data seed: accuracy changed by +1.2 points, "
        "and one seed does not show what is chance; at least 6 are needed."
    )


def test_no_shared_seed_is_explained() -> None:
    none = replace(UNSEEN, n_pairs=0, mean_difference=math.nan)
    assert sentence(none) == "gpt3mix cannot be compared with none: no data seed has both."


def test_no_baseline_is_explained() -> None:
    alone = Told("rt", "gpt3mix", NOTHING, ())
    assert tell_setting(alone, 0.05, 0.95, {}) == "gpt3mix cannot be compared: no baseline ran in this setting."


@pytest.mark.parametrize("needed", [None, 4, 6])
def test_few_needed_pairs_are_not_told(needed: int | None) -> None:
    assert sentence(replace(UNSEEN, pairs_needed=needed)).endswith("; at least 6 are needed.")


@pytest.mark.parametrize(
    ("needed", "expected"),
    [(99, "about 99"), (594, "about 590"), (53163, "about 53000"), (100_000, "at least 100000")],
)
def test_large_needs_are_rounded(needed: int, expected: str) -> None:
    assert f"and {expected} for a difference of this size." in sentence(replace(UNSEEN, pairs_needed=needed))


def test_help_is_told_with_numbers() -> None:
    assert sentence(SEEN) == (
        "gpt3mix helps against none over 8 data seeds: accuracy changed by +4.2 points "
        "(95 % interval +2.1 to +6.3; p = 0.016, corrected for 2 comparisons)."
    )


def test_harm_is_told_with_numbers() -> None:
    found = sentence(replace(SEEN, outcome=HURTS, mean_difference=-0.042, ci_low=-0.063, ci_high=-0.021, family=1))
    assert found == (
        "gpt3mix hurts against none over 8 data seeds: accuracy changed by -4.2 points "
        "(95 % interval -6.3 to -2.1; p = 0.016)."
    )


def test_no_difference_tells_the_need() -> None:
    found = sentence(replace(SEEN, outcome=NO_DIFFERENCE, p_adjusted=0.61, pairs_needed=212, family=1))
    assert found.startswith("gpt3mix shows no clear difference from none over 8 data seeds: accuracy changed by")
    assert found.endswith(
        "p = 0.610); the data still allow +6.3; about 210 data seeds would be needed for a difference of this size."
    )


def test_no_difference_tells_what_is_still_possible() -> None:
    losing = replace(SEEN, outcome=NO_DIFFERENCE, ci_low=-0.051, ci_high=0.02, pairs_needed=None)
    assert sentence(losing).endswith("; the data still allow -5.1.")
    equal = replace(losing, ci_low=0.0, ci_high=0.0)
    assert "allow" not in sentence(equal)


def test_price_of_missing_seeds_is_told() -> None:
    priced = replace(UNSEEN, usd_per_seed=0.5)  # 41 are needed and 3 are there
    assert sentence(priced).endswith(
        "at least 6 are needed, and about 41 for a difference of this size, about $19.00 more for its language model."
    )
    found = sentence(replace(SEEN, outcome=NO_DIFFERENCE, pairs_needed=2_008, usd_per_seed=1.0))
    assert found.endswith("for a difference of this size, about $2,000.00 more for its language model.")


@pytest.mark.parametrize("usd", [math.nan, 0.0])
def test_price_that_is_nothing_or_unknown_is_not_told(usd: float) -> None:
    assert "$" not in sentence(replace(UNSEEN, usd_per_seed=usd))


@pytest.mark.parametrize("needed", [None, 8])
def test_no_difference_hides_met_need(needed: int | None) -> None:
    assert "needed" not in sentence(replace(SEEN, outcome=NO_DIFFERENCE, p_adjusted=0.061, pairs_needed=needed))


def test_alpha_and_level_are_told() -> None:
    found = tell_setting(told(CANNOT_TELL, UNSEEN), 0.01, 0.999, {})
    assert "99.9 % interval" in found
    assert "p = 0.01;" in found


def test_each_baseline_has_a_sentence() -> None:
    assert sentence(SEEN, replace(SEEN, baseline="eda")).count("gpt3mix helps against") == 2


@pytest.mark.parametrize("outcome", [NO_DIFFERENCE, CANNOT_TELL])
def test_training_steps_may_explain_the_gain(outcome: str) -> None:
    found = sentence(SEEN, replace(UNSEEN, baseline="duplicate", outcome=outcome))
    assert found.endswith("the gain over none may come from the additional training steps alone.")


def test_methods_tell_controls_with_other_names() -> None:
    findings = (replace(SEEN, baseline="plain"), replace(UNSEEN, baseline="twice", outcome=NO_DIFFERENCE))
    named = tell_setting(told(HELPS, *findings), 0.05, 0.95, {"plain": "none", "twice": "duplicate"})
    assert "training steps alone" in named
    assert "training steps alone" not in tell_setting(told(HELPS, *findings), 0.05, 0.95, {})


@pytest.mark.parametrize(("none", "duplicate"), [(HELPS, HELPS), (NO_DIFFERENCE, NO_DIFFERENCE), (HELPS, HURTS)])
def test_training_steps_are_not_always_blamed(none: str, duplicate: str) -> None:
    found = sentence(replace(SEEN, outcome=none), replace(SEEN, baseline="duplicate", outcome=duplicate))
    assert "training steps" not in found


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (HELPS, "gpt3mix helps on rt: +4.2 points against none, over 8 data seeds."),
        (HURTS, "gpt3mix hurts on rt: +4.2 points against none, over 8 data seeds."),
        (NO_DIFFERENCE, "gpt3mix is not shown to help on rt: +4.2 points against none, over 8 data seeds."),
        (CANNOT_TELL, "Cannot be told from 8 data seeds whether gpt3mix helps on rt."),
        (NOTHING, "gpt3mix cannot be compared on rt."),
    ],
)
def test_single_setting_has_plain_headline(outcome: str, expected: str) -> None:
    assert tell_experiment([told(outcome, SEEN)]) == expected


def test_mixed_setting_names_both_sides() -> None:
    worse = replace(SEEN, baseline="duplicate", outcome=HURTS, mean_difference=-0.05)
    assert tell_experiment([told(MIXED, SEEN, worse)]) == (
        "gpt3mix helps against one baseline on rt and hurts against another: "
        "+4.2 points against none and -5.0 points against duplicate, over 8 data seeds."
    )


def test_one_seed_headline_is_singular() -> None:
    found = tell_experiment([told(CANNOT_TELL, replace(UNSEEN, n_pairs=1))])
    assert found == "Cannot be told from 1 data seed whether gpt3mix helps on rt."


def test_several_settings_are_counted() -> None:
    outcomes = [HELPS, HELPS, HURTS, NO_DIFFERENCE, CANNOT_TELL, MIXED]
    assert tell_experiment([told(outcome) for outcome in outcomes]) == (
        "gpt3mix helps in 2 of 6 settings, hurts in 1, helps against one baseline and hurts against another in 1, "
        "shows no clear difference in 1 and cannot be judged in 1 (too few data seeds)."
    )


def test_unanimous_help_is_told_as_such() -> None:
    assert tell_experiment([told(HELPS)] * 3) == "gpt3mix helps in all 3 settings."


@pytest.mark.parametrize(("seeds", "expected"), [((3, 3), "from 3 data seeds"), ((2, 5), "from 2 to 5 data seeds")])
def test_unanimous_doubt_names_the_seeds(seeds: tuple[int, int], expected: str) -> None:
    settings = [told(CANNOT_TELL, replace(UNSEEN, n_pairs=count)) for count in seeds]
    assert tell_experiment(settings) == f"Cannot be told {expected} whether gpt3mix helps in any of 2 settings."


def test_two_augmenters_have_a_sentence_each() -> None:
    found = tell_experiment([told(HELPS, SEEN), told(CANNOT_TELL, UNSEEN, augmenter="eda")])
    assert found == (
        "gpt3mix helps on rt: +4.2 points against none, over 8 data seeds. "
        "Cannot be told from 3 data seeds whether eda helps on rt."
    )


def test_many_augmenters_are_listed() -> None:
    settings = [told(HELPS, augmenter="a"), told(HELPS, augmenter="b"), told(HURTS, augmenter="c")]
    assert tell_experiment(settings) == (
        "2 of 3 augmenters help in at least one setting: a and b. 1 hurts in at least one: c."
    )


def test_long_lists_are_cut() -> None:
    found = tell_experiment([told(HELPS, augmenter=f"a{position}") for position in range(8)])
    assert found == "8 of 8 augmenters help in at least one setting: a0, a1, a2, a3, a4 and 3 more."


def test_many_without_help_say_so() -> None:
    settings = [told(outcome, augmenter=name) for outcome, name in zip([CANNOT_TELL] * 2 + [MIXED], "abc", strict=True)]
    assert tell_experiment(settings) == (
        "None of 3 augmenters is shown to help in any setting. 2 of 3 questions cannot be answered: too few data seeds."
    )
