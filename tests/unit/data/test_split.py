from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.split import CARVE_SEED, carve_reference, carve_share, describe_carved
from hypermix.errors import DataError

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
COUNTS = st.lists(st.integers(2, 40), min_size=2, max_size=5)
SHARES = st.floats(0.01, 0.99)
LIMITS = st.none() | st.integers(1, 30)
ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=1, max_size=80)
"""A label and a group for each row."""


def make_labels(counts: Sequence[int], seed: int = 0) -> list[str]:
    """Make so many of each label, shuffled."""
    labels = [f"label {label}" for label, count in enumerate(counts) for _ in range(count)]
    random.Random(seed).shuffle(labels)
    return labels


def count_labels(labels: Sequence[str], rows: Sequence[int]) -> dict[str, int]:
    return dict(Counter(labels[row] for row in rows))


def singles(count: int, label: str, first: int) -> tuple[list[str], list[int]]:
    """Make rows that are a group each."""
    return [label] * count, list(range(first, first + count))


# A share, rows alone.


@STEADY
@given(COUNTS, SHARES, LIMITS, st.integers(0, 9))
def test_carved_splits_divide_train(counts: list[int], share: float, limit: int | None, seed: int) -> None:
    left, taken = carve_share(make_labels(counts), share, limit, seed)

    assert sorted([*left, *taken]) == list(range(sum(counts)))
    assert (left, taken) == (sorted(left), sorted(taken))


@STEADY
@given(COUNTS, SHARES, LIMITS)
def test_both_splits_have_every_label(counts: list[int], share: float, limit: int | None) -> None:
    labels = make_labels(counts)
    left, taken = carve_share(labels, share, limit)

    assert len(count_labels(labels, left)) == len(count_labels(labels, taken)) == len(counts)


@STEADY
@given(COUNTS, SHARES)
def test_share_holds_for_each_label(counts: list[int], share: float) -> None:
    labels = make_labels(counts)
    taken = count_labels(labels, carve_share(labels, share)[1])

    for label, count in enumerate(counts):
        assert taken[f"label {label}"] == min(max(1, round(count * share)), count - 1)


@STEADY
@given(COUNTS, SHARES, st.integers(1, 30))
def test_limit_is_not_exceeded(counts: list[int], share: float, limit: int) -> None:
    assert len(carve_share(make_labels(counts), share, limit)[1]) <= max(limit, len(counts))


def test_wide_limit_changes_nothing() -> None:
    labels = make_labels([20, 30])

    assert carve_share(labels, 0.2, 10) == carve_share(labels, 0.2)


def test_limit_keeps_the_proportions() -> None:
    labels = make_labels([100, 300])

    assert count_labels(labels, carve_share(labels, 0.5, 40)[1]) == {"label 0": 10, "label 1": 30}


def test_carved_rows_are_pinned() -> None:
    labels = ["a", "b"] * 10

    assert carve_share(labels, 0.2)[1] == [0, 1, 2, 3]
    assert carve_share(labels, 0.2, seed=7)[1] == [4, 5, 10, 11]


def test_seed_decides_which_rows() -> None:
    labels = make_labels([50, 50])

    assert len({tuple(carve_share(labels, 0.2, seed=seed)[1]) for seed in range(20)}) == 20
    assert carve_share(labels, 0.2, seed=CARVE_SEED) == carve_share(labels, 0.2)


def test_every_row_is_carved_by_some_seed() -> None:
    labels = make_labels([10, 10])
    carved = Counter(row for seed in range(200) for row in carve_share(labels, 0.2, seed=seed)[1])

    # Each of 20 rows is expected in 40 of 200 splits; five standard deviations are 28.
    assert len(carved) == 20
    assert all(12 <= count <= 68 for count in carved.values())


def test_label_with_one_row_stays_in_train() -> None:
    labels = make_labels([5, 1, 4])
    left, taken = carve_share(labels, 0.2)

    assert count_labels(labels, left) == {"label 0": 4, "label 1": 1, "label 2": 3}
    assert list(describe_carved("test", labels, taken, 0.2, None)) == [
        "test: has no row of 'label 1'; train has too few rows or groups to give one away"
    ]


@pytest.mark.parametrize("labels", [[], ["a"], ["a", "b", "c"]], ids=str)
@pytest.mark.parametrize("limit", [None, 4000])
@pytest.mark.parametrize("grouped", [False, True])
def test_nothing_to_carve_is_told(labels: list[str], limit: int | None, grouped: bool) -> None:
    message = (
        rf"^no label has two rows \({len(labels)} in all\), so no split can be carved from train; add rows or name"
    )
    with pytest.raises(DataError, match=message):
        carve_share(labels, 0.2, limit, groups=list(range(len(labels))) if grouped else None)


