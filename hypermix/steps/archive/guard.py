"""No secret leaves with an archive: every file is searched for the keys that this machine knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from hypermix.errors import ArtefactError

_BLOCK = 1 << 20
_ROWS = 1 << 12
_PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_PARQUET = b"PAR1"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


class Guard:
    """Refuses what holds a secret, in any of its usual spellings.

    Args:
        secrets: Each value by the place where it lies.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._spelled = [(where, spelled) for where, value in secrets.items() for spelled in _spell(value)]

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
        overlap = max(len(spelled) for _, spelled in self._spelled)
        found = self._find([content] if isinstance(content, bytes) else _blocks(content, overlap))
        if found is not None:
            raise ArtefactError(
                f"{name}: holds the key of {found}, so that nothing was written; take it out of this file, and give "
                "the key out no more if it was shown to others"
            )

    def _find(self, blocks: Iterable[bytes]) -> str | None:
        return next((where for block in blocks for where, spelled in self._spelled if spelled in block), None)


def _spell(value: str) -> list[bytes]:
    texts = (value, quote(value, safe=""), json.dumps(value)[1:-1], value.replace("/", "\\/"))
    return list(dict.fromkeys(text.encode(encoding) for text in texts for encoding in _ENCODINGS))


def _blocks(path: Path, overlap: int) -> Iterator[bytes]:
    """Yield a file in blocks that overlap, and what its compression and that of Parquet hide."""
    yield from _overlapping(path.open("rb"), overlap)
    packed = _PACKED.get(path.suffix.lower())
    with suppress(OSError, pa.ArrowException):  # it is only named like one, or begins like one
        if packed is not None:
            yield from _overlapping(_unpacked(path, packed), overlap)
        yield from _tables(path, packed)


def _unpacked(path: Path, packed: str | None) -> Any:
    return pa.input_stream(str(path), compression=packed)


def _overlapping(stream: IO[bytes], overlap: int) -> Iterator[bytes]:
    kept = b""
    with stream:
        while block := stream.read(_BLOCK):
            yield kept + block
            kept = (kept + block)[-overlap:]


def _tables(path: Path, packed: str | None) -> Iterator[bytes]:
    """Yield the rows of a Parquet file as Arrow sends them: all columns of any type, and nothing is compressed."""
    with _unpacked(path, packed) as stream:
        if stream.read(len(_PARQUET)) != _PARQUET:
            return
        source = pa.BufferReader(_PARQUET + stream.read()) if packed else path
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(batch_size=_ROWS):
            sent = pa.BufferOutputStream()
            with pa.ipc.new_stream(sent, batch.schema) as writer:
                writer.write_batch(batch)
            yield sent.getvalue().to_pybytes()
