"""The schema of every table that HyperMix writes, and the reader that gives partition keys their types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hypermix.errors import ArtefactError, accepted
from hypermix.names import KEY_NAMES

TEXT = pa.string()
COUNT = pa.int64()
REAL = pa.float64()
SHARES = pa.list_(pa.float64())

KEYS: dict[str, pa.DataType] = {name: COUNT if name in ("data_seed", "trial") else TEXT for name in KEY_NAMES}
"""The partition keys, in the order in which they stand in a path."""

_METRICS = ("accuracy", "macro_f1", "mcc", "log_loss", "brier", "ece")
_COUNTS = ("n_train", "n_synthetic", "n_test", "steps", "best_epoch")
_CELL = {key: KEYS[key] for key in ("dataset", "subsample", "augmenter", "classifier")}
_ROWS = {"id": TEXT, "text": TEXT, "label": TEXT}
_BINS = {"low": REAL, "high": REAL, "n": COUNT, "confidence": REAL, "accuracy": REAL}
_METRIC_COLUMNS = {**dict.fromkeys(_COUNTS, COUNT), **dict.fromkeys(_METRICS, REAL)}

METRICS: tuple[str, ...] = _METRICS
"""The measures of a run, in the order of their columns."""


def _schema(columns: Mapping[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


SCHEMAS: dict[str, pa.Schema] = {
    name: _schema(columns)
    for name, columns in {
        "train": _ROWS,
        "validation": _ROWS,
        "test": _ROWS,
        "groups": {"id": TEXT, "group": TEXT},
        "profile": {"split": TEXT, "label": TEXT, "measure": TEXT, "value": REAL, "detail": TEXT},
        "synthetic": {
            **_ROWS,
            "soft_label": SHARES,
            "label_source": TEXT,
            "label_mass": REAL,
            "source_ids": pa.list_(TEXT),
            "llm": TEXT,
            "request_key": TEXT,
            "kept": pa.bool_(),
            "reason": TEXT,
        },
        "receipt": {
            "llm": TEXT,
            "requests_paid": COUNT,
            "requests_replayed": COUNT,
            "requests_unknown": COUNT,
            "prompt_tokens": COUNT,
            "completion_tokens": COUNT,
            "usd": REAL,
            "usd_paid": REAL,
            "rows_wanted": COUNT,
            "rows_kept": COUNT,
            "requests_discarded": COUNT,
            "seconds": REAL,
        },
        "predictions": {"id": TEXT, "split": TEXT, "label": TEXT, "predicted": TEXT, "probabilities": SHARES},
        "history": {
            "epoch": COUNT,
            "step": COUNT,
            "train_loss": REAL,
            "validation_accuracy": REAL,
            "learning_rate": REAL,
            "seconds": REAL,
            "peak_mb": REAL,
        },
        "metrics": _METRIC_COLUMNS,
        "confusion": {"label": TEXT, "predicted": TEXT, "n": COUNT},
        "calibration": _BINS,
        "runs": {**KEYS, **_METRIC_COLUMNS},
        "summary": {
            **_CELL,
            "metric": TEXT,
            "n_seeds": COUNT,
            "n_runs": COUNT,
            "mean": REAL,
            "sd": REAL,
            "ci_low": REAL,
            "ci_high": REAL,
        },
        "comparisons": {
            **_CELL,
            "baseline": TEXT,
            "metric": TEXT,
            "n_pairs": COUNT,
            "mean_difference": REAL,
            "ci_low": REAL,
            "ci_high": REAL,
            "p_value": REAL,
            "p_adjusted": REAL,
            "test": TEXT,
            "effect_size": REAL,
            "pairs_needed": COUNT,
        },
        "classes": {
            **_CELL,
            "label": TEXT,
            "n_seeds": COUNT,
            "n_rows": REAL,
            **{f"{name}{part}": REAL for name in ("precision", "recall", "f1") for part in ("", "_low", "_high")},
        },
        "all_calibration": {**_CELL, **_BINS},
        "variance": {
            **_CELL,
            "metric": TEXT,
            "n_seeds": COUNT,
            "n_runs": COUNT,
            "seed_variance": REAL,
            "seed_variance_raw": REAL,
            "trial_variance": REAL,
            "test_variance": REAL,
            "ci_low": REAL,
            "ci_high": REAL,
        },
        "opinions": {
            **_CELL,
            "baseline": TEXT,
            "metric": TEXT,
            "wilcoxon_p": REAL,
            "bootstrap_low": REAL,
            "bootstrap_high": REAL,
            "smallest_p": REAL,
            "p_error": REAL,
            "eps_min": REAL,
        },
        "ranks": {
            "subsample": TEXT,
            "classifier": TEXT,
            "augmenter": TEXT,
            "n_datasets": COUNT,
            "n_methods": COUNT,
            "mean_rank": REAL,
            "critical_difference": REAL,
            "friedman_p": REAL,
            "baseline": TEXT,
            "wins": COUNT,
            "ties": COUNT,
            "losses": COUNT,
            "p_better": REAL,
        },
        "quality": {"measure": TEXT, "value": REAL},
        "all_quality": {
            **{key: kind for key, kind in KEYS.items() if key != "classifier"},
            "measure": TEXT,
            "value": REAL,
        },
        "costs": {
            "augmenter": TEXT,
            "llm": TEXT,
            "requests_paid": COUNT,
            "requests_replayed": COUNT,
            "requests_unknown": COUNT,
            "prompt_tokens": COUNT,
            "completion_tokens": COUNT,
            "usd": REAL,
            "usd_per_kept_row": REAL,
        },
    }.items()
}
"""The columns of each table, by the name of its file.

