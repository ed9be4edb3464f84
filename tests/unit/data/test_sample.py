from __future__ import annotations

import itertools
import math
import random
import re
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.sample import Draw, draw, rows_per_class
from hypermix.errors import DataError
from hypermix.seeding import MAX_SEED

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
LABELS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=60)
SEEDS = st.integers(0, MAX_SEED) | st.sampled_from([0, 1, 2**31, MAX_SEED])
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


# Sizes for one seed lie in one another.


@STEADY
@given(LABELS, PER_CLASS, PER_CLASS, SEEDS)
def test_smaller_draw_is_part_of_larger(labels: list[str], one: int, other: int, seed: int) -> None:
    few, many = sorted((one, other))
    small, large = draw(labels, few, seed), draw(labels, many, seed)

    assert set(small.rows) <= set(large.rows)
    assert set(large.left) <= set(small.left)


@pytest.mark.parametrize("seed", [0, 42, 2746317213, MAX_SEED])
def test_16_rows_a_label_are_part_of_32(seed: int) -> None:
    labels = [str(row * row % 3) for row in range(300)]
    draws = [set(drawn(labels, size, seed).rows) for size in ("1s", "3s", "16s", "32s", "0.9f", "1.0f")]

    assert [len(rows) for rows in draws] == [2, 6, 32, 64, 100 + 135, 100 + 150]
    assert all(small < large for small, large in itertools.pairwise(draws))


def test_other_seeds_16_rows_are_not_part_of_32() -> None:
    labels = ["a", "b"] * 100

    assert not set(drawn(labels, "16s", 1).rows) <= set(drawn(labels, "32s", 2).rows)


@STEADY
@given(LABELS, PER_CLASS, SEEDS)
def test_left_rows_keep_their_shuffled_order(labels: list[str], per_class: int, seed: int) -> None:
    everything = draw(labels, 0, seed).left
    result = draw(labels, per_class, seed)
    taken = set(result.rows)

    assert result.left == [row for row in everything if row not in taken]


# The same question has the same answer.


@STEADY
@given(LABELS, PER_CLASS, SEEDS)
def test_draw_depends_on_its_arguments_alone(labels: list[str], per_class: int, seed: int) -> None:
    before, state = list(labels), random.getstate()
    first = draw(labels, per_class, seed)
    random.Random(1).shuffle(list(labels))
    draw(labels[::-1], per_class + 1, seed ^ 1)

    assert draw(tuple(labels), per_class, seed) == first
    assert (labels, random.getstate()) == (before, state)


@pytest.mark.parametrize("seed", [0, 1, 2**31, MAX_SEED - 1, MAX_SEED])
def test_seeds_at_the_ends_are_seeds(seed: int) -> None:
    labels = ["a", "b"] * 200
    others = [other for other in (0, 1, 2**31 - 1, 2**31, MAX_SEED - 1, MAX_SEED) if other != seed]

    assert draw(labels, 9, seed) == draw(labels, 9, seed)
    assert all(draw(labels, 9, other).rows != draw(labels, 9, seed).rows for other in others)


def test_draw_needs_little_memory() -> None:
    labels = [f"label {row % 10}" for row in range(100_000)]
    tracemalloc.start()
    try:
        result = draw(labels, 100, 42)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(result.rows) == 1000
    # 1.4 million rows, the largest dataset, then take 140 MB at most.
    assert peak / len(labels) < 100


# What the order of rows changes, and what it does not.


def places(labels: Sequence[str], rows: Sequence[int]) -> dict[str, list[int]]:
    """Tell drawn rows by their places among the rows of their label."""
    seen: Counter[str] = Counter()
    place = []
    for label in labels:
        place.append(seen[label])
        seen[label] += 1
    return {label: [place[row] for row in rows if labels[row] == label] for label in dict.fromkeys(labels)}


@STEADY
@given(LABELS, PER_CLASS, SEEDS, st.permutations("vwxyz"))
def test_names_of_labels_change_nothing(labels: list[str], per_class: int, seed: int, names: list[str]) -> None:
    renamed = dict(zip("abcde", names, strict=True))
    one, other = draw(labels, per_class, seed), draw([renamed[label] for label in labels], per_class, seed)

    assert (other.rows, other.left) == (one.rows, one.left)


@STEADY
@given(LABELS, PER_CLASS, SEEDS, st.randoms(use_true_random=False))
def test_places_outlast_any_mixing(labels: list[str], per_class: int, seed: int, chance: random.Random) -> None:
    # The first row of each label keeps the order of first appearance; all others go anywhere behind.
    order = list(dict.fromkeys(labels))
    rest = list((Counter(labels) - Counter(order)).elements())
    chance.shuffle(rest)
    mixed = [*order, *rest]

    assert places(mixed, draw(mixed, per_class, seed).rows) == places(labels, draw(labels, per_class, seed).rows)


@STEADY
@given(LABELS, st.lists(st.sampled_from("vwxyz"), max_size=20), PER_CLASS, SEEDS)
def test_later_labels_change_no_earlier_ones(labels: list[str], later: list[str], per_class: int, seed: int) -> None:
    alone, together = draw(labels, per_class, seed).rows, draw(labels + later, per_class, seed).rows

    assert together[: len(alone)] == alone
    assert all(row >= len(labels) for row in together[len(alone) :])


