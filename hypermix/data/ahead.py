"""Making the next item while the last one is used: Arrow reads and computes without Python's lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield items in their order, each made in a thread of its own while the one before it is used.

    An error of the items is raised where its item would have come.
    """
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        waiting = thread.submit(next, iterator, end)
        while (item := waiting.result()) is not end:
            waiting = thread.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # all but the end is an item
