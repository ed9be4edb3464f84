"""Reading and writing files: whole or not at all, and Parquet with its provenance inside."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hypermix import tables
from hypermix.disk import writable
from hypermix.errors import ArtefactError
from hypermix.hashing import canonical_json

_PROVENANCE = b"hypermix"
_SMALL_BYTES = 1 << 15
"""Up to this size a table is not compressed: its file is about as large, and read three times as fast."""

_GROUP_ROWS = 1 << 14
_GROUP_BYTES = 1 << 26
_BLOCK = 1 << 12


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path that takes the place of `path` when the block ends well.

    The bytes are on the disk before the name is: a crash leaves the old file or the new one, never a part. After an
    error nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, with as few calls of the system as can be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        write_new(temporary, content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not be there yet, and wait until it is on the disk.

    Raises:
        FileExistsError: If it is there.
        OSError: If it cannot be written; then it is not there.
    """
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def read_whole(path: Path) -> tuple[bytes, os.stat_result]:
    """Read a small file with as few calls of the system as can be.

    Raises:
        OSError: If it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        state = os.fstat(handle)
        parts = []
        while part := os.read(handle, max(state.st_size + 1, _BLOCK)):
            parts.append(part)
        return b"".join(parts), state
    finally:
        os.close(handle)


def read_end(path: str, most: int) -> bytes:
    """Read the last bytes of a file, with as few calls of the system as can be.

    Args:
        path: The file.
        most: How many bytes; a shorter file is read whole.

    Raises:
        OSError: If it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(handle, most, max(0, os.fstat(handle).st_size - most))
    finally:
        os.close(handle)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file atomically.

    Raises:
        ArtefactError: If the disk is full, or the folder cannot be written.
    """
    with writable(path):
        write_bytes(path, content.encode("utf-8"))


def write_table(path: Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Write a Parquet file atomically.

    Args:
        path: Where.
        table: Rows with one of the schemas of `hypermix.tables`.
        provenance: What explains the rows; it must have a JSON form and hold no time and no secret.

    Raises:
        ArtefactError: If the disk is full, or the folder cannot be written.
    """
    described = table.replace_schema_metadata({_PROVENANCE: canonical_json(provenance).encode()})
    with writable(path), atomic(path) as temporary:
        pq.write_table(described, temporary, compression="zstd" if table.nbytes > _SMALL_BYTES else "none")


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Texts and ids seldom repeat: a dictionary of them costs time and saves no room.
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["label"])


def write_batches(path: Path, table: str, batches: Iterable[pa.RecordBatch], provenance: Mapping[str, Any]) -> int:
    """Write a Parquet file atomically from batches, of which one row group is in memory at a time.

    Args:
        path: Where.
        table: The table's name, a key of `hypermix.tables.SCHEMAS`.
        batches: Its rows, with its columns and types.
        provenance: See `write_table`.

    Returns:
        How many rows were written.

    Raises:
        ArtefactError: If the disk is full, or the folder cannot be written.
    """
    schema = tables.schema(table).with_metadata({_PROVENANCE: canonical_json(provenance).encode()})
    count = 0
    with writable(path), atomic(path) as temporary, _writer(temporary, schema) as writer:
        for rows in _fill_groups(batches):
            writer.write_table(rows.cast(tables.schema(table)).replace_schema_metadata(schema.metadata))
            count += len(rows)
    return count


def _fill_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join small batches, since each table that is written becomes a row group of its own."""
    waiting: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        waiting.append(batch)
        count, size = count + len(batch), size + batch.nbytes
        if count >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, count, size = [], 0, 0
    if count:
        yield pa.Table.from_batches(waiting)


def read_table(path: Path, table: str) -> pd.DataFrame:
    """Read one Parquet file, without partition keys.

    Raises:
        ArtefactError: If it is missing, damaged or has other columns than its table.
    """
    frame = tables.read(path, table)
    return frame.loc[:, list(tables.schema(table).names)]


def read_provenance(path: Path) -> dict[str, Any]:
    """Read what a Parquet file says about its making.

    Raises:
        ArtefactError: If the file cannot be read or says nothing.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtefactError(
            f"{path}: cannot be read as Parquet ({error}); delete it and run snakemake again"
        ) from error
    return parse_provenance(path, metadata)


def parse_provenance(path: Path, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Read what a Parquet file says about its making from its metadata.

    Raises:
        ArtefactError: If it says nothing.
    """
    if _PROVENANCE not in metadata:
        raise ArtefactError(f"{path}: was not written by HyperMix (no provenance in its metadata); delete it")
    provenance: dict[str, Any] = json.loads(metadata[_PROVENANCE])
    return provenance
