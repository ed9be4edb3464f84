"""Subsamples, drawn bit for bit as the reference's code draws them.

Facts on its procedure: per split, a generator seeded with the data seed; groups by label, labels in the order of first
appearance, rows in file order; every group shuffled in that order with the one generator; then the rows popped from the
end of each group. So, for one data seed, a smaller subsample is a subset of a larger one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hypermix.errors import DataError

_COUNT = re.compile(r"([1-9][0-9]*)s")
_SHARE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)f")


@dataclass(frozen=True)
class Draw:
    """Which rows a subsample takes.

    Attributes:
        rows: Positions of the drawn rows, in the order of the subsample.
        left: Positions of the other rows: label by label, each group in its shuffled order.
        short: Labels with fewer rows than asked, and how many they have.
        asked: Rows asked of each label.
    """

    rows: list[int]
    left: list[int]
    short: dict[str, int]
    asked: int


def rows_per_class(size: str, n_rows: int, n_labels: int) -> int:
    """Turn a size into rows per class.

    Args:
        size: ``32s`` for rows a class; ``0.01f`` for a share of all rows, in equal parts a class.
        n_rows: Rows of the split.
        n_labels: Labels of the split.

    Returns:
        Rows a class, at least 1; a share is rounded half to even, as Python's ``round`` does.

    Raises:
        DataError: If the size is neither form.
    """
    if match := _COUNT.fullmatch(size):
        return int(match.group(1))
    if match := _SHARE.fullmatch(size):
        return max(1, round(n_rows * float(match.group(1)) / n_labels))
    raise DataError(f"the size {size!r} is neither rows a class, such as '32s', nor a share, such as '0.01f'")


def draw(labels: Sequence[str], per_class: int, seed: int) -> Draw:
    """Draw the same number of rows of each label.

    Args:
        labels: The label of each row, in file order.
        per_class: Rows wanted of each label; a label with fewer gives what it has.
        seed: The data seed.

    Returns:
        The drawn rows label by label, in the order of first appearance.
    """
    groups: dict[str, list[int]] = {}
    for position, label in enumerate(labels):
        groups.setdefault(label, []).append(position)
    generator = random.Random(seed)  # noqa: S311 - the reference's generator
    for group in groups.values():
        generator.shuffle(group)
    # The reference pops from the end of each group, so the last row comes first.
    rows = [position for group in groups.values() for position in group[::-1][:per_class]]
    left = [position for group in groups.values() for position in group[: max(0, len(group) - per_class)]]
    short = {label: len(group) for label, group in groups.items() if len(group) < per_class}
    return Draw(rows, left, short, per_class)
