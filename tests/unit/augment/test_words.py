from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.words import Words

STEADY = settings(deadline=None, derandomize=True, max_examples=150)
TEXTS = st.one_of(st.text(max_size=60), st.text("ab 'é-,.!🙂च्छا影。\n\u200d\ufe0f", max_size=30))


@STEADY
@given(TEXTS)
def test_a_text_is_put_together_as_it_was(text: str) -> None:
    found = Words.of(text)

    assert str(found) == text
    assert len(found.gaps) == len(found) + 1
    assert [text[slice(*found.span(place))] for place in range(len(found))] == found.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The film's well-made, isn't it?", ["The", "film's", "well-made", "isn't", "it"]),
        ("Ünï cödé — 42nd", ["Ünï", "cödé", "42nd"]),
        ("'quoted' a-- b- -c", ["quoted", "a", "b", "c"]),
        ("यह फ़िल्म अच्छी है", ["यह", "फ़िल्म", "अच्छी", "है"]),
        ("می‌خواهم بروم", ["می‌خواهم", "بروم"]),
        ("这部电影 good", ["这", "部", "电", "影", "good"]),
        ("映画が", ["映", "画", "が"]),
        ("❤️ no 👩‍👧 emoji", ["no", "emoji"]),
        ("Text (Sentiment: Positive)", ["Text", "Sentiment", "Positive"]),
        (" \n", []),
    ],
)
def test_words_of_any_script_are_found(text: str, words: list[str]) -> None:
    assert Words.of(text).words == words


@pytest.mark.parametrize(
    ("text", "place", "left"),
    [
        ("Good film, bad plot.", 1, "Good, bad plot."),
        ("Good film, bad plot.", 3, "Good film, bad."),
        ("Good film", 1, "Good"),
        ("Well, no (really)", 0, "no (really)"),
        ("Well (really)", 0, "(really)"),
        ("a - b - c", 1, "a - - c"),
        ("这部电影。", 2, "这部影。"),
    ],
)
def test_a_word_goes_with_the_space_beside_it(text: str, place: int, left: str) -> None:
    words = Words.of(text)
    words.delete(place)

    assert str(words) == left


@pytest.mark.parametrize(
    ("text", "place", "word", "left"),
    [
        ("good film.", 0, "very", "very good film."),
        ("good film.", 1, "very", "good very film."),
        ("good film.", 2, "indeed", "good film indeed."),
        ("(film)", 1, "plot", "(film plot)"),
        ("电影。", 1, "大", "电大影。"),
        ("电影。", 2, "大", "电影大。"),
        ("电影。", 0, "big", "big 电影。"),
    ],
)
def test_an_inserted_word_is_set_off_where_the_script_does_so(text: str, place: int, word: str, left: str) -> None:
    words = Words.of(text)
    words.insert(place, word)

    assert str(words) == left


@pytest.mark.parametrize(("word", "now"), [("Good", "Fine"), ("good", "fine"), ("GOOD", "FINE"), ("I", "Fine")])
def test_a_new_word_is_written_large_where_the_old_was(word: str, now: str) -> None:
    words = Words.of(f"a {word}!")
    words.replace(1, "fine")

    assert str(words) == f"a {now}!"


def test_punctuation_stays_where_words_are_swapped() -> None:
    words = Words.of("one, two: three?")
    words.swap(0, 2)

    assert str(words) == "three, two: one?"


@STEADY
@given(TEXTS, st.data())
def test_words_are_changed_in_place(text: str, data: st.DataObject) -> None:
    """Whatever is taken out or put in, the other words stay and are found again."""
    words = Words.of(text)
    if not words:
        return
    place = data.draw(st.integers(0, len(words) - 1))
    before = list(words.words)
    words.delete(place)
    assert words.words == before[:place] + before[place + 1 :]
    assert len(words.gaps) == len(words) + 1
    if words:
        words.insert(min(place, len(words)), "new")
        assert words.words.count("new") == before.count("new") - (before[place] == "new") + 1
        assert len(words.gaps) == len(words) + 1
