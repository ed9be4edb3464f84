from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.augment.quality.words import encode_words

SPACED = st.text(st.sampled_from("abAB ,.'\n0"), max_size=12)


@given(st.lists(SPACED, min_size=1, max_size=6))
def test_words_are_runs_of_letters_and_digits(texts: list[str]) -> None:
    wanted = [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]
    words = encode_words(texts)
    names: dict[int, str] = {}
    flat = [word for row in wanted for word in row]
    assert words.counts.tolist() == [len(row) for row in wanted]
    assert all(names.setdefault(code, word) == word for code, word in zip(words.codes.tolist(), flat, strict=True))
    assert len(names) == len(set(flat))


def test_case_punctuation_and_forms_do_not_count() -> None:
    words = encode_words(["It's FINE!", "it s fine", "ｉｔ ｓ fine"])
    assert words.codes.tolist() == [0, 1, 2] * 3


@pytest.mark.parametrize(
    ("text", "count"), [("我爱电影", 4), ("映画 が 好き", 5), ("فيلم رائع", 2), ("🎬 !", 0), ("", 0)]
)
def test_scripts_without_spaces_have_a_word_a_character(text: str, count: int) -> None:
    assert encode_words([text, "x"]).counts.tolist() == [count, 1]


def test_lone_surrogates_do_no_harm() -> None:
    assert encode_words(["a \ud800 b"]).counts.tolist() == [2]


def test_many_rows_are_numbered_alike_in_all_blocks() -> None:
    words = encode_words([f"same {row}" for row in range(20_000)])
    assert words.codes[::2].tolist() == [0] * 20_000
    assert len(np.unique(words.codes)) == 20_001


@given(st.lists(SPACED, min_size=1, max_size=6), st.integers(1, 4))
def test_runs_stay_inside_a_row(texts: list[str], n: int) -> None:
    rows = [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]
    wanted = [
        (row, tuple(found[i : i + n])) for row, found in enumerate(rows) for i in range(max(0, len(found) - n + 1))
    ]
    names, numbers = encode_words(texts).ngrams(n)
    assert numbers.tolist() == [row for row, _ in wanted]
    assert len(set(names.tolist())) == len({run for _, run in wanted})


def test_parts_are_cut() -> None:
    words = encode_words(["a b c", "d", "e f"])
    assert words.rows(1, 3).codes.tolist() == [3, 4, 5]
    assert words.rows(1, 3).counts.tolist() == [1, 2]
    assert words.first(4).counts.tolist() == [3, 1, 0]
    assert words.cut(2).codes.tolist() == [0, 1, 3, 4, 5]
    assert words.cut(2).counts.tolist() == [2, 1, 2]
