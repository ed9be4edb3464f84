"""The rows of train that a subsample left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hypermix.records import Example


class Further(Sequence[Example]):
    """Rows of a table; their texts stay in Arrow, so that a million of them fit into memory.

    Args:
        table: The columns ``id``, ``text`` and ``label``.
    """

    def __init__(self, table: pa.Table) -> None:
        self._columns = [table[name].combine_chunks() for name in ("id", "text", "label")]

    def __len__(self) -> int:
        return len(self._columns[0])

    @overload
    def __getitem__(self, place: int) -> Example: ...

    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...

    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        """Return the row at a place, from 0."""
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if place >= len(self):  # Arrow's own error would not end a loop
            raise IndexError(place)
        return Example(*(str(column[place].as_py()) for column in self._columns))


def read_further(train: Path, drawn: Sequence[Path]) -> Further:
    """Read the rows of a train split that are not among those drawn.

    Args:
        train: The whole split.
        drawn: The files of the rows that are used already.
    """
    table = pq.read_table(train, columns=["id", "text", "label"], partitioning=None)
    ids = [pq.read_table(path, columns=["id"], partitioning=None)["id"].cast(pa.string()) for path in drawn]
    known = pa.chunked_array([chunk for column in ids for chunk in column.chunks], pa.string())
    return Further(table.filter(pc.invert(pc.is_in(table["id"].cast(pa.string()), value_set=known))))
