from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.near import find_near_duplicates
from hypermix.data.neighbor import Neighbors, shingle
from tests.integration.data.test_near import LONG, TEXTS, WORDS, change, compare_all, make_texts

STEADY = settings(deadline=None, derandomize=True, max_examples=40)


def fill(texts: list[str], threshold: float = 0.75, *, one_by_one: bool = False) -> Neighbors:
    index = Neighbors(threshold)
    if one_by_one:
        assert [index.add(shingle(text)) for text in texts] == list(range(len(texts)))
    else:
        index.extend([pa.array(texts, pa.string())])
    return index


def similarity(one: str, other: str) -> float:
    found = fill([one], 0.5).find(shingle(other))
    return found[0][1] if found else 0.0


# What is near.


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("threshold", [0.5, 0.75, 1.0])
def test_finds_what_comparing_all_pairs_finds(one_by_one: bool, threshold: float) -> None:
    texts = make_texts(120, seed=1, vocabulary=300)
    asked = change(texts, seed=2) + texts[:10]
    index = fill(texts, threshold, one_by_one=one_by_one)
    expected = compare_all(texts, asked, threshold)
    for row, text in enumerate(asked):
        found = index.find(shingle(text))
        assert [position for position, _ in found] == sorted(position for position, _ in found)
        best = max(found, key=lambda pair: pair[1], default=None)
        assert (best is not None) == (row in expected)
        if best is not None:
            assert best == pytest.approx(expected[row])


@STEADY
@given(TEXTS, TEXTS)
def test_agrees_with_the_search_of_whole_splits(known: list[str], asked: list[str]) -> None:
    pairs = find_near_duplicates(iter([pa.array(known, pa.string())]), pa.array(asked, pa.string()), 0.75)
    index = fill(known)
    nearest = {
        row: max(index.find(shingle(text)), key=lambda pair: pair[1], default=None) for row, text in enumerate(asked)
    }
    for pair in pairs:
        found = nearest[pair.test_row]
        assert found is not None
        assert found[1] == pytest.approx(pair.similarity)
    matched = {pair.test_row for pair in pairs}
    others = [nearest[row] for row in nearest if row not in matched]
    # Texts without a letter or a digit are like themselves here.
    assert all(found is None or (found[1] == 1.0 and not any(map(str.isalnum, known[found[0]]))) for found in others)


@STEADY
@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=30))
def test_one_text_is_hashed_as_in_a_batch(text: str) -> None:
    assert similarity(text, text) == 1.0
    assert np.array_equal(fill([text])._old.sets.values, shingle(text))


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("A fine film.", "a  FINE film", 1.0),
        ("这部电影很好看我很喜欢", "这部电影很好看，我很喜欢！", 1.0),
        ("فيلم رائع وممتع جدا", "«فيلم رائع وممتع جدا»", 1.0),
        ("😀😀", " 😀 😀\n", 1.0),
        ("😀😀", "😀", 0.0),
        ("!!!", "???", 0.0),
        ("", "!", 0.0),
        (LONG, LONG.replace("careful", "careless"), 37 / 43),
    ],
)
def test_any_script_is_compared(one: str, other: str, found: float) -> None:
    assert similarity(one, other) == pytest.approx(found)


def test_a_lone_surrogate_is_no_mistake() -> None:
    assert len(shingle("\ud800 film")) == 3


# What grows and shrinks.


def test_what_is_removed_is_found_no_more_wherever_it_is_kept() -> None:
    texts = make_texts(40, seed=3)
    index = fill(texts[:20])
    for text in texts[20:]:
        index.add(shingle(text))
    for position in (3, 25):
        assert index.find(shingle(texts[position])) == [(position, 1.0)]
        index.remove(position)
        index.remove(position)
        assert index.find(shingle(texts[position])) == []
    assert index.add(shingle("a new one")) == 40


def test_positions_stay_when_hashes_are_counted_anew() -> None:
    texts = make_texts(2600, seed=4)
    index = Neighbors()
    generator = random.Random(1)
    removed = set()
    for position, text in enumerate(texts):
        assert index.add(shingle(text)) == position
        if generator.random() < 0.3:
            index.remove(position)
            removed.add(position)
    assert len(index._young) < 1100
    for position in range(0, len(texts), 13):
        assert ((position, 1.0) in index.find(shingle(texts[position]))) == (position not in removed)


def test_many_equal_texts_are_all_found() -> None:
    index = fill([LONG] * 30, one_by_one=True)
    assert index.find(shingle(LONG)) == [(position, 1.0) for position in range(30)]


@pytest.mark.parametrize("threshold", [0.4, 1.1])
def test_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"it may be from 0\.5 to 1\.0"):
        Neighbors(threshold)
