from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hypermix.augment.base import Material, Slot
from hypermix.augment.sampling import Sampler, in_turn
from hypermix.augment.tools import Tools
from hypermix.errors import AugmentError
from hypermix.records import Example, Task

TASK = Task("text", "label", {"a": "a", "b": "b", "c": "c"})
ROWS = [Example(f"row {number}", f"{number}", "abc"[number % 3]) for number in range(30)]
WAYS = ["uniform", "balanced", "closest", "furthest"]


def on_a_line(texts: Sequence[str]) -> NDArray[np.floating[Any]]:
    """Directions in a plane: near numbers have near directions, and the numbers go half around."""
    angles = np.array([float(text) for text in texts]) * np.pi / 30
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * 40.0


def material(rows: list[Example] = ROWS, seed: int = 5) -> Material:
    return Material(rows, TASK, seed, tools=Tools(embed=on_a_line))


def numbers(sampler: Sampler, slot: Slot) -> list[int]:
    return [int(example.text) for example in sampler.pick(slot)]


@pytest.mark.parametrize("way", WAYS)
@given(row=st.integers(0, 10**6), attempt=st.integers(0, 99), count=st.integers(1, 12))
def test_rows_are_drawn_without_replacement_from_seed_and_slot_alone(
    way: str, row: int, attempt: int, count: int
) -> None:
    slot = Slot(row, attempt)
    first = Sampler(material(), count, way).pick(slot)
    assert len({example.id for example in first}) == count
    again = Sampler(material(), count, way)
    again.pick(Slot(row + 1, attempt))  # another draw before changes nothing
    assert again.pick(slot) == first


@pytest.mark.parametrize("way", WAYS)
def test_slots_and_seeds_have_draws_of_their_own(way: str) -> None:
    drawn = [
        tuple(numbers(Sampler(material(seed=seed), 5, way), Slot(row, attempt)))
        for seed in (1, 2)
        for row in range(10)
        for attempt in range(3)
    ]
    assert len(set(drawn)) == len(drawn)


def test_uniform_draws_are_those_of_the_first_version() -> None:
    # Stored answers are found by them.
    sampler = Sampler(material(), 4)
    found = [numbers(sampler, Slot(row, row % 2)) for row in range(3)]
    assert found == [[19, 17, 13, 22], [8, 26, 24, 19], [3, 6, 18, 22]]


