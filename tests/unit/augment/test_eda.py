from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment import eda
from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.derived import UNCHANGED
from hypermix.augment.tools import Tools
from hypermix.augment.words import Words
from hypermix.errors import AugmentError
from hypermix.records import Example, SyntheticRow, Task
from tests.unit.augment.playing import harvest, make_rows, plan

STEADY = settings(deadline=None, derandomize=True, max_examples=80)
TASK = Task("text", "label", {"a": "x", "b": "y"})
KNOWN = {"good": ["fine", "great"], "film": ["movie", "motion picture"], "plot": ["story"], "the": ["thee"]}
TEXT = "The good film has a plot that was told in many good books before it came to us all"
ALPHAS = {f"alpha_{name}": 0.1 for name in ("replace", "insert", "swap", "delete")}
SEEDS = st.integers(0, 2**32 - 1)


def synonyms(word: str) -> Sequence[str]:
    return KNOWN.get(word, ())


def augmenter(texts: Sequence[str], multiplier: float = 1.0, seed: int = 1, **alphas: float) -> Augmenter:
    examples = [Example(f"row {row}", text, "ab"[row % 2]) for row, text in enumerate(texts)]
    made: dict[str, Any] = {"multiplier": multiplier, "attempts": 3, **ALPHAS, **alphas}
    return AUGMENTERS.get("eda")(made, Material(examples, TASK, seed, tools=Tools(synonyms=synonyms)))


def only(name: str, alpha: float = 0.1) -> dict[str, float]:
    return {**dict.fromkeys(ALPHAS, 0.0), f"alpha_{name}": alpha}


def rows_of(texts: Sequence[str], **settings: float) -> list[SyntheticRow]:
    return make_rows(augmenter(texts, **settings))


def counted(text: str) -> Counter[str]:
    return Counter(word.lower() for word in Words.of(text).words)


@pytest.mark.parametrize(("share", "words", "count"), [(0.1, 9, 1), (0.1, 30, 3), (0.1, 39, 3), (0.29, 100, 29)])
def test_changes_are_a_share_of_the_words_and_at_least_one(share: float, words: int, count: int) -> None:
    assert eda.count_changes(share, words) == count


@STEADY
@given(SEEDS, st.sampled_from([0.06, 0.1, 0.2]))
def test_replacement_puts_synonyms_for_content_words(seed: int, alpha: float) -> None:
    (row,) = rows_of([TEXT], seed=seed, **only("replace", alpha))
    gone, new = counted(TEXT) - counted(str(row.text)), counted(str(row.text)) - counted(TEXT)
    assert sum(gone.values()) == eda.count_changes(alpha, 19)
    assert set(gone) <= {"good", "film", "plot"}
    assert set(new) <= {"fine", "great", "movie", "motion", "picture", "story"}


def test_each_occurrence_of_a_word_is_a_word_of_its_own() -> None:
    found = {row.text for row in rows_of(["good, good"], multiplier=30.0, **only("replace"))}
    assert found == {"fine, good", "great, good", "good, fine", "good, great"}


@STEADY
@given(SEEDS)
def test_insertion_keeps_all_words_in_order_and_adds_synonyms(seed: int) -> None:
    (row,) = rows_of([TEXT], seed=seed, **only("insert", 0.12))
    new = counted(str(row.text)) - counted(TEXT)
    rest = iter(Words.of(str(row.text)).words)
    assert all(word in rest for word in Words.of(TEXT).words)
    assert sum(count for word, count in new.items() if word != "picture") == 2
    assert set(new) <= {"fine", "great", "movie", "motion", "picture", "story"}


def test_insertion_happens_everywhere() -> None:
    found = {row.text for row in rows_of(["a plot told"], multiplier=60.0, **only("insert"))}
    assert found == {"story a plot told", "a story plot told", "a plot story told", "a plot told story"}


@STEADY
@given(SEEDS)
def test_a_swap_moves_two_words(seed: int) -> None:
    (row,) = rows_of([TEXT], seed=seed, **only("swap"))
    assert counted(str(row.text)) == counted(TEXT)
    moved = [one != other for one, other in zip(Words.of(str(row.text)).words, Words.of(TEXT).words, strict=True)]
    assert sum(moved) == 2


@STEADY
@given(SEEDS, st.sampled_from([0.0001, 0.1, 0.9, 1.0]))
def test_deletion_takes_at_least_one_word_and_never_all(seed: int, alpha: float) -> None:
    (row,) = rows_of([TEXT], seed=seed, **only("delete", alpha))
    left = Words.of(str(row.text)).words
    rest = iter(Words.of(TEXT).words)
    assert 1 <= len(left) < 19
    assert all(word in rest for word in left)


