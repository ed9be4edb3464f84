from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.near import ENOUGH, THRESHOLD, NearPair, find_near_duplicates

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
LONG = "the film is a slow and careful study of two people who never quite learn to talk to each other"
WORDS = st.sampled_from(["a", "b", "c", "d", "É", "e\u0301", "ss", "ß", "北", "京", "\u0301", "-", "...", "\x00", "😀"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=12), max_size=12)


def near(train: list[str | None], test: list[str | None], threshold: float = THRESHOLD) -> list[NearPair]:
    return find_near_duplicates(iter([pa.array(train, pa.string())]), pa.array(test, pa.string()), threshold)


def similarity(one: str, other: str) -> float:
    """Return the similarity of two texts that are near by any measure; 0.0 if they do not match."""
    pairs = near([one], [other], 0.5)
    return pairs[0].similarity if pairs else 0.0


def shingle(text: str) -> set[object]:
    """Return the words and pairs by the prose, for texts in a Latin script and Chinese."""
    folded = unicodedata.normalize("NFKC", text).upper().lower()
    spaced = re.sub("([\u4e00-\u9fff])", r" \1 ", folded)
    words = re.findall(r"[^\W_]+", spaced)
    padded = ["", *words, ""]
    return {*words, *pairwise(padded)} if words else set()


def compare_all(train: list[str], test: list[str], threshold: float) -> dict[int, tuple[int, float]]:
    """Compare every pair of texts: the best train row and its similarity, by test row."""
    sets = [shingle(text) for text in train]
    found = {}
    for row, text in enumerate(test):
        own = shingle(text)
        similarities = [len(own & other) / len(own | other) if own and other else 0.0 for other in sets]
        best = max(similarities, default=0.0)
        if own and best >= threshold:
            found[row] = (similarities.index(best), best)
    return found


def as_found(pairs: list[NearPair]) -> dict[int, tuple[int, float]]:
    return {pair.test_row: (pair.train_row, pair.similarity) for pair in pairs}


def make_texts(count: int, seed: int, vocabulary: int = 3000) -> list[str]:
    generator = random.Random(seed)
    names = [f"w{number}" for number in range(vocabulary)]
    weights = [1 / (number + 1) for number in range(vocabulary)]
    return [" ".join(generator.choices(names, weights, k=generator.randint(5, 60))) for _ in range(count)]


def change(texts: list[str], seed: int) -> list[str]:
    """Change each text in as many places as bring it near the threshold, above or below it."""
    generator = random.Random(seed)
    changed = []
    for text in texts:
        words = text.split()
        for number in range(generator.randint(0, len(words) // 6)):
            words[generator.randrange(len(words))] = f"new{number}"
        changed.append(" ".join(words))
    return changed


@pytest.mark.parametrize(
    "other",
    [
        LONG.replace("careful", "carefull"),
        LONG.replace("slow", "sluggish"),
        LONG.replace(" quite", ""),
        LONG.replace("two people", '"two people"').title() + " ...",
        LONG + " again",
    ],
)
def test_long_text_with_one_change_is_near(other: str) -> None:
    assert [(pair.train_row, pair.test_row) for pair in near(["no", LONG], ["else", other])] == [(1, 1)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("will not support", "will support"),
        ("war on terror", "the war on terror"),
        ("axis of evil", "axis of good"),
        ("What is the capital of Peru ?", "What is the capital of Chad ?"),
        ("What is the population of Ohio ?", "What is the population of Seattle ?"),
        ("Who was the 23rd president of the United States ?", "Who was the 16th President of the United States ?"),
        ("yes", "no"),
    ],
)
def test_short_texts_do_not_match_by_accident(one: str, other: str) -> None:
    assert near([one], [other]) == []


def test_similarity_is_of_words_and_pairs() -> None:
    # Shared: 9 words, 9 pairs. In all: 11 words and 13 pairs.
    assert similarity("a b c d e f g h i j", "a b c d X f g h i j") == 18 / 24


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It's GOOD, isn't it?", "it ’ s good  isn´t it"),
        ("caf\u00e9 cr\u00e8me", "CAFE\u0301 CRE\u0300ME"),
        ("ＦＵＬＬ width", "full width"),
        ("Ο ΔΡΟΜΟΣ", "ο δρομος"),
        ("a_b *c*", "a b c"),
        ("tab\tand\x00nul", "tab and nul"),
        ("我爱北京。", "我 爱 北京"),
    ],
)
def test_case_spaces_and_punctuation_do_not_count(one: str, other: str) -> None:
    assert near([one], [other]) == [NearPair(0, 0, 1.0)]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    one = "这部电影讲述了两个人如何学会彼此交谈的缓慢故事"
    for other in (one.replace("缓慢", "漫长"), one.replace("故事", "故事片")):
        assert near([one], [other])
    assert near([one], ["北京的人口是多少"]) == []
    assert near(["北京的人口是多少"], ["上海的人口是多少"]) == []
    assert near(["ภาพยนตร์เรื่องนี้ช้ามากแต่สวยงาม"], ["ภาพยนตร์เรื่องนี้ช้ามากแต่สวยงามๆ"])
    assert near(["กิน"], ["กัน"]) == []


