from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.base import count_rows, one_hot

STEADY = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.mark.parametrize(
    ("n_examples", "multiplier", "expected"),
    [(64, 1.0, 64), (64, 0.5, 32), (5, 0.5, 2), (7, 0.5, 4), (3, 0.1, 0), (10, 2.25, 22), (0, 3.0, 0), (48, 0.0, 0)],
)
def test_multiplier_rounds_half_to_even(n_examples: int, multiplier: float, expected: int) -> None:
    assert count_rows(n_examples, multiplier) == expected


@STEADY
@given(st.lists(st.text(max_size=3), min_size=1, max_size=6, unique=True), st.data())
def test_one_hot_is_sure_of_one(labels: list[str], data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(labels))
    hot = one_hot(label, labels)

    assert (sum(hot), hot[labels.index(label)], len(hot)) == (1.0, 1.0, len(labels))
