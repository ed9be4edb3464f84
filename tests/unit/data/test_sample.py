from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.sample import Draw, draw, rows_per_class
from hypermix.errors import DataError

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
LABELS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=60)
SEEDS = st.integers(0, 2**32 - 1)
PER_CLASS = st.integers(1, 20)

FROZEN = [
    (list("abababababab"), "3s", 42, [10, 0, 8, 3, 11, 9]),
    (list("aaabbbbbbccccccccc"), "4s", 0, [1, 2, 0, 3, 5, 6, 4, 16, 14, 13, 10]),
    (["np"[row % 3 > 0] for row in range(50)], "0.2f", 2746317213, [18, 33, 15, 27, 24, 34, 26, 35, 22, 14]),
    (list("cabcabcab"), "1s", 7, [3, 4, 2]),
    ([str(row * row % 7) for row in range(40)], "2s", 2**32 - 1, [35, 28, 34, 20, 26, 30, 39, 25]),
    (list("baab" * 4), "0.5f", 1181241943, [11, 7, 3, 15, 2, 5, 9, 6]),
]
"""Labels, size, data seed, and the rows that the reference takes of them."""


def drawn(labels: list[str], size: str, seed: int) -> Draw:
    return draw(labels, rows_per_class(size, len(labels), len(set(labels))), seed)


def reference_rows(labels: list[str], size: str, seed: int) -> tuple[list[int], list[int]]:
    """Follow the reference's description word by word: shuffle each group, then pop from its end."""
    order: list[str] = []
    for label in labels:
        if label not in order:
            order.append(label)
    groups = [[row for row, other in enumerate(labels) if other == label] for label in order]
    generator = random.Random(seed)
    for group in groups:
        generator.shuffle(group)
    share = float(size[:-1])
    count = max(1, round(len(labels) * share / len(order))) if size.endswith("f") else int(share)
    taken = [group.pop() for group in groups for _ in range(count) if group]
    return taken, [row for group in groups for row in group]


@pytest.mark.parametrize(("labels", "size", "seed", "rows"), FROZEN)
def test_frozen_draws_are_the_references(labels: list[str], size: str, seed: int, rows: list[int]) -> None:
    assert drawn(labels, size, seed).rows == rows


@pytest.mark.parametrize(("labels", "size", "seed", "rows"), FROZEN)
def test_transcription_gives_frozen_draws(labels: list[str], size: str, seed: int, rows: list[int]) -> None:
    assert reference_rows(labels, size, seed)[0] == rows


@STEADY
@given(LABELS, PER_CLASS.map("{}s".format) | st.sampled_from(["0.01f", "0.1f", ".5f", "1.0f"]), SEEDS)
def test_draws_equal_the_transcription(labels: list[str], size: str, seed: int) -> None:
    result = drawn(labels, size, seed)

    assert (result.rows, result.left) == reference_rows(labels, size, seed)


@STEADY
@given(LABELS, PER_CLASS, SEEDS)
def test_rows_and_rest_divide_everything(labels: list[str], per_class: int, seed: int) -> None:
    result = draw(labels, per_class, seed)

    assert sorted(result.rows + result.left) == list(range(len(labels)))


@STEADY
@given(LABELS, PER_CLASS, SEEDS)
def test_labels_are_balanced(labels: list[str], per_class: int, seed: int) -> None:
    counts = Counter(labels[row] for row in draw(labels, per_class, seed).rows)

    assert counts == {label: min(per_class, count) for label, count in Counter(labels).items()}


@STEADY
@given(LABELS, PER_CLASS, SEEDS)
def test_labels_come_in_first_appearance(labels: list[str], per_class: int, seed: int) -> None:
    order = [labels[row] for row in draw(labels, per_class, seed).rows]

    assert list(dict.fromkeys(order)) == list(dict.fromkeys(labels))
    assert order == sorted(order, key=labels.index)


@STEADY
@given(LABELS, PER_CLASS, PER_CLASS, SEEDS)
def test_smaller_draw_begins_each_label(labels: list[str], one: int, other: int, seed: int) -> None:
    few, many = sorted((one, other))
    small, large = draw(labels, few, seed).rows, draw(labels, many, seed).rows

    for label in dict.fromkeys(labels):
        begun = [row for row in large if labels[row] == label]
        assert [row for row in small if labels[row] == label] == begun[:few]


@STEADY
@given(LABELS, SEEDS)
def test_too_large_size_takes_all(labels: list[str], seed: int) -> None:
    result = draw(labels, len(labels) + 1, seed)

    assert sorted(result.rows) == list(range(len(labels)))
    assert result.left == []
    assert result.short == Counter(labels)


def test_short_labels_are_counted() -> None:
    result = draw(list("aabbbbb"), 3, 1)

    assert (result.short, result.asked) == ({"a": 2}, 3)


def test_full_group_is_not_short() -> None:
    assert draw(list("aabb"), 2, 1).short == {}


def test_no_rows_give_no_draw() -> None:
    assert draw([], 3, 1) == Draw([], [], {}, 3)


def test_other_seed_gives_other_rows() -> None:
    labels = ["a", "b"] * 50

    assert len({tuple(draw(labels, 5, seed).rows) for seed in range(20)}) == 20


@pytest.mark.parametrize(
    ("size", "n_rows", "n_labels", "expected"),
    [
        ("32s", 5, 2, 32),
        ("1s", 1000, 9, 1),
        ("0.01f", 10_000, 2, 50),
        ("0.01f", 6_920, 2, 35),
        ("0.01f", 100, 2, 1),
        ("0.01f", 300, 2, 2),
        ("0.01f", 500, 2, 2),
        ("0.01f", 700, 2, 4),
        ("0.001f", 10, 2, 1),
        (".5f", 8, 2, 2),
        ("1.0f", 8, 2, 4),
        ("1f", 9, 2, 4),
    ],
)
def test_size_gives_rows_per_class(size: str, n_rows: int, n_labels: int, expected: int) -> None:
    assert rows_per_class(size, n_rows, n_labels) == expected


@pytest.mark.parametrize(
    "size", ["", "32", "0s", "-1s", "1.5s", "s", "f", ".f", "1.2.3f", "32S", "32s\n", " 32s", "1e-2f"]
)
def test_wrong_size_names_both_forms(size: str) -> None:
    with pytest.raises(DataError, match=r"is neither rows a class, such as '32s', nor a share, such as '0\.01f'"):
        rows_per_class(size, 100, 2)
