from __future__ import annotations

import random

import pytest

from hypermix.augment.quality import surface
from hypermix.augment.quality.words import encode_words

WORDS = [f"word{number}" for number in range(400)]


def texts(n: int, seed: int = 0) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=12)) for _ in range(n)]


def test_distinct_is_counted_by_hand() -> None:
    words = encode_words(["the cat sat", "the cat ran", "the end"])
    # the cat sat the cat ran the end; the-cat cat-sat the-cat cat-ran the-end; the-cat-sat the-cat-ran
    found = [surface.distinct(words, n) for n in (1, 2, 3)]
    assert found == pytest.approx([5 / 8, 4 / 5, 1.0])


def test_distinct_without_a_run_is_not_defined() -> None:
    assert surface.distinct(encode_words(["one", "two", ""]), 2) is None


def test_texts_are_compared_on_as_many_words() -> None:
    few, many = encode_words(texts(30)), encode_words(texts(300))
    assert (surface.distinct(few, 1) or 0) > (surface.distinct(many, 1) or 0) + 0.2  # the same texts, but more of them
    ours, theirs = surface.alike(few, many)
    assert surface.distinct(ours, 1) == surface.distinct(theirs, 1)
    assert len(ours.codes) == len(theirs.codes) == len(few.codes)


def test_mean_length_counts_words() -> None:
    assert surface.mean_length(encode_words(["a b c", "", "d"])) == pytest.approx(4 / 3)


def test_one_repeated_sentence_shrinks_far_more() -> None:
    varied, same = surface.join(texts(200)), surface.join(texts(1) * 200)
    assert surface.compression(same) > 10 * surface.compression(varied)
    assert surface.compression(varied) > 1


def test_self_bleu_of_equal_texts_is_one_and_of_unlike_ones_near_zero() -> None:
    same = surface.self_bleu(encode_words(texts(1) * 30), random.Random(1))
    unlike = encode_words([" ".join(WORDS[start : start + 10]) for start in range(0, 300, 10)])
    assert same == pytest.approx(1)
    assert surface.self_bleu(unlike, random.Random(1)) == pytest.approx(0)


def test_self_bleu_is_worked_out_by_hand() -> None:
    # Of "a b c d" all but "d" and what ends with it is in "a b c e"; sacrebleu smooths 0 of 1 runs of four to 1/2.
    wanted = (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** (1 / 4)
    found = surface.self_bleu(encode_words(["a b c d", "a b c e"]), random.Random(1))
    assert found == pytest.approx(wanted)


def test_self_bleu_does_not_grow_with_the_number_of_texts() -> None:
    found = [surface.self_bleu(encode_words(texts(n)), random.Random(1)) or 0 for n in (100, 600)]
    assert found[1] == pytest.approx(found[0], rel=0.15)


def test_self_bleu_needs_two_texts_with_words() -> None:
    assert surface.self_bleu(encode_words(["one text", "", "!"]), random.Random(1)) is None


def test_self_bleu_repeats() -> None:
    words = encode_words(texts(300))
    assert surface.self_bleu(words, random.Random(5)) == surface.self_bleu(words, random.Random(5))