def test_deletion_takes_each_word_as_often() -> None:
    """Take 0.25 of 20 words: 5 a text; over 2,000 texts a word goes 500 times, with a standard deviation of 19."""
    text = " ".join(f"w{number}" for number in range(20))
    gone = Counter[str]()
    for draw in range(2000):
        words = Words.of(text)
        eda.delete(words, Random(draw), alpha=0.25)
        gone.update(set(text.split()) - set(words.words))
    assert len(gone) == 20
    assert all(400 < count < 600 for count in gone.values())


def test_the_rows_of_a_text_take_the_operations_in_turn() -> None:
    """Four rows of a text, one by each operation: a word more, a word less, the same words, another word."""
    text = "one two three film"
    for row in range(0, 40, 4):
        made = [harvest(augmenter([text], 40.0), Slot(row + turn, 0)).text or "" for turn in range(4)]
        new = [sum((counted(one.replace("motion ", "")) - counted(text)).values()) for one in made]
        gone = [sum((counted(text) - counted(one)).values()) for one in made]
        assert sorted(zip(new, gone, strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@STEADY
@given(SEEDS, st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_text_is_changed_or_says_that_it_was_not(seed: int, texts: list[str]) -> None:
    for row in rows_of(texts, multiplier=2.0, seed=seed):
        source = texts[int(row.source_ids[0].removeprefix("row "))]
        assert row.kept == (row.text is not None and row.text.split() != source.split())
        assert row.kept or row.reason == UNCHANGED
        assert row.label == "ab"[int(row.source_ids[0].removeprefix("row ")) % 2]


def test_one_unknown_word_cannot_be_changed() -> None:
    assert [(row.text, row.reason) for row in rows_of(["Zzz!"])] == [(None, UNCHANGED)]


def test_one_known_word_is_replaced_or_added_to() -> None:
    found = {str(row.text) for row in rows_of(["Plot!"], multiplier=8.0)}
    assert found == {"Story!", "story Plot!", "Plot story!"}


def test_words_without_synonyms_are_swapped_or_deleted() -> None:
    assert all(row.kept for row in rows_of(["这部电影很好。", "هذا فيلم جيد"], multiplier=8.0))


def test_grammar_is_not_replaced() -> None:
    """The word `the` has an entry in the table of synonyms and is a stop word all the same, also with a curly sign."""
    assert [row.text for row in rows_of(["The"], multiplier=1.0, **only("replace"))] == [None]
    KNOWN["isn't"] = ["ain't"]
    assert [row.text for row in rows_of(["isn’t"], multiplier=1.0, **only("replace"))] == [None]


def test_label_is_that_of_the_source() -> None:
    rows = rows_of([TEXT, TEXT], multiplier=2.0)
    assert Counter((row.source_ids, row.label, row.soft_label) for row in rows) == {
        (("row 0",), "a", (1.0, 0.0)): 2,
        (("row 1",), "b", (0.0, 1.0)): 2,
    }
    assert {(row.label_source, row.request_key) for row in rows} == {("source", None)}


@STEADY
@given(SEEDS)
def test_a_larger_multiplier_begins_with_the_same_rows(seed: int) -> None:
    texts = [TEXT, "good film", "a plot"]
    assert rows_of(texts, multiplier=2.0, seed=seed) == rows_of(texts, multiplier=5.0, seed=seed)[:6]


def test_another_attempt_is_another_change_of_the_same_row() -> None:
    made = [harvest(augmenter([TEXT]), Slot(0, attempt)) for attempt in range(3)]
    assert len({row.text for row in made}) == 3
    assert len({row.source_ids for row in made}) == 1


def test_nobody_is_asked() -> None:
    found = augmenter([TEXT])
    assert plan(found, Slot(0, 0)) == []
    assert found.most_requests == 0
    assert found.rehearse(Example("i", "text", "a"), 0) == "text"


def test_an_empty_subsample_makes_no_rows() -> None:
    assert rows_of([]) == []


def test_without_synonyms_it_is_not_built() -> None:
    with pytest.raises(AugmentError, match="eda replaces words by synonyms, and none are at hand"):
        AUGMENTERS.get("eda")({"multiplier": 1.0, "attempts": 1, **ALPHAS}, Material([], TASK, 1))
