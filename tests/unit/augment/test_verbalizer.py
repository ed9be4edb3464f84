from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.augment.base import Material, Slot
from hypermix.augment.gpt3mix import build_gpt3mix
from hypermix.augment.prompt import render_prompt
from hypermix.augment.verbalizer import (
    WordTokens,
    find_problems,
    read_words,
    refuse_alike,
    show_words,
    words_from_json,
    words_to_json,
)
from hypermix.errors import AugmentError
from hypermix.records import Example, Task
from tests.unit.augment.playing import harvest, plan
from tests.unit.augment.speaker import SETTINGS, answered, plain, token

REMEDY = "; give other words in label_words, or set labels: hard"
ADVICE = f", so that it counts only where it is written, and rows are dropped{REMEDY}"
CHARACTERS = st.characters(codec="utf-8", exclude_characters="()", exclude_categories=("Cc", "Zs", "Zl", "Zp"))
WORDS = st.lists(
    st.text(CHARACTERS, min_size=1, max_size=6), min_size=2, max_size=4, unique_by=lambda word: word.strip().casefold()
)


def as_task(*words: str) -> Task:
    return Task("text", "type", {word.lower(): word for word in words})


def cut(**words: Sequence[bytes] | Sequence[str]) -> list[WordTokens]:
    """Word tokens from pieces; the word is what they spell."""
    found = []
    for label, given_pieces in words.items():
        pieces = tuple(piece.encode() if isinstance(piece, str) else piece for piece in given_pieces)
        found.append(WordTokens(label, b"".join(pieces).decode().strip().lower(), pieces))
    return found


def problems(**words: Sequence[bytes] | Sequence[str]) -> list[str]:
    return find_problems(cut(**words), "logprobs")


# What is tokenized.


def test_words_stand_as_in_a_prompt() -> None:
    task = Task("movie review", "SENTIMENT", {"neg": "very NEGATIVE", "pos": "Positive"})
    shown = show_words(task)
    assert shown == ["(Sentiment: Very negative)", "(Sentiment: Positive)"]
    prompt = render_prompt([Example("a", "fine", "pos"), Example("b", "dull", "neg")], task)
    assert all(f" {text}\n" in prompt for text in shown)
    words = read_words(task, [[text.encode()] for text in shown])
    assert [(word.label, word.word, word.shown) for word in words] == [
        ("neg", "very NEGATIVE", "Very negative"),
        ("pos", "Positive", "Positive"),
    ]


@pytest.mark.parametrize(
    ("word", "tokens", "pieces"),
    [
        ("positive", ["(", "Type", ":", " Positive", ")"], (b" Positive",)),
        ("sci/tech", ["(", "Type", ":", " Sci", "/", "tech", ")"], (b" Sci", b"/", b"tech")),
        ("10", ["(", "Type", ":", " ", "1", "0", ")"], (b"1", b"0")),  # the space is a token of its own
        ("good", [" (", "Type", ": Good", ")"], (b": Good",)),
        ("good", ["(Type:", " Go", "od)"], (b" Go", b"od)")),
        ("good", [" ", "(Type:", " Good", ")"], (b" Good",)),  # a space that the tokenizer put there
        ("good", ["(Type:", "", " Good", "", ")"], (b" Good",)),
        (" a  ", ["(Type:", " ", " a", "  ", ")"], (b" a",)),  # a label may have spaces around it
        ("good", ["(Type:", " <unk>", ")"], ()),
        ("good", [], ()),
        ("good", ["(Type:", " Good", ")", " "], ()),
    ],
)
def test_word_is_found_in_its_tokens(word: str, tokens: list[str], pieces: tuple[bytes, ...]) -> None:
    task = Task("text", "type", {"x": word})
    assert read_words(task, [[token.encode() for token in tokens]]) == [WordTokens("x", word, pieces)]


def test_word_is_found_across_cut_characters() -> None:
    task = Task("text", "type", {"x": "电影"})
    tokens = [b"(Type: \xe7", b"\x94\xb5", b"\xe5\xbd", b"\xb1", b")"]
    assert read_words(task, [tokens])[0].pieces == tuple(tokens[:-1])


