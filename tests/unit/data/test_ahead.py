from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.data.ahead import ahead


@given(st.lists(st.none() | st.integers()))
def test_items_come_in_their_order(items: list[int | None]) -> None:
    assert list(ahead(items)) == items


def test_next_item_is_made_while_the_last_is_used() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    stream = ahead(items())
    assert next(stream) == 1
    assert made.wait(10)
    assert list(stream) == [2]


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="no more"):
        next(stream)


def test_no_thread_outlives_a_stream_that_is_left() -> None:
    before = threading.active_count()
    stream = ahead(iter(range(100)))
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == before