def test_other_first_label_changes_places() -> None:
    one, other = list("abbb" * 6), list("babb" * 6)

    assert Counter(one) == Counter(other)
    assert places(one, draw(one, 3, 42).rows) != places(other, draw(other, 3, 42).rows)


def test_longer_first_label_changes_later_ones() -> None:
    drawn_places = set()
    for n_first in range(1, 11):
        labels = ["a"] * n_first + ["b"] * 20
        drawn_places.add(tuple(places(labels, draw(labels, 3, 42).rows)["b"]))

    assert len(drawn_places) > 5


# Sizes.


@STEADY
@given(st.integers(0, 500), st.integers(1, 25))
def test_half_a_row_goes_to_the_even_number(whole: int, n_labels: int) -> None:
    n_rows = (2 * whole + 1) * n_labels
    even = whole + whole % 2

    assert rows_per_class("0.5f", n_rows, n_labels) == max(1, even)


@STEADY
@given(st.integers(1, 10**7), st.integers(1, 200), st.integers(1, 2**10))
def test_share_is_rounded_to_the_nearest(n_rows: int, n_labels: int, parts: int) -> None:
    # Parts of 1,024 are exact in binary, so only the division may round, by far less than the bound.
    share = Fraction(parts, 2**10)
    count = rows_per_class(f"{parts / 2**10:.10f}f", n_rows, n_labels)

    assert count >= 1
    assert count == 1 or abs(count - n_rows * share / n_labels) <= Fraction(1, 2) + Fraction(1, 10**6)


@STEADY
@given(st.integers(1, 10**6), st.integers(1, 50), st.integers(1, 999), st.integers(1, 999))
def test_larger_share_takes_no_fewer(n_rows: int, n_labels: int, one: int, other: int) -> None:
    few, many = (rows_per_class(f"0.{share:03d}f", n_rows, n_labels) for share in sorted((one, other)))

    assert 1 <= few <= many


@STEADY
@given(LABELS, SEEDS)
def test_whole_share_takes_all_of_equal_labels(labels: list[str], seed: int) -> None:
    equal = labels + [label for label in dict.fromkeys(labels) for _ in range(60 - labels.count(label))]
    result = drawn(equal, "1.0f", seed)

    assert (sorted(result.rows), result.left, result.short) == (list(range(len(equal))), [], {})


def test_whole_share_leaves_rows_of_uneven_labels() -> None:
    result = drawn(list("aaaaaaab"), "1.0f", 3)

    assert (len(result.rows), len(result.left), result.short, result.asked) == (5, 3, {"b": 1}, 4)


@STEADY
@given(LABELS, PER_CLASS, SEEDS)
def test_short_labels_give_all_they_have(labels: list[str], per_class: int, seed: int) -> None:
    result = draw(labels, per_class, seed)

    assert result.short == {label: count for label, count in Counter(labels).items() if count < per_class}
    assert not [row for row in result.left if labels[row] in result.short]
    assert result.asked == per_class


@STEADY
@given(st.floats(0.0001, 1.0).filter(lambda share: "e" not in repr(share)), st.integers(1, 10**6), st.integers(1, 30))
def test_share_is_pythons_round(share: float, n_rows: int, n_labels: int) -> None:
    product = n_rows * share / n_labels
    below, rest = math.floor(product), product - math.floor(product)
    nearest = below + (rest > 0.5 or (rest == 0.5 and below % 2 == 1))

    assert rows_per_class(f"{share!r}f", n_rows, n_labels) == max(1, nearest)


@STEADY
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 100))
def test_count_is_taken_as_it_stands(count: int, n_rows: int, n_labels: int) -> None:
    assert rows_per_class(f"{count}s", n_rows, n_labels) == count


@STEADY
@given(st.text(alphabet="0123456789.sf -+eE_", max_size=8) | st.from_regex(r"[0-9.]{1,4}[sf]", fullmatch=True))
def test_any_size_is_a_count_or_an_error(size: str) -> None:
    # What is accepted is digits, in a share one point at most, and the letter; no sign, exponent or underscore.
    number, letter = size[:-1], size[-1:]
    is_count = letter == "s" and number.isdigit() and not number.startswith("0")
    is_share = letter == "f" and number.replace(".", "", 1).isdigit()
    if is_count or is_share:
        assert rows_per_class(size, 1000, 4) >= 1
    else:
        with pytest.raises(DataError, match=re.escape(repr(size))):
            rows_per_class(size, 1000, 4)


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
        ("1.0f", 3, 2, 2),
        ("1.0f", 5, 2, 2),
        ("1.0f", 7, 2, 4),
        ("1.0f", 1, 2, 1),
        ("0.001f", 6_920, 2, 3),
        ("0.003f", 6_920, 2, 10),
        ("0.001f", 5_452, 6, 1),
        ("0.003f", 5_452, 6, 3),
        ("0.01f", 5_452, 6, 9),
        ("0.01f", 4_478, 21, 2),
        ("0.01f", 1_400_000, 10, 1_400),
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
