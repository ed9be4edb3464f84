"""No secret leaves with an archive: every file is searched for the keys that this machine knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hypermix.errors import ArtefactError

_BLOCK = 1 << 20
_ROWS = 1 << 12
_PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


class Guard:
    """Refuses what holds a secret, in any of its usual spellings.

    Args:
        secrets: Each value by the place where it lies.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._spelled = [(where, text) for where, value in secrets.items() for text in _spell(value)]

    def check(self, name: str, content: Path | bytes) -> None:
        """Search one file.

        Args:
            name: What it is called in the archive.
            content: Its bytes, or where it lies.

        Raises:
            ArtefactError: If it holds a secret; the message tells where that comes from and never a part of it.
        """
        if not self._spelled:
            return
        if isinstance(content, bytes):
            found = self._find([content])
        elif name.endswith(".parquet"):
            found = self._find_in_table(content)
        else:
            found = self._find(_blocks(content, self._overlap))
        if found is not None:
            raise ArtefactError(
                f"{name}: holds the key of {found}, so that nothing was written; take it out of this file, and give "
                "the key out no more if it was shown to others"
            )

    @property
    def _overlap(self) -> int:
        return max(len(text.encode()) for _, text in self._spelled)

    def _find(self, blocks: Sequence[bytes] | Iterator[bytes]) -> str | None:
        for block in blocks:
            for where, text in self._spelled:
                if text.encode() in block:
                    return where
        return None

    def _find_in_table(self, path: Path) -> str | None:
        """Search what the compression of a Parquet file hides: its metadata and all columns of texts."""
        with pq.ParquetFile(path) as file:
            found = self._find([str(file.schema_arrow.metadata).encode(), *_metadata(file)])
            if found is not None:
                return found
            for batch in file.iter_batches(batch_size=_ROWS):
                for column in batch.columns:
                    texts = _texts(column)
                    for where, text in self._spelled if texts is not None else ():
                        if pc.any(pc.match_substring(texts, text)).as_py():
                            return where
        return None


def _metadata(file: pq.ParquetFile) -> Iterator[bytes]:
    for name, value in (file.metadata.metadata or {}).items():
        if name != b"ARROW:schema":
            yield value


def _texts(column: Any) -> Any:
    """Return the texts of a column, those in lists too; None if it has none."""
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = column.flatten()
    return column if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else None


def _spell(value: str) -> list[str]:
    return list(dict.fromkeys([value, quote(value, safe=""), json.dumps(value)[1:-1], value.replace("/", "\\/")]))


def _blocks(path: Path, overlap: int) -> Iterator[bytes]:
    """Yield a file in blocks that overlap, and what its compression hides."""
    yield from _overlapping(path.open("rb"), overlap)
    packed = _PACKED.get(path.suffix.lower())
    if packed is not None:
        try:
            yield from _overlapping(pa.input_stream(str(path), compression=packed), overlap)
        except OSError:  # it is named like one alone
            return


def _overlapping(stream: IO[bytes], overlap: int) -> Iterator[bytes]:
    kept = b""
    with stream:
        while block := stream.read(_BLOCK):
            yield kept + block
            kept = (kept + block)[-overlap:]
