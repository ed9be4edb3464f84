from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment import gpt3mix
from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.control import EXHAUSTED
from hypermix.errors import AugmentError, ConfigError
from hypermix.records import Example, SyntheticRow, Task
from tests.unit.augment.playing import harvest, make_rows, plan

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
TASK = Task("text", "label", {"a": "x", "b": "y", "c": "z"})
EXAMPLES = [Example(f"row {row}", f"text {row}", "abc"[row % 3]) for row in range(7)]
SEEDS = st.integers(0, 2**32 - 1)


def control(method: str, multiplier: float = 1.0, seed: int = 1, further: Sequence[Example] = ()) -> Augmenter:
    return AUGMENTERS.get(method)({"multiplier": multiplier}, Material(EXAMPLES, TASK, seed, None, further))


def duplicates(multiplier: float, seed: int) -> list[SyntheticRow]:
    return make_rows(control("duplicate", multiplier, seed))


def test_none_makes_no_rows() -> None:
    assert make_rows(control("none")) == []


def test_controls_ask_no_model() -> None:
    for method in ("none", "duplicate", "shuffle", "real"):
        assert all(plan(control(method), Slot(row, 0)) == [] for row in range(7))
        assert control(method).attempts == 1


@STEADY
@given(SEEDS, st.integers(1, 4))
def test_each_row_once_per_round(seed: int, rounds: int) -> None:
    rows = duplicates(float(rounds), seed)

    for start in range(0, len(rows), 7):
        assert Counter(row.text for row in rows[start : start + 7]) == Counter(one.text for one in EXAMPLES)


@STEADY
@given(SEEDS)
def test_part_of_round_repeats_nothing(seed: int) -> None:
    rows = duplicates(0.6, seed)

    assert len({row.text for row in rows}) == len(rows) == 4


@STEADY
@given(SEEDS)
def test_larger_multiplier_keeps_earlier_rows(seed: int) -> None:
    assert duplicates(3.0, seed)[:4] == duplicates(0.6, seed)


def test_same_seed_gives_same_rows() -> None:
    assert duplicates(2.0, 5) == duplicates(2.0, 5)


def test_seeds_and_rounds_differ_in_order() -> None:
    orders = [tuple(row.text for row in duplicates(2.0, seed)) for seed in range(10)]

    assert len(set(orders)) == 10
    assert any(order[:7] != order[7:] for order in orders)


def test_copy_tells_where_it_is_from() -> None:
    for row in duplicates(1.0, 1):
        (source,) = [one for one in EXAMPLES if one.id == row.source_ids[0]]
        assert (row.text, row.label) == (source.text, source.label)
        assert row.soft_label == tuple(float(label == source.label) for label in "abc")
        assert (row.label_source, row.label_mass, row.request_key, row.reason) == ("real", 1.0, None, None)
        assert row.kept


def test_rows_carry_their_slots() -> None:
    assert [harvest(control("duplicate"), Slot(row, 0)).index for row in (5, 2)] == [5, 2]


@STEADY
@given(SEEDS, st.sampled_from([0.6, 1.0, 3.0]))
def test_shuffled_rows_have_real_texts_and_never_their_labels(seed: int, multiplier: float) -> None:
    labels = {one.text: one.label for one in EXAMPLES}
    rows = make_rows(control("shuffle", multiplier, seed))

    assert len(rows) == round(7 * multiplier)
    assert all(row.label != labels[row.text or ""] and row.label in TASK.labels for row in rows)
    assert all(row.soft_label == tuple(float(row.label == label) for label in TASK.labels) for row in rows)
    assert {row.label_source for row in rows} == {"shuffled"}


def test_each_wrong_label_is_as_likely() -> None:
    counts = Counter(row.label for row in make_rows(control("shuffle", 900.0)) if row.source_ids == ("row 0",))

    assert set(counts) == {"b", "c"}
    assert abs(counts["b"] - 450) < 75  # five standard deviations


def test_shuffle_needs_a_wrong_label() -> None:
    with pytest.raises(AugmentError, match="the dataset has only one label"):
        AUGMENTERS.get("shuffle")({"multiplier": 1.0}, Material([], Task("text", "label", {"a": "x"}), 1))


FURTHER = [Example(f"more {row}", f"other {row}", "abc"[row % 3]) for row in range(60)]


@STEADY
@given(SEEDS, st.sampled_from([0.6, 1.0, 2.5]))
def test_real_rows_are_further_ones_in_the_proportions_of_the_subsample(seed: int, multiplier: float) -> None:
    rows = make_rows(control("real", multiplier, seed, FURTHER))

    assert {row.text for row in rows} <= {one.text for one in FURTHER}
    assert len({row.text for row in rows}) == len(rows) == round(7 * multiplier)
    assert [row.label for row in rows] == [EXAMPLES[place % 7].label for place in range(len(rows))]
    assert all(row.kept and row.label_source == "real" for row in rows)


@STEADY
@given(SEEDS)
def test_a_larger_multiplier_keeps_earlier_real_rows(seed: int) -> None:
    wide, narrow = (make_rows(control("real", multiplier, seed, FURTHER)) for multiplier in (3.0, 0.6))
    assert wide[:4] == narrow


def test_real_rows_depend_on_the_seed() -> None:
    assert len({tuple(row.text for row in make_rows(control("real", 1.0, seed, FURTHER))) for seed in range(9)}) == 9


def test_real_rows_that_train_lacks_are_told() -> None:
    rows = make_rows(control("real", 1.0, 1, FURTHER[:4]))  # two of a, one of b, one of c; wanted are 3, 2, 2

    assert Counter(row.label for row in rows if row.kept) == {"a": 2, "b": 1, "c": 1}
    assert {row.reason for row in rows if not row.kept} == {EXHAUSTED}


def test_methods_are_known_by_name() -> None:
    assert AUGMENTERS.get("gpt3mix") is gpt3mix.build_gpt3mix
    with pytest.raises(
        ConfigError, match=r"unknown augmentation method 'duplicat': did you mean 'duplicate'\? \(known: "
    ):
        AUGMENTERS.get("duplicat")