@given(WORDS, st.data())
def test_pieces_of_any_cut_cover_the_word_alone(words: list[str], data: st.DataObject) -> None:
    task = Task("text", "type", dict(enumerate_labels(words)))
    shown = [text.encode() for text in show_words(task)]
    cuts = [sorted(data.draw(st.sets(st.integers(1, len(text) - 1)))) for text in shown]
    tokens = [
        [text[start:stop] for start, stop in pairwise([0, *places, len(text)])]
        for text, places in zip(shown, cuts, strict=True)
    ]
    for word, text, pieces in zip(read_words(task, tokens), shown, tokens, strict=True):
        assert word.pieces
        first = pieces.index(word.pieces[0])
        before = sum(map(len, pieces[:first]))
        start, stop = len(b"(Type: "), len(text) - 1
        assert before <= start < before + len(word.pieces[0])
        covered = before + sum(map(len, word.pieces))
        assert covered - len(word.pieces[-1]) < stop <= covered
        assert text[before:covered] == b"".join(word.pieces)


def enumerate_labels(words: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"label-{number}", word) for number, word in enumerate(words)]


# No tokenizer.


def test_without_tokenizer_nothing_is_claimed() -> None:
    words = read_words(as_task("Positive", "Possible"), None)
    assert [word.pieces for word in words] == [None, None]
    assert find_problems(words, "logprobs") == []
    refuse_alike(words, "logprobs")


# Files.


def test_words_have_a_json_form() -> None:
    words = [
        WordTokens("a", "电", (b" \xe7", b"\x94\xb5")),
        WordTokens("b", "good", (b" Good",)),
        WordTokens("c", "odd", ()),
        WordTokens("d", "other", None),
    ]
    rows = json.loads(json.dumps(words_to_json(words)))
    assert rows == [
        ["a", "电", [" \ufffd", "\ufffd\ufffd"]],
        ["b", "good", [" Good"]],
        ["c", "odd", []],
        ["d", "other", None],
    ]
    assert words_from_json(rows)[1:] == words[1:]
    assert find_problems(words_from_json(rows), "logprobs") == find_problems(words, "logprobs")


@given(WORDS, st.data())
def test_file_keeps_the_problems(words: list[str], data: st.DataObject) -> None:
    before = cut_anywhere(words, data)

    assert find_problems(words_from_json(words_to_json(before)), "logprobs") == find_problems(before, "logprobs")


def cut_anywhere(words: Sequence[str], data: st.DataObject) -> list[WordTokens]:
    """Label words as some tokenizer may cut them; the bracket is a token of its own."""
    task = Task("text", "type", dict(enumerate_labels(words)))
    tokens = []
    for text in show_words(task):
        content = text.encode()
        places = sorted(data.draw(st.sets(st.integers(7, len(content) - 2), max_size=3))) if len(content) > 9 else []
        bounds = [0, 6, *places, len(content) - 1, len(content)]
        tokens.append([content[start:stop] for start, stop in pairwise(bounds)])
    return read_words(task, tokens)


# Problems.


def test_words_of_one_token_are_fine() -> None:
    words = cut(neg=[" Negative"], pos=[" Positive"])
    assert find_problems(words, "logprobs") == []
    refuse_alike(words, "logprobs")


def test_words_of_several_tokens_are_told_with_their_price() -> None:
    assert problems(tech=[" Sci", "/", "tech"], world=[" World"], pos=[" Pos", "itive"]) == [
        "the label word 'Sci/tech' is 3 tokens: where it is not written, 2 more requests a row may score it whole",
        "the label word 'Positive' is 2 tokens: where it is not written, 1 more request a row may score it whole",
    ]


def test_words_that_begin_alike_can_be_told_apart() -> None:
    words = cut(a=[" Pos", "itive"], b=[" Pos", "sible"])
    assert len(find_problems(words, "logprobs")) == 2
    assert not any(problem.endswith(ADVICE) for problem in find_problems(words, "logprobs"))
    refuse_alike(words, "logprobs")


def test_word_that_begins_another_needs_what_follows() -> None:
    assert problems(new=[" New"], york=[" New", " york"]) == [
        "the label word 'New' begins another one: where it is not written, 1 more request a row may score it whole",
        "the label word 'New york' is 2 tokens: where it is not written, 1 more request a row may score it whole",
    ]


def test_token_with_the_bracket_needs_nothing_more() -> None:
    words = [WordTokens("a", "new", (b" New)",)), WordTokens("b", "newer", (b": Newer",))]
    assert find_problems(words, "logprobs") == []


