from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.augment.parse import parse_row, score_labels
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
from hypermix.records import Example, Task, Token

REMEDY = "; give other words in label_words, or set labels: hard"
ADVICE = f", so that rows are dropped or labeled as others{REMEDY}"
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
    return find_problems(cut(**words), "soft")


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
    assert find_problems(words, "soft") == []
    refuse_alike(words, "soft")


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


@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=4), max_size=3) | st.none(), min_size=2, max_size=4),
    st.lists(st.sampled_from(["a", "ab", "b", "ba", "电", "é"]), min_size=4, max_size=4, unique=True),
)
def test_file_keeps_the_problems(pieces: list[list[bytes] | None], words: list[str]) -> None:
    before = [
        WordTokens(f"label-{number}", word, None if found is None else tuple(found))
        for number, (word, found) in enumerate(zip(words, pieces, strict=False))
    ]
    assert find_problems(words_from_json(words_to_json(before)), "soft") == find_problems(before, "soft")


# Problems.


def test_words_of_one_token_are_fine() -> None:
    words = cut(neg=[" Negative"], pos=[" Positive"])
    assert find_problems(words, "soft") == []
    refuse_alike(words, "soft")


def test_long_word_is_told_with_its_first_token() -> None:
    assert problems(tech=[" Sci", "/", "tech"], world=[" World"]) == [
        "the label word 'Sci/tech' is 3 tokens: its soft label is the probability of its first token ' Sci'"
    ]


def test_shared_first_token_is_told() -> None:
    assert problems(a=[" Pos", "itive"], b=[" Pos", "sible"], c=[" Other"]) == [
        "the label words 'Positive' and 'Possible' begin with the same token ' Pos': soft labels cannot tell them apart"
        + ADVICE
    ]


def test_all_words_with_the_same_token_are_listed() -> None:
    (found,) = problems(a=[" Pos", "itive"], b=[" Pos", "sible"], c=[" Pos", "t"], d=[" X"], e=[" Y"])
    assert found.startswith("the label words 'Positive', 'Possible' and 'Post' begin with the same token ' Pos'")


def test_case_and_spaces_make_no_other_token() -> None:
    words = [
        WordTokens("a", "positive", (b" POS", b"itive")),
        WordTokens("b", "possible", (b"pos", b"sible")),
        WordTokens("c", "other", (b" Other",)),
    ]
    (found,) = find_problems(words, "soft")
    assert found.startswith("the label words 'Positive' and 'Possible' begin with the same token ' POS': ")


def test_token_that_is_a_whole_word_counts_for_it() -> None:
    assert problems(new=[" New"], york=[" New", " york"], c=[" Other"]) == [
        "the label words 'New' and 'New york' begin with the same token ' New': soft labels count it for 'New' alone"
        + ADVICE
    ]


def test_whole_word_that_is_cut_itself_takes_the_token() -> None:
    assert problems(new=[" N", "ew"], york=[" New", " york"], c=[" Other"]) == [
        "the first token ' N' of the label word 'New' begins 'New york' too: soft labels count it for none of them"
        + ADVICE,
        "the first token ' New' of the label word 'New york' stands for 'New': soft labels count it there" + ADVICE,
    ]


def test_token_that_begins_another_word_counts_for_none() -> None:
    assert problems(a=[" Pos", "itive"], b=[" Possible"], c=[" Other"]) == [
        "the first token ' Pos' of the label word 'Positive' begins 'Possible' too: soft labels count it for none of "
        "them" + ADVICE
    ]


def test_part_of_a_character_counts_for_none() -> None:
    assert problems(a=[b" \xe7", b"\x94\xb5"], b=[" B"], c=[" C"]) == [
        "the first token ' \ufffd' of the label word '电' cannot be read as its beginning: soft labels count it for no "
        "label" + ADVICE
    ]


def test_token_with_more_than_the_word_counts_for_none() -> None:
    words = [WordTokens("a", "good", (b" Good)",)), *cut(b=[" B"], c=[" C"])]
    (found,) = find_problems(words, "soft")
    assert found.startswith("the first token ' Good)' of the label word 'Good' cannot be read as its beginning")


def test_word_that_its_tokens_do_not_spell_is_told() -> None:
    words = [WordTokens("a", "电", ()), *cut(b=[" B"], c=[" C"])]
    assert find_problems(words, "soft") == [
        "the model's tokens do not spell the label word '电': it has no soft label" + ADVICE
    ]


def test_hard_labels_need_no_tokens() -> None:
    words = cut(a=[" Pos", "itive"], b=[" Pos", "sible"])
    assert find_problems(words, "hard") == []
    refuse_alike(words, "hard")


# What cannot work.


@pytest.mark.parametrize(
    "words",
    [
        {"a": [" Pos", "itive"], "b": [" Pos", "sible"]},
        {"a": [" Pos", "itive"], "b": [" Possible"]},  # all soft labels would say b
        {"new": [" New"], "york": [" New", " york"]},
        {"a": [" Other"], "b": [" Pos", "itive"], "c": [" Pos", "sible"]},
        {"a": [b" \xe7", b"\x94\xb5"], "b": [b" \xe5", b"\xbd\xb1"]},
    ],
)
def test_words_that_are_never_told_apart_are_refused(words: Mapping[str, Sequence[str]]) -> None:
    found = cut(**words)
    with pytest.raises(AugmentError) as caught:
        refuse_alike(found, "soft")
    told = [problem.removesuffix(ADVICE) for problem in find_problems(found, "soft") if problem.endswith(ADVICE)]
    assert str(caught.value) == f"soft labels cannot tell the labels apart: {'; '.join(told)}{REMEDY}"


def test_one_pair_among_others_is_not_refused() -> None:
    words = cut(a=[" Pos", "itive"], b=[" Pos", "sible"], c=[" Other"], d=[" Else"])
    refuse_alike(words, "soft")
    assert len(find_problems(words, "soft")) == 1


def test_single_label_is_not_refused() -> None:
    refuse_alike(cut(a=[" Positive"]), "soft")


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
    task = Task("text", "type", dict(enumerate_labels(words)))
    tokens = []
    for text in show_words(task):
        content = text.encode()
        stop = data.draw(st.integers(len(b"(Type: ") + 1, len(content) - 1))
        tokens.append([content[:6], content[6:stop], content[stop:-1], content[-1:]])
    found = read_words(task, tokens)
    lost = [word for position, word in enumerate(found) if not counts_for(word, position, task)]
    told = [problem for problem in find_problems(found, "soft") if problem.endswith(ADVICE)]
    assert bool(told) == bool(lost)
    assert all(repr(word.shown) in " ".join(told) for word in lost)
    with pytest.raises(AugmentError) if len(found) - len(lost) < 2 else nullcontext():
        refuse_alike(found, "soft")


def counts_for(word: WordTokens, position: int, task: Task) -> bool:
    """Read an answer whose one likely token is the first of the word."""
    assert word.pieces
    completion = f" fine (Type: {word.shown})"
    word_at = parse_row(completion, task).word_at
    assert word_at is not None
    top = ((word.pieces[0], math.log(0.5)),)
    tokens = [Token(completion.encode()[: word_at - 1], -1.0, ()), Token(word.pieces[0], -1.0, top)]
    soft = score_labels(tokens, word_at, task)
    return soft is not None and soft.probabilities[position] == 1.0
