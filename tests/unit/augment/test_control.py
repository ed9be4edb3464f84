from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment import gpt3mix
from hypermix.augment.base import AUGMENTERS, Augmenter, Slot
from hypermix.augment.control import build_duplicate, build_none
from hypermix.errors import ConfigError
from hypermix.records import Example, SyntheticRow, Task

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
TASK = Task("text", "label", {"a": "x", "b": "y", "c": "z"})
EXAMPLES = [Example(f"row {row}", f"text {row}", "abc"[row % 3]) for row in range(7)]
SEEDS = st.integers(0, 2**32 - 1)


def duplicate(multiplier: float) -> Augmenter:
    return build_duplicate({"multiplier": multiplier}, TASK, None)


def make_rows(augmenter: Augmenter, seed: int) -> list[SyntheticRow]:
    return [augmenter.harvest(EXAMPLES, seed, Slot(row, 0), []) for row in range(augmenter.n_rows(len(EXAMPLES)))]


def test_none_makes_no_rows() -> None:
    augmenter = build_none({}, TASK, None)

    assert augmenter.n_rows(64) == 0
    assert make_rows(augmenter, 1) == []


def test_controls_ask_no_model() -> None:
    assert all(duplicate(1.0).plan(EXAMPLES, 1, Slot(row, 0), []) == [] for row in range(7))
    assert duplicate(1.0).attempts == build_none({}, TASK, None).attempts == 1


@STEADY
@given(SEEDS, st.integers(1, 4))
def test_each_row_once_per_round(seed: int, rounds: int) -> None:
    rows = make_rows(duplicate(float(rounds)), seed)

    for start in range(0, len(rows), 7):
        assert Counter(row.text for row in rows[start : start + 7]) == Counter(one.text for one in EXAMPLES)


@STEADY
@given(SEEDS)
def test_part_of_round_repeats_nothing(seed: int) -> None:
    rows = make_rows(duplicate(0.6), seed)

    assert len({row.text for row in rows}) == len(rows) == 4


@STEADY
@given(SEEDS)
def test_larger_multiplier_keeps_earlier_rows(seed: int) -> None:
    assert make_rows(duplicate(3.0), seed)[:4] == make_rows(duplicate(0.6), seed)


def test_same_seed_gives_same_rows() -> None:
    assert make_rows(duplicate(2.0), 5) == make_rows(duplicate(2.0), 5)


def test_seeds_and_rounds_differ_in_order() -> None:
    orders = [tuple(row.text for row in make_rows(duplicate(2.0), seed)) for seed in range(10)]

    assert len(set(orders)) == 10
    assert any(order[:7] != order[7:] for order in orders)


def test_copy_tells_where_it_is_from() -> None:
    for row in make_rows(duplicate(1.0), 1):
        (source,) = [one for one in EXAMPLES if one.id == row.source_ids[0]]
        assert (row.text, row.label) == (source.text, source.label)
        assert row.soft_label == tuple(float(label == source.label) for label in "abc")
        assert (row.label_source, row.label_mass, row.request_key, row.reason) == ("real", 1.0, None, None)
        assert row.kept


def test_rows_carry_their_slots() -> None:
    assert [duplicate(1.0).harvest(EXAMPLES, 1, Slot(row, 0), []).index for row in (5, 2)] == [5, 2]


def test_methods_are_known_by_name() -> None:
    builders = {"duplicate": build_duplicate, "gpt3mix": gpt3mix.build_gpt3mix, "none": build_none}

    assert {name: AUGMENTERS.get(name) for name in AUGMENTERS.names()} == builders
    with pytest.raises(
        ConfigError, match=r"unknown augmentation method 'duplicat': did you mean 'duplicate'\? \(known: "
    ):
        AUGMENTERS.get("duplicat")
