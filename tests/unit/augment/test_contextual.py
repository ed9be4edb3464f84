from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment import contextual
from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.derived import UNCHANGED
from hypermix.augment.tools import Fill, Tools
from hypermix.augment.words import Words
from hypermix.errors import AugmentError
from hypermix.records import Example, SyntheticRow, Task
from tests.unit.augment.playing import harvest, make_rows

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
TASK = Task("text", "label", {"a": "x", "b": "y"})
TEXT = "one two three four five six seven eight nine ten"
assert contextual  # imported for what it registers


def fill(text: str, start: int, stop: int) -> Sequence[tuple[str, float]]:
    """Name the word before the place, so that what was seen can be read off; and what may not be taken."""
    before = Words.of(text[:start]).words
    return [(text[start:stop].upper(), 9.0), ("two words", 9.0), ("", 9.0), ("!", 9.0), (f"after{len(before)}", 0.5)]


def augmenter(text: str, share: float = 0.3, most: int = 10, how: Fill = fill, multiplier: float = 1.0) -> Augmenter:
    made = {"multiplier": multiplier, "attempts": 2, "share": share, "most": most}
    return AUGMENTERS.get("contextual")(made, Material([Example("i", text, "b")], TASK, 7, tools=Tools(fill=how)))


def make(text: str, **settings: float) -> SyntheticRow:
    return make_rows(augmenter(text, **settings))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "most", "changed"), [(0.3, 10, 3), (0.01, 10, 1), (1.0, 10, 10), (1.0, 4, 4)])
def test_the_share_says_how_many_words_change(share: float, most: int, changed: int) -> None:
    words = Words.of(str(make(TEXT, share=share, most=most).text)).words

    assert len(words) == 10
    assert sum(one != other for one, other in zip(words, TEXT.split(), strict=True)) == changed
    assert all(word in (f"after{place}", TEXT.split()[place]) for place, word in enumerate(words))


def test_what_is_no_other_single_word_is_not_taken() -> None:
    """All that is likelier than the last is the word itself in capitals, two words, none, or a sign."""
    assert make("one", share=1.0).text == "after0"


def test_each_word_is_drawn_in_sight_of_those_before() -> None:
    seen: list[str] = []

    def watch(text: str, start: int, stop: int) -> Sequence[tuple[str, float]]:
        seen.append(text)
        return [(f"new{len(seen)}", 1.0)]

    (row,) = make_rows(augmenter("a b c", 1.0, how=watch))
    assert [sum("new" in word for word in text.split()) for text in seen] == [0, 1, 2]
    assert sorted(str(row.text).split()) == ["new1", "new2", "new3"]


def test_words_are_drawn_by_their_probability() -> None:
    def two(text: str, start: int, stop: int) -> Sequence[tuple[str, float]]:
        return [("often", 0.3), ("seldom", 0.1)]

    found = Counter(row.text for row in make_rows(augmenter("x", 1.0, how=two, multiplier=2000.0)))
    assert set(found) == {"often", "seldom"}
    assert 1400 < found["often"] < 1600  # 1,500 are expected, with a standard deviation of 19


@STEADY
@given(st.text(max_size=40))
def test_where_no_word_fits_nothing_changes(text: str) -> None:
    def none(text: str, start: int, stop: int) -> Sequence[tuple[str, float]]:
        return [("word", 0.0)]

    (row,) = make_rows(augmenter(text, how=none))
    assert row.reason == UNCHANGED


def test_rows_of_one_text_differ_and_repeat() -> None:
    def many(text: str, start: int, stop: int) -> Sequence[tuple[str, float]]:
        return [(f"word{number}", 1.0) for number in range(50)]

    first, again = (make_rows(augmenter(TEXT, how=many, multiplier=4.0)) for _ in range(2))
    assert first == again
    assert len({row.text for row in first}) == 4
    assert harvest(augmenter(TEXT, how=many), Slot(0, 1)).text != first[0].text
    assert {(row.label, row.label_source) for row in first} == {("b", "source")}


def test_without_a_model_it_is_not_built() -> None:
    with pytest.raises(AugmentError, match="contextual asks a masked language model, and none is at hand"):
        AUGMENTERS.get("contextual")({"multiplier": 1.0, "attempts": 1}, Material([], TASK, 1))