@STEADY
@given(COUNTS, SHARES, LIMITS)
def test_split_without_groups_is_as_asked(counts: list[int], share: float, limit: int | None) -> None:
    labels = make_labels(counts)

    assert list(describe_carved("test", labels, carve_share(labels, share, limit)[1], share, limit)) == []


# A share, groups together.


def carve_groups(rows: Sequence[tuple[str, int]], share: float, seed: int = 0) -> tuple[list[int], list[int]] | None:
    """Carve rows with a label and a group; None if it cannot be done."""
    try:
        return carve_share([label for label, _ in rows], share, None, seed, [group for _, group in rows])
    except DataError:
        return None


def distance(rows: Sequence[tuple[str, int]], taken: Sequence[int], share: float) -> int:
    """Return by how many rows a split misses its share of each label."""
    held = Counter(rows[row][0] for row in taken)
    counts = Counter(label for label, _ in rows)
    return sum(
        abs(held[label] - min(max(1, round(count * share)), count - 1)) for label, count in counts.items()
    )  # fmt: skip


@STEADY
@given(ROWS, SHARES, st.integers(0, 9))
def test_group_is_never_on_both_sides(rows: list[tuple[str, int]], share: float, seed: int) -> None:
    carved = carve_groups(rows, share, seed)
    if carved is not None:
        left, taken = carved
        assert sorted([*left, *taken]) == list(range(len(rows)))
        assert taken
        assert not {rows[row][1] for row in left} & {rows[row][1] for row in taken}
        # Every label is still there to train on.
        assert {rows[row][0] for row in left} == {label for label, _ in rows}
        assert carve_groups(rows, share, seed) == carved


@STEADY
@given(ROWS, st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 3))
def test_no_other_group_brings_share_nearer(rows: list[tuple[str, int]], share: float, seed: int) -> None:
    carved = carve_groups(rows, share, seed)
    if carved is None:
        return
    left, taken = carved
    labels_left, labels_held = ({rows[row][0] for row in side} for side in carved)
    for group in dict.fromkeys(group for _, group in rows):
        members = [row for row in range(len(rows)) if rows[row][1] == group]
        swapped = sorted(set(taken) ^ set(members))
        rest = sorted(set(left) ^ set(members))
        if {rows[row][0] for row in rest} == labels_left and labels_held <= {rows[row][0] for row in swapped}:
            assert distance(rows, swapped, share) >= distance(rows, taken, share)


@STEADY
@given(ROWS, SHARES, st.integers(0, 3))
def test_carving_fails_only_if_no_group_can_go(rows: list[tuple[str, int]], share: float, seed: int) -> None:
    counts = Counter(label for label, _ in rows)
    groups: dict[int, Counter[str]] = {}
    for label, group in rows:
        groups.setdefault(group, Counter())[label] += 1
    can_go = any(
        2 * found.total() <= len(rows) and all(counts[label] > count for label, count in found.items())
        for found in groups.values()
    )

    if can_go:
        assert carve_groups(rows, share, seed) is not None


@STEADY
@given(COUNTS, SHARES, LIMITS, st.integers(0, 9))
def test_rows_that_are_groups_are_carved_as_rows(counts: list[int], share: float, limit: int | None, seed: int) -> None:
    labels = make_labels(counts)
    alone = carve_share(labels, share, limit, seed)[1]
    grouped = carve_share(labels, share, limit, seed, range(len(labels)))[1]

    assert count_labels(labels, grouped) == count_labels(labels, alone)


def test_many_small_groups_meet_share_and_limit() -> None:
    generator = random.Random(1)
    groups = [generator.randrange(200) for _ in range(1000)]
    labels = [generator.choice("aab") for _ in groups]
    counts = Counter(labels)

    for limit, share in ((None, 0.2), (50, 0.05)):
        taken = count_labels(labels, carve_share(labels, 0.2, limit, groups=groups)[1])
        assert all(abs(taken[label] - share * count) <= 2 for label, count in counts.items())