``all_quality`` and ``all_calibration`` are those of aggregate/quality.parquet and aggregate/calibration.parquet.
"""

Look = Callable[[Path, bytes, Mapping[bytes, bytes]], None]
"""Gets a file's path, its bytes and its metadata while it is read."""

_JOINED = 1000  # small tables are joined in memory by so many, since each has its own overhead
_PARTITION = re.compile(r"^(\w+)=(.*)$")


def schema(table: str) -> pa.Schema:
    """Return the schema of a table.

    Raises:
        ArtefactError: If there is no table of this name.
    """
    if table not in SCHEMAS:
        raise ArtefactError(f"no table is called {table!r}: {accepted(table, SCHEMAS)}")
    return SCHEMAS[table]


def from_columns(table: str, columns: Mapping[str, Iterable[Any]] | pd.DataFrame) -> pa.Table:
    """Build a table with exactly its schema.

    Args:
        table: The table's name, a key of `SCHEMAS`.
        columns: A frame, or a sequence for each column; None and NaN in text columns become null.

    Raises:
        ArtefactError: If a column is missing, unknown or of another type.
    """
    wanted = schema(table)
    given = [str(name) for name in columns]
    if set(given) != set(wanted.names):
        missing = sorted(set(wanted.names) - set(given))
        unknown = sorted(set(given) - set(wanted.names))
        raise ArtefactError(f"the table {table!r} lacks the columns {missing} and has the unknown columns {unknown}")
    try:
        arrays = [_array(columns[field.name], field.type) for field in wanted]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ArtefactError(f"a column of the table {table!r} has the wrong type: {error}") from error
    return pa.Table.from_arrays(arrays, schema=wanted)


