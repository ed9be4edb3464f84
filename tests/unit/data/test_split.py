from __future__ import annotations

import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.split import CARVE_SEED, REFERENCE_ROWS, carve_reference, carve_share
from hypermix.errors import DataError

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
COUNTS = st.lists(st.integers(2, 40), min_size=2, max_size=5)
SHARES = st.floats(0.01, 0.99)


def make_rows(counts: list[int], seed: int = 0) -> pd.DataFrame:
    """Make rows with so many of each label, shuffled, with an index of no meaning."""
    labels = [f"label {label}" for label, count in enumerate(counts) for _ in range(count)]
    random.Random(seed).shuffle(labels)
    rows = pd.DataFrame({"id": [f"row {row}" for row in range(len(labels))], "label": labels})
    return rows.set_index(pd.Index(range(100, 100 + len(labels))))


def count_labels(rows: pd.DataFrame) -> dict[str, int]:
    return {str(label): int(count) for label, count in rows["label"].value_counts().items()}


@STEADY
@given(COUNTS, SHARES, st.none() | st.integers(1, 30))
def test_carved_splits_divide_train(counts: list[int], share: float, limit: int | None) -> None:
    train = make_rows(counts)
    left, taken = carve_share(train, share, limit)

    assert sorted([*left["id"], *taken["id"]]) == sorted(train["id"])


@STEADY
@given(COUNTS, SHARES, st.none() | st.integers(1, 30))
def test_both_splits_have_every_label(counts: list[int], share: float, limit: int | None) -> None:
    left, taken = carve_share(make_rows(counts), share, limit)

    assert len(count_labels(left)) == len(count_labels(taken)) == len(counts)


@STEADY
@given(COUNTS, SHARES)
def test_share_holds_for_each_label(counts: list[int], share: float) -> None:
    taken = count_labels(carve_share(make_rows(counts), share)[1])

    for label, count in enumerate(counts):
        assert taken[f"label {label}"] == min(max(1, round(count * share)), count - 1)


@STEADY
@given(COUNTS, SHARES, st.integers(1, 30))
def test_limit_is_not_exceeded(counts: list[int], share: float, limit: int) -> None:
    assert len(carve_share(make_rows(counts), share, limit)[1]) <= max(limit, len(counts))


def test_wide_limit_changes_nothing() -> None:
    train = make_rows([20, 30])

    assert carve_share(train, 0.2, 10)[1].equals(carve_share(train, 0.2)[1])


def test_limit_keeps_the_proportions() -> None:
    assert count_labels(carve_share(make_rows([100, 300]), 0.5, 40)[1]) == {"label 0": 10, "label 1": 30}


@STEADY
@given(COUNTS, SHARES)
def test_carved_rows_keep_file_order(counts: list[int], share: float) -> None:
    for split in carve_share(make_rows(counts), share):
        numbers = [int(name.removeprefix("row ")) for name in split["id"]]
        assert numbers == sorted(numbers)
        assert list(split.index) == list(range(len(split)))


def test_carved_rows_are_pinned() -> None:
    train = pd.DataFrame({"id": range(20), "label": ["a", "b"] * 10})

    assert carve_share(train, 0.2)[1]["id"].tolist() == [0, 1, 2, 3]


def test_carving_shares_leaves_train_alone() -> None:
    train = make_rows([5, 5])
    before = train.copy(deep=True)
    carve_share(train, 0.4)
    carve_reference(train, 4)

    assert train.equals(before)


def test_single_row_of_label_is_named() -> None:
    with pytest.raises(DataError, match=r"^the label 'label 1' has one row, so no split can be carved from train; add"):
        carve_share(make_rows([5, 1, 4]), 0.2)


def test_reference_constants_are_its() -> None:
    assert (CARVE_SEED, REFERENCE_ROWS) == (42, 4000)


@STEADY
@given(st.lists(st.integers(6, 40), min_size=2, max_size=5), st.integers(2, 10))
def test_reference_carves_by_its_prose(counts: list[int], n_rows: int) -> None:
    train = make_rows(counts)
    left, taken = carve_reference(train, n_rows)

    # By hand: one generator of seed 42, groups in first appearance, each shuffled, rows popped from the end.
    generator = random.Random(42)
    groups = [train[train["label"] == label]["id"].tolist() for label in train["label"].unique()]
    for group in groups:
        generator.shuffle(group)
    expected = [group.pop() for group in groups for _ in range(round(n_rows / len(counts)))]

    assert taken["id"].tolist() == expected
    assert left["id"].tolist() == [name for group in groups for name in group]


def test_reference_takes_4000_of_large_set() -> None:
    left, taken = carve_reference(make_rows([3000, 3500]))

    assert count_labels(taken) == {"label 0": 2000, "label 1": 2000}
    assert count_labels(left) == {"label 0": 1000, "label 1": 1500}


@pytest.mark.parametrize("count", [3, 5])
def test_reference_would_empty_small_set(count: int) -> None:
    message = r"^carve: reference takes 5 rows a label, all rows of \['label 0'\]; set carve: share$"
    with pytest.raises(DataError, match=message):
        carve_reference(make_rows([count, 9]), 10)
