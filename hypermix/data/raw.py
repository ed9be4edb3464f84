"""What every kind of source gives: splits whose rows come in batches, as often as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class RawSplit:
    """The rows of one split as the source has them.

    Attributes:
        where: What the rows are called in an error, such as a file's path or ``SetFit/sst2, split train``.
        batches: Starts from the first row and yields batches that hold at least the wanted columns, of any Arrow type.
            It may be called again and yields the same rows.
    """

    where: str
    batches: Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class RawData:
    """All splits that a source has.

    Attributes:
        splits: By ``train``, ``validation`` and ``test``; a split that the source lacks is not there.
        inputs: What identifies the bytes: a SHA-256 by the file's path, or the commit by the id of a hub dataset.
    """

    splits: Mapping[str, RawSplit]
    inputs: Mapping[str, str]
