from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from hypermix.augment.quality.judge import judge, tell_apart, weigh
from hypermix.augment.quality.words import encode_words

GOOD = ["warm", "funny", "moving", "great", "lovely", "joy"]
BAD = ["dull", "lifeless", "boring", "awful", "clumsy", "bore"]
REST = [f"scene{number}" for number in range(60)]


def rows(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Make texts of a label's own words among others, with their labels."""
    generator = random.Random(seed)
    labels = [generator.choice(["good", "bad"]) for _ in range(n)]
    return [
        " ".join(
            generator.sample([*generator.sample(GOOD if label == "good" else BAD, 2), *generator.sample(REST, 8)], 10)
        )
        for label in labels
    ], labels


TRAIN, TEST, NEW = rows(600, 1), rows(200, 2), rows(200, 3)
WORDS = encode_words([*TRAIN[0], *TEST[0], *NEW[0]])


def agreement(told: list[str], labels: list[str]) -> float:
    return sum(map(str.__eq__, told, labels)) / len(labels)


def test_judge_knows_the_labels_of_real_rows() -> None:
    found = judge(WORDS, TRAIN[1], TEST[1])
    assert found is not None
    assert found.accuracy is not None
    assert found.accuracy > 0.97
    assert agreement(found.labels, NEW[1]) > 0.97


def test_judge_disagrees_with_shuffled_labels() -> None:
    found = judge(WORDS, TRAIN[1], TEST[1])
    shuffled = list(NEW[1])
    random.Random(4).shuffle(shuffled)
    assert found is not None
    assert 0.35 < agreement(found.labels, shuffled) < 0.65


def test_judge_of_labels_without_meaning_is_no_better_than_chance() -> None:
    shuffled = list(TRAIN[1])
    random.Random(5).shuffle(shuffled)
    found = judge(WORDS, shuffled, TEST[1])
    assert found is not None
    assert found.accuracy == pytest.approx(0.5, abs=0.15)


def test_judge_needs_two_labels_and_can_do_without_test_rows() -> None:
    assert judge(WORDS, ["good"] * 600, TEST[1]) is None
    found = judge(encode_words([*TRAIN[0], *NEW[0]]), TRAIN[1], [])
    assert found is not None
    assert (found.accuracy, len(found.labels)) == (None, 200)


def test_judge_takes_many_labels() -> None:
    labels = [f"label {number % 30}" for number in range(600)]
    texts = [f"{text} own{number % 30}" for number, text in enumerate(TRAIN[0])]
    found = judge(encode_words([*texts, *texts[:60]]), labels, labels[:30])
    assert found is not None
    assert found.accuracy == 1
    assert found.labels == labels[30:60]


def test_judge_says_the_same_again() -> None:
    assert judge(WORDS, TRAIN[1], TEST[1]) == judge(WORDS, TRAIN[1], TEST[1])


def test_real_rows_cannot_be_told_from_real_rows() -> None:
    found = tell_apart(encode_words([*TEST[0], *NEW[0]]), 200, 7)
    assert found == pytest.approx(0.5, abs=0.1)


def test_other_texts_can_be_told_from_real_rows() -> None:
    other = [f"{text} indeed" if place % 10 else text for place, text in enumerate(NEW[0])]
    found = tell_apart(encode_words([*other, *TEST[0]]), 200, 7)
    assert found is not None
    assert found > 0.9


def test_too_few_rows_cannot_be_told_apart() -> None:
    assert tell_apart(encode_words(NEW[0][:60]), 4, 7) is None


def test_folds_follow_the_seed() -> None:
    words = encode_words([*TEST[0], *NEW[0]])
    assert tell_apart(words, 200, 7) == tell_apart(words, 200, 7)
    assert tell_apart(words, 200, 7) != tell_apart(words, 200, 8)


def test_weights_are_those_of_scikit_learn() -> None:
    texts = ["a b a", "b c", "a b c d", "c c b", "a b"]
    model = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+")
    wanted = model.fit_transform(texts[:4])
    rest = model.transform(texts[4:])
    found = weigh(encode_words(texts), 4).toarray()
    both = np.vstack([wanted.toarray(), rest.toarray()])
    # The columns may stand in another order: the products of rows do not depend on it.
    assert found @ found.T == pytest.approx(both @ both.T)
    assert found.shape == both.shape


@pytest.mark.parametrize("texts", [["one two", "three four"] * 20, ["😀"] * 60, [f"w{number}" for number in range(80)]])
def test_too_little_to_learn_from_gives_no_judgment(texts: list[str]) -> None:
    few = judge(encode_words([*texts[:2], *texts[:4]]), ["good", "bad"], ["good"])
    assert few is None
    if texts[0] != "one two":
        assert tell_apart(encode_words(texts), len(texts) // 2, 1) is None


def test_few_test_rows_give_no_accuracy() -> None:
    found = judge(encode_words([*TRAIN[0], TEST[0][0], *NEW[0]]), TRAIN[1], TEST[1][:1])
    assert found is not None
    assert found.accuracy is None