def test_part_of_a_character_cannot_be_followed() -> None:
    assert problems(a=[b" \xe7", b"\x94\xb5"], b=[" B"], c=[" C"]) == [
        f"a token of the label word '电' ends inside a character{ADVICE}"
    ]


def test_word_that_its_tokens_do_not_spell_is_told() -> None:
    words = [WordTokens("a", "电", ()), *cut(b=[" B"], c=[" C"])]
    assert find_problems(words, "classify") == [f"the model's tokens do not spell the label word '电'{ADVICE}"]


@pytest.mark.parametrize("source", ["hard", "vote", "decisions", "scoring"])
def test_other_sources_need_no_tokens(source: str) -> None:
    words = cut(a=[b" \xe7", b"\x94\xb5"], b=[" Pos", "sible"])
    assert find_problems(words, source) == []
    refuse_alike(words, source)


# What cannot work.


@pytest.mark.parametrize("source", ["logprobs", "classify"])
@pytest.mark.parametrize(
    "words",
    [
        {"a": [b" \xe7", b"\x94\xb5"], "b": [b" \xe5", b"\xbd\xb1"]},
        {"a": [b" \xe7", b"\x94\xb5"], "b": [" B"]},
    ],
    ids=["both", "one of two"],
)
def test_words_that_are_never_told_apart_are_refused(words: Mapping[str, Sequence[bytes]], source: str) -> None:
    found = cut(**words)
    with pytest.raises(AugmentError) as caught:
        refuse_alike(found, source)
    told = [problem.removesuffix(ADVICE) for problem in find_problems(found, source) if problem.endswith(ADVICE)]
    assert str(caught.value) == f"soft labels cannot tell the labels apart: {'; '.join(told)}{REMEDY}"


def test_one_word_among_others_is_not_refused() -> None:
    words = cut(a=[b" \xe7", b"\x94\xb5"], c=[" Other"], d=[" Else"])
    refuse_alike(words, "logprobs")
    assert len(find_problems(words, "logprobs")) == 1


def test_single_label_is_not_refused() -> None:
    refuse_alike(cut(a=[" Positive"]), "logprobs")


# The code that reads the answers agrees.


@given(
    st.lists(
        st.sampled_from(["a", "ab", "abc", "b", "ba", "bab", "c", "电影", "电", "É", "éa", "ß", "ssa"]),
        min_size=2,
        max_size=4,
        unique_by=lambda word: word.casefold(),
    ),
    st.data(),
)
def test_problems_are_those_of_the_code_that_reads(words: list[str], data: st.DataObject) -> None:
    found = cut_anywhere(words, data)
    task = Task("text", "type", dict(enumerate_labels(words)))
    asked = [count_requests(word, task) for word in found]
    told = find_problems(found, "logprobs")

    assert [f"{count} more request" for count in asked if count] == [
        problem.partition("written, ")[2][: len("1 more request")] for problem in told if not problem.endswith(ADVICE)
    ]
    lost = [word for word, count in zip(found, asked, strict=True) if count is None]
    assert all(any(repr(word.shown) in problem and problem.endswith(ADVICE) for problem in told) for word in lost)
    with pytest.raises(AugmentError) if len(found) - len(lost) < 2 else nullcontext():
        refuse_alike(found, "logprobs")


def count_requests(word: WordTokens, task: Task) -> int | None:
    """Let a model that says this word after every other row be asked; None if its label is not had."""
    assert word.pieces
    pieces = [*word.pieces, b")"]
    written = task.labels[0] if word.label != task.labels[0] else task.labels[1]
    other = f" {WordTokens('', task.words[written], None).shown})"
    first = token(other, (other, 0.01), (pieces[0], 0.9))
    answers = [answered(f" fine (Type:{other}", [*plain(" fine (Type:"), first])]
    augmenter = build_gpt3mix({**SETTINGS, "examples": 1}, Material([Example("a", "x", written)], task, 7))
    while requests := plan(augmenter, Slot(0, 0), answers):
        assert len(requests) == 1
        answers.append(answered("", [token(pieces[len(answers)], (pieces[len(answers)], 0.9))]))
    row = harvest(augmenter, Slot(0, 0), answers)
    kept = row.soft_label is not None and row.soft_label[task.labels.index(word.label)] > 0.9
    return len(answers) - 1 if kept else None