@pytest.mark.parametrize("count", [3, 6, 12])
def test_balanced_shows_as_many_of_each_label(count: int) -> None:
    sampler = Sampler(material(), count, "balanced")
    for row in range(20):
        labels = [example.label for example in sampler.pick(Slot(row, 0))]
        assert set(Counter(labels).values()) == {count // 3}


def test_balanced_draws_who_has_one_more() -> None:
    sampler, more = Sampler(material(), 4, "balanced"), Counter[str]()
    for row in range(300):
        counts = Counter(example.label for example in sampler.pick(Slot(row, 0)))
        assert sorted(counts.values()) == [1, 1, 2]
        more[counts.most_common(1)[0][0]] += 1
    assert all(70 < count < 130 for count in more.values())


def test_balanced_shuffles_labels() -> None:
    sampler = Sampler(material(), 3, "balanced")
    orders = {tuple(example.label for example in sampler.pick(Slot(row, 0))) for row in range(60)}
    assert len(orders) == 6


def test_balanced_names_the_label_with_too_few_rows() -> None:
    rows = [example for example in ROWS if example.label != "b"] + [Example("the one", "1", "b")]
    Sampler(material(rows), 3, "balanced").pick(Slot(0, 0))
    with pytest.raises(
        AugmentError, match=r"up to 2 rows of each label .* has 1 of 'b'; lower the augmenter's examples"
    ):
        Sampler(material(rows), 4, "balanced").pick(Slot(0, 0))


def test_closest_is_nearer_than_uniform_and_furthest_further() -> None:
    def mean_angle(way: str) -> float:
        sampler = Sampler(material(), 2, way)
        drawn = [numbers(sampler, Slot(row, 0)) for row in range(2000)]
        return float(np.mean([abs(one - other) for one, other in drawn]))

    closest, uniform, furthest = (mean_angle(way) for way in ("closest", "uniform", "furthest"))
    assert closest < uniform - 1.0
    assert furthest > uniform + 1.0


def test_weights_are_the_softmax_of_the_similarity() -> None:
    """Compare draws after the anchor 0 with the probabilities that the definition gives."""
    sampler = Sampler(material(ROWS[:6]), 2, "furthest")
    drawn = [numbers(sampler, Slot(row, 0)) for row in range(12000)]
    after = Counter(other for anchor, other in drawn if anchor == 0)
    weights = np.exp(-np.cos(np.arange(1, 6) * np.pi / 30))
    expected = weights / weights.sum()
    found = np.array([after[number] for number in range(1, 6)]) / after.total()
    assert after.total() > 1800
    assert np.abs(found - expected).max() < 0.04


def test_anchor_is_drawn_uniformly() -> None:
    sampler = Sampler(material(ROWS[:5]), 2, "closest")
    anchors = Counter(numbers(sampler, Slot(row, 0))[0] for row in range(1000))
    assert all(150 < count < 250 for count in anchors.values())


def test_rows_of_one_label_are_drawn_of_it_alone() -> None:
    for way in ("uniform", "closest", "furthest"):
        sampler = Sampler(material(), 10, way)
        assert {example.label for example in sampler.pick(Slot(0, 0), "b")} == {"b"}


def test_too_few_rows_are_told() -> None:
    with pytest.raises(AugmentError, match="31 examples needs as many rows, the subsample has 30"):
        Sampler(material(), 31).pick(Slot(0, 0))
    with pytest.raises(AugmentError, match="11 examples needs as many rows of the label 'c', the subsample has 10"):
        Sampler(material(), 11, "closest").pick(Slot(0, 0), "c")


def test_nothing_is_shown_where_nothing_is_wanted() -> None:
    assert Sampler(Material([], TASK, 1), 0).pick(Slot(0, 0)) == []


def test_embeddings_are_made_once_and_for_similarity_alone() -> None:
    made = []

    def embed(texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        made.append(len(texts))
        return on_a_line(texts)

    rows = Material(ROWS, TASK, 1, tools=Tools(embed=embed))
    for way in ("uniform", "balanced"):
        Sampler(rows, 3, way).pick(Slot(0, 0))
    assert not made
    sampler = Sampler(rows, 3, "closest")
    for row in range(5):
        sampler.pick(Slot(row, 0), "a" if row % 2 else None)
    assert made == [30]
    with pytest.raises(AugmentError, match="sampling: closest needs embeddings"):
        Sampler(Material(ROWS, TASK, 1), 3, "closest").pick(Slot(0, 0))


def test_many_rows_need_no_table_of_pairs() -> None:
    rows = [Example(str(number), str(number % 30), "abc"[number % 3]) for number in range(50_000)]
    drawn = Sampler(material(rows), 3, "closest").pick(Slot(0, 0))  # a table would have 20 GB
    assert len({example.id for example in drawn}) == 3


def test_rows_without_meaning_are_drawn_all_the_same() -> None:
    rows = Material(ROWS, TASK, 1, tools=Tools(embed=lambda texts: np.zeros((len(texts), 4))))
    assert len({example.id for example in Sampler(rows, 30, "closest").pick(Slot(0, 0))}) == 30


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_each_has_its_turn_once_a_round(seed: int, count: int) -> None:
    rounds = [[in_turn(seed, "rows", count, turn * count + place) for place in range(count)] for turn in range(3)]
    assert all(sorted(one) == list(range(count)) for one in rounds)
    if count > 10:
        assert all(one != other for one, other in pairwise(rounds))
