"""What is known of a split's rows while their texts stay on the disk, so that millions of rows fit into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hypermix.data.ahead import ahead
from hypermix.data.rows import content_numbers, may_hold, row_id
from hypermix.errors import DataError

_SHOWN = 5
_UNTIDY = r"^ | $|  |[\t-\r\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
"""What `str.split` would change: all that Python takes for white space, but for lone spaces between words."""

_CONTROL = r"[\x00-\x08\x0e-\x1f\x7f]"
_BUCKET_ROWS = 1 << 16
_RANK = "rank"


@dataclass(frozen=True)
class Index:
    """The rows of one split, without their texts.

    Attributes:
        where: What the rows are called in an error.
        frame: A row each, in the source's order: ``label`` and ``group`` (category, the latter maybe missing),
            ``content`` (uint64, the id's first part), ``occurrence`` (earlier rows with the same content), ``key``
            (uint64, equal for texts that differ in case and spaces alone), ``characters``, ``empty``, ``control`` (has
            a control character) and ``breaks`` (has a line break).
    """

    where: str
    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)


def index_rows(where: str, batches: Iterable[pa.RecordBatch]) -> Index:
    """Read a split once and keep what decisions need.

    Args:
        where: What the rows are called in an error.
        batches: Clean rows, see `hypermix.data.rows.clean_batches`.

    Raises:
        DataError: If there is no row, or a row has no label; rows are counted from 1.
    """
    parts, labels, groups = [], [], []
    for batch, looks in ahead((batch, _look(batch["text"])) for batch in batches):
        labels.append(batch["label"])
        groups.append(batch["group"])
        content = content_numbers(batch["text"].to_pylist(), batch["label"].to_pylist())
        parts.append(pd.DataFrame({"content": content, **looks}))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if frame.empty:
        raise DataError(f"{where}: has no rows; at least one row of each label is wanted")
    frame["label"] = _category(labels)
    frame["group"] = _category(groups)
    frame["occurrence"] = frame.groupby("content", sort=False).cumcount()
    _check_labels_given(where, frame["label"])
    return Index(where, frame)


def _look(texts: pa.Array) -> dict[str, np.ndarray]:
    """Compute what Arrow can tell of some texts."""
    return {
        "key": text_keys(texts),
        "characters": pc.utf8_length(texts).to_numpy(zero_copy_only=False),
        "empty": pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False),
        "control": pc.match_substring_regex(texts, _CONTROL).to_numpy(zero_copy_only=False),
        "breaks": _find_breaks(texts),
    }


def _find_breaks(texts: pa.Array) -> np.ndarray:
    if not may_hold(texts, "\n") and not may_hold(texts, "\r"):
        return np.zeros(len(texts), dtype=bool)
    found: np.ndarray = pc.match_substring_regex(texts, r"[\r\n]").to_numpy(zero_copy_only=False)
    return found


def _category(columns: list[pa.Array]) -> pd.Categorical:
    encoded = pa.chunked_array(columns).combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, encoded.dictionary.to_pylist())


def _check_labels_given(where: str, labels: pd.Series) -> None:
    missing = np.flatnonzero(labels.isna())
    if len(missing):
        rows = ", ".join(str(row + 1) for row in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(f"{where}: no label in row {rows}{more}; fill it in or take the row away")


def fold(texts: pa.Array) -> pa.Array:
    """Return texts in lower case, without spaces around them and with one space for each run of white space."""
    lower = pc.utf8_lower(texts)
    untidy = pc.match_substring_regex(lower, _UNTIDY)
    if not pc.any(untidy).as_py():
        return lower
    tidied = [" ".join(text.split()) for text in lower.filter(untidy).to_pylist()]
    return pc.replace_with_mask(lower, untidy, pa.array(tidied, lower.type))


def text_keys(texts: pa.Array) -> np.ndarray:
    """Return a 64-bit hash of each folded text; for comparisons in one process, never for a file."""
    return pd.util.hash_array(fold(texts).to_numpy(zero_copy_only=False).astype(object), categorize=False)


def row_names(index: Index, positions: np.ndarray) -> pa.Array:
    """Return the ids of the rows at some positions, in their order."""
    chosen = index.frame.iloc[positions]
    pairs = zip(chosen["content"].tolist(), chosen["occurrence"].tolist(), strict=True)
    return pa.array([row_id(content, occurrence) for content, occurrence in pairs], pa.string())


def take(batches: Iterable[pa.RecordBatch], positions: np.ndarray) -> Iterator[pa.RecordBatch]:
    """Yield the rows at some positions of a stream, in the order of the positions.

    The stream is read once. Where the order is another one, rows wait on the disk in buckets of the order wanted.

    Args:
        batches: All rows.
        positions: Positions in the stream, each at most once.
    """
    if len(positions) < 2 or bool((np.diff(positions) > 0).all()):
        yield from _filter(batches, positions)
        return
    with tempfile.TemporaryDirectory(prefix="hypermix-rows-") as folder:
        yield from _reorder(batches, positions, Path(folder))


def _filter(batches: Iterable[pa.RecordBatch], positions: np.ndarray) -> Iterator[pa.RecordBatch]:
    start = done = 0
    for batch in batches:
        if done == len(positions):
            return
        last = int(np.searchsorted(positions, start + len(batch)))
        if last > done:
            yield batch.take(pa.array(positions[done:last] - start))
        start, done = start + len(batch), last


def _reorder(batches: Iterable[pa.RecordBatch], positions: np.ndarray, folder: Path) -> Iterator[pa.RecordBatch]:
    ranks = np.argsort(positions, kind="stable")
    start = 0
    with ExitStack() as files:
        buckets: dict[int, pa.RecordBatchStreamWriter] = {}
        for batch in _filter(batches, positions[ranks]):
            rank = ranks[start : start + len(batch)]
            start += len(batch)
            numbered = batch.append_column(_RANK, pa.array(rank))
            for bucket in np.unique(rank // _BUCKET_ROWS).tolist():
                if bucket not in buckets:
                    sink = pa.ipc.new_stream(str(folder / str(bucket)), numbered.schema)
                    buckets[bucket] = files.enter_context(sink)
                buckets[bucket].write_batch(numbered.filter(pa.array(rank // _BUCKET_ROWS == bucket)))
    for bucket in sorted(buckets):
        with pa.OSFile(str(folder / str(bucket))) as stream:
            rows = pa.ipc.open_stream(stream).read_all().sort_by(_RANK).drop_columns([_RANK])
        yield from rows.combine_chunks().to_batches()