def test_other_seed_takes_other_groups() -> None:
    labels, groups = ["a", "b"] * 50, [row // 4 for row in range(100)]

    assert len({tuple(carve_share(labels, 0.2, seed=seed, groups=groups)[1]) for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", range(5))
def test_group_with_nearly_everything_stays_in_train(seed: int) -> None:
    labels = ["a", "b"] * 48 + ["a", "b", "a", "b"]
    groups = [0] * 96 + [1, 2, 3, 4]
    left, taken = carve_share(labels, 0.2, seed=seed, groups=groups)

    assert (len(left), taken) == (96, [96, 97, 98, 99])
    assert list(describe_carved("test", labels, taken, 0.2, None)) == [
        "test: takes 4 rows of 100 and not 20, since groups stay together"
    ]


@STEADY
@given(ROWS, SHARES, st.integers(0, 3))
def test_rest_can_be_carved_further(rows: list[tuple[str, int]], share: float, seed: int) -> None:
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    holders = Counter(label for label, _ in dict.fromkeys(rows))
    try:
        left, _ = carve_share(labels, share, None, seed, groups, further=True)
    except DataError:
        return
    spared = Counter(label for label, _ in dict.fromkeys(rows[row] for row in left))

    assert all(spared[label] >= (2 if count > 2 else 1) for label, count in holders.items())


@pytest.mark.parametrize("seed", range(5))
def test_smaller_of_two_groups_is_taken(seed: int) -> None:
    labels, groups = ["a", "b"] * 50, [0] * 60 + [1] * 40
    taken = carve_share(labels, 0.2, seed=seed, groups=groups)[1]

    assert taken == list(range(60, 100))
    assert list(describe_carved("test", labels, taken, 0.2, None)) == [
        "test: takes 40 rows of 100 and not 20, since groups stay together"
    ]


@pytest.mark.parametrize("groups", [[0] * 8, [0, 1] * 4], ids=["one for all", "one a label"])
def test_groups_that_cannot_be_carved_are_told(groups: list[int]) -> None:
    message = r"^every group holds more than half of the rows or all rows of a label, so no split can be carved from tr"
    with pytest.raises(DataError, match=message):
        carve_share(["a", "b"] * 4, 0.5, groups=groups)


@pytest.mark.parametrize("seed", range(10))
def test_rare_label_in_large_groups_is_not_missed(seed: int) -> None:
    # A share of a is 4 rows of 200; each row of b stands in a group with ten of a.
    labels, groups = singles(100, "a", 0)
    for group in range(100, 110):
        labels += ["a"] * 10 + ["b"]
        groups += [group] * 11
    taken = count_labels(labels, carve_share(labels, 0.02, seed=seed, groups=groups)[1])

    # What the group brings too much is given back.
    assert taken == {"a": 10, "b": 1}


def test_rare_label_is_not_always_in_one_group() -> None:
    labels, groups = singles(60, "a", 0)
    labels += ["b"] * 8
    groups += [100, 100, 101, 101, 102, 102, 103, 103]
    found = {carve_share(labels, 0.2, seed=seed, groups=groups)[1][-1] for seed in range(20)}

    assert found == {61, 63, 65, 67}


def test_label_in_one_group_stays_in_train() -> None:
    labels, groups = singles(20, "a", 0)
    labels, groups = [*labels, "b", "b", "b"], [*groups, 99, 99, 99]
    left, taken = carve_share(labels, 0.2, groups=groups)

    assert (count_labels(labels, left)["b"], count_labels(labels, taken)) == (3, {"a": 4})
    assert "'b'" in next(describe_carved("test", labels, taken, 0.2, None))


# The reference's procedure.


@STEADY
@given(st.lists(st.integers(6, 40), min_size=2, max_size=5), st.integers(3, 10))
def test_reference_carves_by_its_prose(counts: list[int], n_rows: int) -> None:
    labels = make_labels(counts)
    left, taken = carve_reference(labels, n_rows)

    # By hand: one generator of seed 42, groups in first appearance, each shuffled, rows popped from the end.
    generator = random.Random(42)
    groups = [[row for row, name in enumerate(labels) if name == label] for label in dict.fromkeys(labels)]
    for group in groups:
        generator.shuffle(group)
    expected = [group.pop() for group in groups for _ in range(round(n_rows / len(counts)))]

    assert taken == expected
    assert left == [row for group in groups for row in group]


def test_reference_takes_4000_of_large_set() -> None:
    labels = make_labels([3000, 3500])
    left, taken = carve_reference(labels, 4000)

    assert count_labels(labels, taken) == {"label 0": 2000, "label 1": 2000}
    assert count_labels(labels, left) == {"label 0": 1000, "label 1": 1500}


@pytest.mark.parametrize("count", [3, 5])
def test_reference_would_empty_small_set(count: int) -> None:
    message = (
        r"^carve: reference takes 5 rows a label, which are all rows of \['label 0'\]; set carve: share, or lower carve"
    )
    with pytest.raises(DataError, match=message):
        carve_reference(make_labels([count, 9]), 10)


@pytest.mark.parametrize(("n_labels", "n_rows"), [(5, 2), (4, 2), (9, 4)])
def test_reference_with_no_row_a_label_is_told(n_labels: int, n_rows: int) -> None:
    message = rf"^carve: reference shares {n_rows} rows among {n_labels} labels, .*; raise carve_rows to {n_labels} or "
    with pytest.raises(DataError, match=message):
        carve_reference(make_labels([9] * n_labels), n_rows)


def test_carving_leaves_labels_alone() -> None:
    labels = make_labels([5, 5])
    before, state = list(labels), random.getstate()
    carve_share(labels, 0.4)
    carve_share(labels, 0.4, groups=[row // 2 for row in range(10)])
    carve_reference(labels, 4)

    assert (labels, random.getstate()) == (before, state)