@pytest.mark.parametrize("text", ["", " ", "...", ":-)", "\x00\x01", "\u0301", "\u0301\u0302 \u0303", "😀😀", None])
def test_text_without_word_is_like_none(text: str | None) -> None:
    assert near([text, "a"], [text, "a"]) == [NearPair(1, 1, 1.0)]


def test_best_pair_is_kept() -> None:
    train = [LONG.replace("slow", "quick"), LONG, LONG.upper(), LONG.replace("film", "play")]

    assert near(train, [LONG, "nothing", LONG + "!"]) == [NearPair(1, 0, 1.0), NearPair(1, 2, 1.0)]


def test_first_of_equally_near_rows_is_kept() -> None:
    train = ["nothing", *(LONG.replace("slow", word) for word in ("quick", "dull", "fine"))]

    assert [pair.train_row for pair in near(train, [LONG])] == [1]


def test_rows_count_over_batches() -> None:
    train: list[pa.Array] = [
        pa.array(["x y z", None]),
        pa.array([], pa.string()),
        pa.array([LONG, "k l m"], pa.large_string()),
        pa.array(["k l m", "u v w"]).dictionary_encode(),
    ]
    test = pa.chunked_array([["u v w"], [], [LONG, "k l m"]], pa.string())

    assert find_near_duplicates(iter(train), test) == [NearPair(5, 0, 1.0), NearPair(2, 1, 1.0), NearPair(3, 2, 1.0)]


@pytest.mark.parametrize(("train", "test"), [([], []), (["a"], []), ([], ["a"]), ([""], ["", ""])])
def test_nothing_is_near_nothing(train: list[str | None], test: list[str | None]) -> None:
    assert near(train, test) == []
    assert find_near_duplicates(iter([]), pa.array(test, pa.string())) == []


@pytest.mark.parametrize("threshold", [0.49, 1.01, float("nan"), -1.0])
def test_threshold_out_of_range_is_named(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"^threshold: \S+ is out of range; it may be from 0\.5 to 1\.0$"):
        near(["a"], ["a"], threshold)


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, THRESHOLD, 0.8, 0.9, 1.0])
def test_all_pairs_of_brute_force_are_found(threshold: float) -> None:
    train = make_texts(400, seed=1)
    test = change(train[100:300], seed=2) + make_texts(100, seed=3)
    expected = compare_all(train, test, threshold)

    assert len(expected) >= 15
    assert as_found(near([*train], [*test], threshold)) == expected


def test_pairs_at_the_threshold_are_not_missed() -> None:
    train = [" ".join(f"v{number}x{place}" for place in range(10)) for number in range(3000)]
    test = [text.replace("x5", "y") for text in train]
    pairs = near([*train], [*test])

    assert {pair.similarity for pair in pairs} == {0.75}
    assert len(pairs) >= 3000 - 3