def _array(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    if kind == COUNT:
        counts = pa.array(values, from_pandas=True)
        if pa.types.is_floating(counts.type):
            return counts.cast(kind)  # the line below would cut 1.5 to 1 without a word
    return pa.array(values, type=kind, from_pandas=True)


def path_keys(path: Path) -> dict[str, str | int]:
    """Read the partition keys from a path, with their types.

    Args:
        path: A path with parts such as ``data_seed=7``.

    Returns:
        The keys in the order of the path; seeds as integers.
    """
    matches = (_PARTITION.match(part) for part in path.parts)
    pairs = [match.groups() for match in matches if match and match.group(1) in KEYS]
    return {key: int(value) if KEYS[key] == COUNT else value for key, value in pairs}


def read(
    source: str | Path | Iterable[Path],
    table: str,
    columns: Sequence[str] | None = None,
    *,
    rows: Mapping[Path, Sequence[int]] | None = None,
    look: Look | None = None,
) -> pd.DataFrame:
    """Read all files of one table, with their partition keys as typed columns.

    Args:
        source: A file, a folder that is searched for ``TABLE.parquet``, or the files.
        table: The table's name, such as ``metrics``.
        columns: Those to read beside the keys; by default all.
        rows: The rows to keep of each file, by their positions; by default all.
        look: Is shown each file, so that who wants more of it than its rows need not open it again.

    Returns:
        One frame: the keys found in the paths, then the table's columns; files in the order of their paths.

    Raises:
        ArtefactError: If no file is found, or one cannot be read or lacks columns.
    """
    paths = _find(source, table)
    parts, counts = [], []
    for start in range(0, len(paths), _JOINED):
        some = [_read_one(path, table, columns, look) for path in paths[start : start + _JOINED]]
        if rows is not None:
            some = [part.take(rows[path]) for part, path in zip(some, paths[start : start + _JOINED], strict=True)]
        counts += [len(part) for part in some]
        parts.append(pa.concat_tables(some).combine_chunks())
    # One conversion of all: a frame for each of thousands of small files takes minutes.
    found: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    named = [path_keys(path) for path in paths]
    missing = [key for key in KEYS if key not in found and any(key in keys for keys in named)]
    for place, key in enumerate(missing):
        values = pa.array([keys.get(key) for keys in named], KEYS[key]).to_pandas()
        found.insert(place, key, values.repeat(counts).array)
    return found


def empty(table: str, keys: Iterable[str] = ()) -> pd.DataFrame:
    """Return what `read` returns of a table, without any row.

    Args:
        table: The table's name.
        keys: The partition keys that its paths would have.

    Raises:
        ArtefactError: If there is no table of this name.
    """
    fields = [*(pa.field(key, KEYS[key]) for key in keys), *schema(table)]
    frame: pd.DataFrame = pa.schema(fields).empty_table().to_pandas()
    return frame


def _find(source: str | Path | Iterable[Path], table: str) -> list[Path]:
    if isinstance(source, (str, Path)):
        root = Path(source)
        paths = sorted(root.rglob(f"{table}.parquet")) if root.is_dir() else [root]
    else:
        paths = list(source)
    if not paths:
        raise ArtefactError(f"{source}: holds no {table}.parquet; run snakemake first")
    return paths


def _read_one(path: Path, table: str, columns: Sequence[str] | None, look: Look | None) -> pa.Table:
    # The bytes at once: a file in which the reader looks around takes twice as long.
    with _told(path), open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - in half the time of Path.read_bytes
        content = stream.readall()
    with _told(path), pq.ParquetFile(pa.BufferReader(content)) as file:
        if look is not None:
            look(path, content, file.metadata.metadata or {})
        if columns is not None:
            _check_columns(path, table, file.schema_arrow)
        found = file.read(columns=None if columns is None else [*columns], use_threads=False)
        if columns is None:
            _check_columns(path, table, found.schema)  # which need not be made a second time
        return found.replace_schema_metadata(None)


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet file.

    Raises:
        ArtefactError: If it is missing or damaged.
    """
    with _told(path):
        return int(pq.read_metadata(path).num_rows)


@contextmanager
def open_parquet(path: Path, table: str) -> Iterator[pq.ParquetFile]:
    """Open one file of a table, for reading a part of it at a time.

    Raises:
        ArtefactError: If it is missing, damaged or has other columns than its table.
    """
    with _told(path), pq.ParquetFile(path, pre_buffer=False) as file:  # else all of it waits in memory
        _check_columns(path, table, file.schema_arrow)
        yield file


def _check_columns(path: Path, table: str, found: pa.Schema) -> None:
    wanted = schema(table)
    if not found.equals(wanted, check_metadata=False):
        raise ArtefactError(f"{path}: has the columns {found.names}, the table {table!r} has {wanted.names}; delete it")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell which file cannot be read."""
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtefactError(
            f"{path}: cannot be read as Parquet ({error}); delete it and run snakemake again"
        ) from error
