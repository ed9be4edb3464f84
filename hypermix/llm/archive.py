"""A whole request store at once: counted, checked, written to one Parquet file and read from it, thinned out."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.files import atomic
from hypermix.hashing import canonical_json
from hypermix.llm.claim import DRAFT, SUFFIX
from hypermix.llm.store import Answer, Question, Record, RequestStore, read_record, text_of, unpack

SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("key", "identity", "path", "body", "sample", "response")),
        pa.field("response_sha256", pa.string()),
        pa.field("headers", pa.string()),
        pa.field("unknown", pa.int64()),
    ]
)
"""The columns of an exported store; `identity`, `body` and `headers` are canonical JSON."""

_BATCH = 1000
_DAY = 86_400.0
_ROW_PATHS = "/v1/"
"""Where answers come from that a synthetic row names; others, such as a tokenizer's, are named by none."""


@dataclass
class Contents:
    """What a store holds.

    Attributes:
        models: Answers and bytes of each model; answers that name none go by their path.
        damaged: Files that cannot be read as an answer.
        claims: Requests that were sent and have no answer: still on their way, or lost.
    """

    models: dict[str, tuple[int, int]] = field(default_factory=dict)
    damaged: list[Path] = field(default_factory=list)
    claims: int = 0

    def count(self, record: Record, size: int) -> None:
        """Add an answer."""
        model = _model(record)
        count, total = self.models.get(model, (0, 0))
        self.models[model] = count + 1, total + size

    @property
    def answers(self) -> int:
        """How many answers can be read."""
        return sum(count for count, _ in self.models.values())

    @property
    def size(self) -> int:
        """Their bytes."""
        return sum(size for _, size in self.models.values())


@dataclass
class Imported:
    """What an import did: answers added, answers that were there, and rows that hold none."""

    added: int = 0
    present: int = 0
    damaged: list[int] = field(default_factory=list)


def survey(store: RequestStore) -> Contents:
    """Read a whole store.

    Raises:
        ArtefactError: If there is no store.
    """
    found = Contents()
    for path, record, size in _read_all(store):
        if record is None:
            found.damaged.append(path)
        else:
            found.count(record, size)
    found.claims = sum(not store.path(key).exists() for key in _claims(store))
    return found


def export_store(store: RequestStore, target: Path, keys: Container[str] | None = None) -> Contents:
    """Write readable answers to one Parquet file, sorted by key, a part at a time.

    Args:
        store: The store.
        target: The file.
        keys: Those to write; None for all.

    Raises:
        ArtefactError: If there is no store, or the file cannot be written.
    """
    found = Contents()
    waiting: list[Record] = []
    try:
        # Compression of the next part goes on beside reading this one.
        with atomic(target) as temporary, _open_archive(temporary) as writer, ThreadPoolExecutor(1) as beside:
            written = beside.submit(int)
            for path, record, size in _read_all(store, keys):
                if record is None:
                    found.damaged.append(path)
                    continue
                found.count(record, size)
                waiting.append(record)
                if len(waiting) == _BATCH:
                    written.result()
                    written, waiting = beside.submit(writer.write_batch, to_rows(waiting)), []
            written.result()
            writer.write_batch(to_rows(waiting))
    except OSError as error:
        raise ArtefactError(f"{target}: cannot be written: {error.strerror}") from error
    return found


def _open_archive(path: Path) -> pq.ParquetWriter:
    # Keys and answers never repeat: a dictionary of them costs time and saves no room.
    return pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=["identity", "path", "headers"])


def to_rows(records: Iterable[Record]) -> pa.RecordBatch:
    """Return records as rows of an exported store."""
    rows = [
        {
            "key": record.question.key,
            "identity": canonical_json(record.question.identity),
            "path": record.question.path,
            "body": canonical_json(record.question.body),
            "sample": record.question.sample,
            "response": record.answer.response,
            "response_sha256": record.answer.sha256,
            "headers": canonical_json(record.answer.headers),
            "unknown": record.answer.unknown,
        }
        for record in records
    ]
    return pa.RecordBatch.from_pylist(rows, SCHEMA)


def import_store(store: RequestStore, source: Path, most_bytes: int | None = None) -> Imported:
    """Add the answers of an exported store that are missing or damaged here; others are left as they are.

    Args:
        store: The store.
        source: The exported store.
        most_bytes: What its rows may come to, for a file of others: a few kilobytes of Parquet can hold terabytes.

    Raises:
        ArtefactError: If the file is no exported store or holds more, or an answer cannot be written.
    """
    done = Imported()
    total = 0
    try:
        with _open_rows(source) as file:
            for row, found in enumerate(_read_rows(file), 1):
                total += sum(len(value) for value in found.values() if isinstance(value, str))
                if most_bytes is not None and total > most_bytes:
                    raise ArtefactError(f"{source}: holds more than {most_bytes / 1e9:g} GB of answers")
                record = _from_row(found)
                if record is None:
                    done.damaged.append(row)
                elif store.get(record.question.key) is not None:
                    done.present += 1
                else:
                    _add(store, record)
                    done.added += 1
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtefactError(f"{source}: cannot be read into {store.folder}: {error}; it was added in part") from error
    finally:
        os.sync()  # once for all, since once for each takes a hundred times as long
    return done