@STEADY
@given(TEXTS, TEXTS, st.sampled_from([0.5, 0.75, 1.0]))
def test_pairs_are_sound(train: list[str], test: list[str], threshold: float) -> None:
    pairs = near([*train], [*test], threshold)

    rows = [pair.test_row for pair in pairs]
    assert rows == sorted(set(rows))
    for pair in pairs:
        assert threshold <= pair.similarity <= 1.0
        assert any(letter.isalnum() for letter in unicodedata.normalize("NFKC", test[pair.test_row]))
        assert near([train[pair.train_row]], [test[pair.test_row]], threshold) == [NearPair(0, 0, pair.similarity)]


@STEADY
@given(TEXTS)
def test_every_text_with_word_is_its_own_double(texts: list[str]) -> None:
    worded = [row for row, text in enumerate(texts) if re.search(r"[a-z]", text)]
    found = as_found(near([*texts], [*texts]))

    assert set(worded) <= set(found)
    assert all(found[row][1] == 1.0 and found[row][0] <= row for row in worded)


@STEADY
@given(st.lists(st.integers(0, 60), max_size=4))
def test_batches_do_not_matter(cuts: list[int]) -> None:
    train = make_texts(60, seed=4, vocabulary=12)
    edges = [0, *sorted(cuts), len(train)]
    batches: Iterator[pa.Array] = (pa.array(train[start:stop], pa.string()) for start, stop in pairwise(edges))
    test = change(train, seed=5)

    assert find_near_duplicates(batches, pa.array(test), 0.5) == near([*train], [*test], 0.5)


def test_crowded_row_keeps_the_best_of_the_first() -> None:
    crowd = [f"{LONG} {'x ' * (number > ENOUGH)}{number}" for number in range(ENOUGH * 2)]

    assert near([*crowd], [LONG])[0].train_row == 0
    assert near([*crowd, LONG], [LONG]) == [NearPair(len(crowd), 0, 1.0)]
    assert len(near([*crowd], [f"{LONG} y{number}" for number in range(50)])) == 50


def test_what_many_texts_share_does_not_hide_a_pair() -> None:
    generator = random.Random(6)
    own = [" ".join(f"u{generator.randrange(10**6)}" for _ in range(30)) for _ in range(300)]
    train = [f"{LONG} {text}" for text in own]
    test = [f"{LONG} {text} more" for text in own[::3]]

    assert as_found(near([*train], [*test])) == compare_all(train, test, THRESHOLD)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 200_000,
        "x" * 1_000_000,
        "a" + "\u0301\u0316" * 250_000,
        "".join(chr(0x4E00 + number % 20_000) for number in range(300_000)),
        " ".join(f"{number:x}" for number in range(150_000)),
    ],
    ids=["repeated", "one word", "marks", "chinese", "words"],
)
def test_long_text_is_compared(text: str) -> None:
    assert near(["short one", text], ["a", text, "SHORT one"]) == [NearPair(1, 1, 1.0), NearPair(0, 2, 1.0)]


def test_long_texts_that_differ_are_compared() -> None:
    words = [f"{number:x}" for number in range(150_000)]
    pairs = near(["short one", " ".join(words)], [" ".join([*words[:-1], "end"]), " ".join(words[::2])])

    # One of 150,000 words is another, with the pairs on both sides of it.
    assert pairs == [NearPair(1, 0, (2 * 150_000 - 2) / (2 * 150_000 + 4))]


def test_many_rows_are_cut_into_chunks() -> None:
    texts = [f"{number} of many rows {number}" for number in range(20_000)]
    pairs = near([*texts], [texts[19_999], texts[8_192], texts[8_191]])

    assert pairs == [NearPair(19_999, 0, 1.0), NearPair(8_192, 1, 1.0), NearPair(8_191, 2, 1.0)]
