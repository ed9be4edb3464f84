"""Train, validation and test: which rows a missing split takes from train."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from hypermix.data.sample import draw
from hypermix.errors import DataError

CARVE_SEED = 42
"""The reference carves every validation split with this seed, whatever the data seed is."""

_FAR = 1.5  # a size that is off by this factor is told

Positions = list[int]


def carve_share(
    labels: Sequence[str],
    share: float,
    limit: int | None = None,
    seed: int = CARVE_SEED,
    groups: Sequence[int] | None = None,
    further: bool = False,
) -> tuple[Positions, Positions]:
    """Take a stratified share of some rows.

    Args:
        labels: The label of each row.
        share: Share to take of each label, between 0 and 1; at least one row of each that has two.
        limit: Most rows to take in all, though one of each label is always taken; None for no limit.
        seed: Decides which rows are taken.
        groups: The group of each row; rows of a group stay together, so share and limit are met as well as whole
            groups can.
        further: Whether another split will be carved from the rest, so that a label in three groups leaves it two.

    Returns:
        Positions of the rest, which keeps a row of every label, and of the taken rows; both ascending.

    Raises:
        DataError: If no row can be taken.
    """
    wanted = _count_wanted(labels, share, limit)
    if not any(wanted.values()):
        raise DataError(
            f"no label has two rows ({len(labels)} in all), so no split can be carved from train; add rows or name a "
            "file or split"
        )
    if groups is None:
        taken = _take_rows(labels, wanted, seed)
    else:
        taken = _take_groups(_GroupCarving(labels, groups, wanted, seed, further))
    return sorted(set(range(len(labels))) - taken), sorted(taken)


def describe_carved(
    name: str, labels: Sequence[str], taken: Sequence[int], share: float, limit: int | None
) -> Iterator[str]:
    """Say what a carved split lacks.

    Args:
        name: The split's name.
        labels: The label of each row that it was taken from.
        taken: Positions of the taken rows.
        share: Share that was asked for.
        limit: Most rows that were asked for.

    Yields:
        A sentence if labels are missing, and one if its size is far from what was asked for.
    """
    absent = sorted(set(labels) - {labels[row] for row in taken})
    if absent:
        yield f"{name}: has no row of {', '.join(map(repr, absent))}; train has too few rows or groups to give one away"
    expected = sum(_count_wanted(labels, share, limit).values())
    if not expected / _FAR <= len(taken) <= expected * _FAR:
        yield f"{name}: takes {len(taken)} rows of {len(labels)} and not {expected}, since groups stay together"


def _count_wanted(labels: Sequence[str], share: float, limit: int | None) -> dict[str, int]:
    counts = Counter(labels)
    scale = min(1.0, limit / (len(labels) * share)) if limit and labels else 1.0
    wanted = {label: min(max(1, round(count * share * scale)), count - 1) for label, count in counts.items()}
    while limit and sum(wanted.values()) > limit and max(wanted.values()) > 1:
        wanted[max(wanted, key=lambda name: wanted[name])] -= 1  # what rounding added
    return wanted


def _take_rows(labels: Sequence[str], wanted: dict[str, int], seed: int) -> set[int]:
    rows: dict[str, list[int]] = {}
    for position, label in enumerate(labels):
        rows.setdefault(label, []).append(position)
    taken: set[int] = set()
    for label, positions in rows.items():
        taken.update(positions[row] for row in draw([""] * len(positions), wanted[label], seed).rows)
    return taken


def _take_groups(carving: _GroupCarving) -> set[int]:
    carving.improve()
    if carving.complete():
        carving.improve()
    if not carving.taken:
        raise DataError(
            "every group holds more than half of the rows or all rows of a label, so no split can be carved from "
            "train; name a file or split"
        )
    return {row for group in carving.taken for row in carving.members[group]}


class _GroupCarving:
    """Takes whole groups in a random order until no other one brings the labels' counts nearer to what is wanted.

    Attributes:
        members: The rows of each group, in a random order of groups.
        taken: The groups that were taken.
    """

    def __init__(
        self, labels: Sequence[str], groups: Sequence[int], wanted: dict[str, int], seed: int, further: bool
    ) -> None:
        found: dict[int, list[int]] = {}
        for position, group in enumerate(groups):
            found.setdefault(group, []).append(position)
        order = list(found)
        random.Random(seed).shuffle(order)  # noqa: S311 - reproducible science, not secrets
        self.members = {group: found[group] for group in order}
        self.taken: set[int] = set()
        self._labels = labels
        self._missing = Counter(wanted)
        # In groups, for each label: those in train, those it must keep, those that were taken.
        self._left = Counter(label for group in order for label in self._count(group))
        self._kept = {label: 2 if further and count > 2 else 1 for label, count in self._left.items()}
        self._held: Counter[str] = Counter()

    def improve(self) -> None:
        """Take and give back groups while that helps; each step brings the counts nearer, so it ends."""
        changed = True
        while changed:
            changed = False
            for group in self.members:
                counts = self._count(group)
                sign = -1 if group in self.taken else 1
                if self._gain(counts, sign) > 0 and self._may_move(counts, sign):
                    self._move(group, counts, sign)
                    changed = True

    def complete(self) -> bool:
        """Take a group for each label that has none, as long as train keeps half of the rows; tell if any was taken."""
        before = len(self.taken)
        for label in sorted(self._left, key=lambda name: (self._left[name], name)):
            if self._held[label]:
                continue
            able = [group for group in self.members if self._may_complete(group, label)]
            if able:
                best = max(able, key=lambda group: self._gain(self._count(group), 1))
                self._move(best, self._count(best), 1)
        return len(self.taken) > before

    def _may_complete(self, group: int, label: str) -> bool:
        rows = self.members[group]
        if not any(self._labels[row] == label for row in rows) or not self._may_move(self._count(group), 1):
            return False
        return 2 * (len(rows) + sum(len(self.members[other]) for other in self.taken)) <= len(self._labels)

    def _may_move(self, counts: Mapping[str, int], sign: int) -> bool:
        """Tell whether the side that gives keeps every label."""
        if sign > 0:
            return all(self._left[label] > self._kept[label] for label in counts)
        return all(self._held[label] > 1 for label in counts)

    def _count(self, group: int) -> Mapping[str, int]:
        rows = self.members[group]
        if len(rows) == 1:  # quicker, for millions of them
            return {self._labels[rows[0]]: 1}
        return Counter(self._labels[row] for row in rows)

    def _gain(self, counts: Mapping[str, int], sign: int) -> int:
        missing = self._missing
        return sum(abs(missing[label]) - abs(missing[label] - sign * count) for label, count in counts.items())

    def _move(self, group: int, counts: Mapping[str, int], sign: int) -> None:
        for label, count in counts.items():
            self._missing[label] -= sign * count
            self._left[label] -= sign
            self._held[label] += sign
        if sign > 0:
            self.taken.add(group)
        else:
            self.taken.remove(group)


def carve_reference(labels: Sequence[str], n_rows: int) -> tuple[Positions, Positions]:
    """Take a validation split from train exactly as the reference does.

    Args:
        labels: The label of each row.
        n_rows: Rows to take in all; each label gives ``round(n_rows / labels)``.

    Returns:
        Positions of the rest, label by label in shuffled order, and of the taken rows, as the reference orders them.

    Raises:
        DataError: If a label would have no row left for training, or none would be taken.
    """
    n_labels = len(set(labels))
    per_class = round(n_rows / n_labels)
    if not per_class:
        raise DataError(
            f"carve: reference shares {n_rows} rows among {n_labels} labels, which is none for each; raise carve_rows "
            f"to {n_labels} or more"
        )
    drawn = draw(labels, per_class, CARVE_SEED)
    emptied = sorted(set(labels) - {labels[row] for row in drawn.left})
    if emptied:
        raise DataError(
            f"carve: reference takes {per_class} rows a label, which are all rows of {emptied}; set carve: share, or "
            "lower carve_rows"
        )
    return drawn.left, drawn.rows
