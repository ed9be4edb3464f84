from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.lexicon import Standing, fold, item_lexicon, json_lexicon, letter_lexicon
from hypermix.records import Task
from tests.unit.augment.speaker import SENTIMENT

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
WORLD = Task("text", "type", {"a": "World", "b": "Worldwide", "c": "sci/tech"})
WORDS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="()\r\n"), min_size=1, max_size=6).filter(str.strip),
    min_size=2,
    max_size=4,
    unique_by=fold,
)


def known(label: str) -> Standing:
    return Standing(label, ())


@pytest.mark.parametrize(
    ("written", "standing"),
    [
        (" Positive", known("pos")),
        ("positive", known("pos")),
        ("POSITIVE ", known("pos")),
        (" Positive)", known("pos")),
        (" Positive ) and more", known("pos")),
        (" Pos", Standing(None, ("pos",))),
        (" ", Standing(None, ("neg", "pos"))),
        ("", Standing(None, ("neg", "pos"))),
        (" Positively", Standing(None, ())),
        (" Positive and", Standing(None, ())),
        (" Pos)", Standing(None, ())),
        (" Mixed", Standing(None, ())),
    ],
)
def test_bytes_of_an_item_are_judged(written: str, standing: Standing) -> None:
    assert item_lexicon(SENTIMENT).judge(written.encode()) == standing


@pytest.mark.parametrize(
    ("written", "standing"),
    [
        (" World", Standing(None, ("a", "b"))),
        (" World)", known("a")),
        (" World )", known("a")),
        (" Worldw", Standing(None, ("b",))),
        (" Worldwide", known("b")),
        (" Wor", Standing(None, ("a", "b"))),
    ],
)
def test_word_that_begins_another_waits_for_what_follows(written: str, standing: Standing) -> None:
    assert item_lexicon(WORLD).judge(written.encode()) == standing


def test_schema_leaves_one_way_to_go_on() -> None:
    enforced = json_lexicon(WORLD, enforced=True)

    assert enforced.judge(b"Sc") == known("c")
    assert enforced.judge(b"Worldw") == known("b")
    assert enforced.judge(b"Wor").open
    assert enforced.judge(b"World").open
    assert enforced.judge(b'World"') == known("a")
    assert json_lexicon(WORLD, enforced=False).judge(b"Sc").open


@pytest.mark.parametrize("escaped", ["Sci/tech", "Sci\\/tech", "sci/TECH"])
def test_escapes_of_json_are_the_same_word(escaped: str) -> None:
    assert json_lexicon(WORLD, enforced=False).judge(escaped.encode() + b'"') == known("c")


@pytest.mark.parametrize("written", ['\\u00c9t\\u00e9"', '\\u00e9t\\u00E9"', 'Été"', 'été"', 'É"'])
def test_capital_letters_have_escapes_of_their_own(written: str) -> None:
    task = Task("text", "type", {"a": "été", "b": "É"})

    assert json_lexicon(task, enforced=False).judge(written.encode()).label == ("b" if written == 'É"' else "a")


def test_word_with_a_quote_is_found_in_json() -> None:
    task = Task("text", "type", {"a": 'so "called"', "b": "other"})

    assert json_lexicon(task, enforced=False).judge(json.dumps('So "called"').encode()[1:]) == known("a")


def test_characters_may_be_cut() -> None:
    task = Task("text", "type", {"a": "电影", "b": "电台", "c": "Été", "d": "x"})
    lexicon = item_lexicon(task)

    assert lexicon.judge(" 电".encode()[:3]) == Standing(None, ("a", "b"))
    assert lexicon.judge("电影".encode()[:5]) == Standing(None, ("a",))
    assert lexicon.judge("É".encode()[:1]) == Standing(None, ("c",))
    assert lexicon.judge("x电".encode()[:2]) == Standing(None, ())
    assert lexicon.judge(b"\xff\xfe") == Standing(None, ())


def test_letters_follow_the_label_order() -> None:
    lexicon = letter_lexicon(WORLD)

    assert [lexicon.judge(letter).label for letter in (b"A", b" b", b"C ", b"D")] == ["a", "b", "c", None]
    assert not lexicon.judge(b"A fine").open


def test_whole_words_are_found() -> None:
    lexicon = item_lexicon(WORLD)

    assert [lexicon.find(word) for word in ("world", " WORLDWIDE ", "Sci/Tech", "wor", "")] == [
        "a",
        "b",
        "c",
        None,
        None,
    ]


@STEADY
@given(WORDS, st.data())
def test_every_beginning_of_a_word_leads_to_it(words: list[str], data: st.DataObject) -> None:
    task = Task("text", "type", {str(place): word for place, word in enumerate(words)})
    lexicon, label = item_lexicon(task), data.draw(st.sampled_from(task.labels))
    content = fold(task.words[label]).encode()
    stop = data.draw(st.integers(0, len(content)))
    standing = lexicon.judge(content[:stop])

    assert label in {standing.label, *standing.begun}
    assert lexicon.judge(content + b")").label == label


@STEADY
@given(st.binary(max_size=12))
def test_any_bytes_are_judged(written: bytes) -> None:
    standing = json_lexicon(WORLD, enforced=True).judge(written)

    assert standing.label in {None, "a", "b", "c"}
    assert set(standing.begun) <= {"a", "b", "c"}