@contextmanager
def _open_rows(source: Path) -> Iterator[pq.ParquetFile]:
    """Open an exported store; a text that many rows share is read once."""
    with pq.ParquetFile(source) as file:
        if not file.schema_arrow.equals(SCHEMA, check_metadata=False):
            raise ArtefactError(f"{source}: is no exported store: it has the columns {file.schema_arrow.names}")
    with pq.ParquetFile(source, read_dictionary=[field.name for field in SCHEMA if field.type == pa.string()]) as file:
        yield file


def _read_rows(file: pq.ParquetFile) -> Iterator[dict[str, Any]]:
    """Read one row at a time, so that what is held is no more than the file's own texts and one row."""
    for batch in file.iter_batches(batch_size=_BATCH):
        for place in range(batch.num_rows):
            yield {name: column[place].as_py() for name, column in zip(SCHEMA.names, batch.columns, strict=True)}


def keys_of_model(store: RequestStore, model: str) -> list[str]:
    """Find the answers of a model, by the name in its requests.

    Raises:
        ArtefactError: If there is no store.
    """
    return [record.question.key for _, record, _ in _read_all(store) if record is not None and _model(record) == model]


def keys_older_than(store: RequestStore, days: float) -> list[str]:
    """Find the answers that came into this store so long ago; an import counts as coming.

    Raises:
        ArtefactError: If there is no store.
    """
    before = time.time() - days * _DAY
    return [key for key in _keys(store) if store.path(key).stat().st_mtime < before]


def keys_unused_by(store: RequestStore, results: Path) -> list[str]:
    """Find the answers that no synthetic row of some results comes from, rejected rows counted.

    Raises:
        ArtefactError: If there is no store, or the results have no synthetic rows or damaged ones.
    """
    paths = sorted((results / "augment").rglob("synthetic.parquet"))
    if not paths:
        raise ArtefactError(f"{results}: holds no augment/**/synthetic.parquet, so all answers would count as unused")
    used: set[str] = set()
    for path in paths:
        with tables.open_parquet(path, "synthetic") as file:
            used.update(file.read(columns=["request_key"])["request_key"].drop_null().to_pylist())
    return [
        record.question.key
        for _, record, _ in _read_all(store)
        if record is not None and record.question.path.startswith(_ROW_PATHS) and record.question.key not in used
    ]


def size_of(store: RequestStore, keys: Iterable[str]) -> int:
    """Return the bytes of some answers."""
    return sum(store.path(key).stat().st_size for key in keys)


def remove(store: RequestStore, keys: Iterable[str]) -> None:
    """Delete answers with the claims that lie beside them, and what broken-off writes left more than a day ago."""
    claims = _claims(store)
    for key in keys:
        for path in claims.get(key, []):
            path.unlink(missing_ok=True)  # first: without its answer it would count as a lost request
        store.path(key).unlink(missing_ok=True)
    for draft in [*store.folder.glob(f".*{DRAFT}"), *store.folder.glob(f"*/.*{DRAFT}")]:
        with suppress(FileNotFoundError):  # those of a running job come and go
            if draft.stat().st_mtime < time.time() - _DAY:
                draft.unlink()


def _keys(store: RequestStore) -> Iterator[str]:
    if not store.folder.is_dir():
        raise ArtefactError(f"{store.folder}: no such folder; name the cache with --cache")
    return store.keys()


def _read_all(store: RequestStore, wanted: Container[str] | None = None) -> Iterator[tuple[Path, Record | None, int]]:
    """Yield the path, the record and the bytes of each answer that is wanted, sorted by key."""
    with ThreadPoolExecutor(1) as beside:
        keys = (key for key in _keys(store) if wanted is None or key in wanted)
        following = beside.submit(_load, store, list(islice(keys, _BATCH)))
        while part := following.result():
            following = beside.submit(_load, store, list(islice(keys, _BATCH)))
            for key, text, size in part:
                if size < 0:
                    continue
                yield store.path(key), read_record(key, text), size


def _load(store: RequestStore, keys: Iterable[str]) -> list[tuple[str, bytes | None, int]]:
    """Read and unpack some files, which a thread of its own can do beside another that parses."""
    found: list[tuple[str, bytes | None, int]] = []
    for key in keys:
        try:
            content = store.path(key).read_bytes()
        except FileNotFoundError:
            found.append((key, None, -1))  # deleted meanwhile
        except OSError:
            found.append((key, None, 0))
        else:
            found.append((key, unpack(content), len(content)))
    return found


def _claims(store: RequestStore) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(store.folder.glob(f"*/*{SUFFIX}")):
        found.setdefault(path.name.partition(".")[0], []).append(path)
    return {key: paths for key, paths in found.items() if len(key) == 64}


def _model(record: Record) -> str:
    return str(record.question.body.get("model", record.question.path))


def _from_row(row: dict[str, Any]) -> Record | None:
    """Read a row; None if its answer or its key is not what its digests say."""
    try:
        identity, body, headers = (json.loads(row[name]) for name in ("identity", "body", "headers"))
        answer = Answer(str(row["response"]), text_of(headers), int(row["unknown"]))
        record = Record(Question(identity, row["path"], body, row["sample"]), answer)
        intact = row["response_sha256"] == answer.sha256 and row["key"] == record.question.key
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return record if intact else None


def _add(store: RequestStore, record: Record) -> None:
    path = store.path(record.question.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}{DRAFT}")
    try:
        draft.write_bytes(record.to_bytes())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
