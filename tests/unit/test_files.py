from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix import files, tables
from hypermix.errors import ArtefactError, DataError

PROVENANCE: dict[str, Any] = {"slices": {"b": [1, 2.5, None], "a": "…"}, "keys": {"data_seed": 2746317213}}
ROWS = {"id": ["a-0", "b-0"], "text": ["fine", "bad"], "label": ["pos", "neg"]}


def write_rows(path: Path, provenance: dict[str, Any] | None = None) -> None:
    files.write_table(path, tables.from_columns("train", ROWS), PROVENANCE if provenance is None else provenance)


def test_written_text_is_utf8(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a" / "b" / "file.txt", "é…\n")

    assert (tmp_path / "a" / "b" / "file.txt").read_bytes() == "é…\n".encode()


def test_new_content_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"a longer old content")
    files.write_bytes(path, b"new")

    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_error_midway_keeps_the_old(tmp_path: Path, kind: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_part() -> None:
        with files.atomic(path) as temporary:
            temporary.write_bytes(b"a par")
            raise kind

    with pytest.raises(kind):
        write_part()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_error_midway_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        files.write_table(tmp_path / "x.parquet", tables.from_columns("train", ROWS), {"a": {1}})

    assert list(tmp_path.iterdir()) == []


def test_half_written_table_leaves_nothing(tmp_path: Path) -> None:
    broken = pa.table({"a": pa.array([1]), "b": pa.array([(1, 2, 3)], type=pa.month_day_nano_interval())})

    with pytest.raises(pa.ArrowNotImplementedError):
        files.write_table(tmp_path / "x.parquet", broken, {})
    assert list(tmp_path.iterdir()) == []


def test_file_is_old_until_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with files.atomic(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.parent == path.parent

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with files.atomic(path) as one, files.atomic(path) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")

    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritten_temporary_gives_empty_file(tmp_path: Path) -> None:
    with files.atomic(tmp_path / "file"):
        pass

    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_mode_follows_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write_bytes(tmp_path / "file", b"")
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


def test_table_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "dataset=rt" / "train.parquet"
    write_rows(path)

    assert files.read_table(path, "train").to_dict("list") == ROWS


def test_provenance_comes_back(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.parquet")

    assert files.read_provenance(tmp_path / "train.parquet") == PROVENANCE


def test_empty_table_carries_provenance(tmp_path: Path) -> None:
    table = tables.from_columns("train", {name: [] for name in ROWS})
    files.write_table(tmp_path / "train.parquet", table, PROVENANCE)

    assert files.read_provenance(tmp_path / "train.parquet") == PROVENANCE


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    write_rows(tmp_path / "one.parquet")
    write_rows(tmp_path / "other.parquet", dict(reversed(PROVENANCE.items())))

    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()


def test_other_provenance_gives_other_bytes(tmp_path: Path) -> None:
    write_rows(tmp_path / "one.parquet")
    write_rows(tmp_path / "other.parquet", {})

    assert (tmp_path / "one.parquet").read_bytes() != (tmp_path / "other.parquet").read_bytes()


# A table in batches.


def batches_of(sizes: Sequence[int], text: str = "text") -> Iterator[pa.RecordBatch]:
    """Yield rows as a source has them, with wide strings, in batches of these sizes."""
    first = 0
    for size in sizes:
        rows = range(first, first + size)
        columns = [[f"{row}-0" for row in rows], [f"{text} {row}" for row in rows], ["ab"[row % 2] for row in rows]]
        kinds = (pa.string(), pa.large_string(), pa.large_string())
        arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, names=list(ROWS))
        first += size


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(1, 20), st.integers(1, 2000))
def test_batches_become_one_table(sizes: list[int], rows: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_GROUP_ROWS", rows)
        patch.setattr(files, "_GROUP_BYTES", size)
        path = Path(folder) / "train.parquet"
        count = files.write_batches(path, "train", batches_of(sizes), PROVENANCE)
        written = files.read_table(path, "train")
        schema = pq.read_schema(path).remove_metadata()
        assert files.read_provenance(path) == PROVENANCE

    assert count == len(written) == sum(sizes)
    assert schema == tables.schema("train")
    assert written["text"].tolist() == [f"text {row}" for row in range(sum(sizes))]
    assert written["label"].tolist() == ["ab"[row % 2] for row in range(sum(sizes))]


def groups_of(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def test_small_batches_share_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_GROUP_ROWS", 10)
    files.write_batches(tmp_path / "train.parquet", "train", batches_of([4, 4, 4, 25, 0, 3]), {})

    assert groups_of(tmp_path / "train.parquet") == [12, 25, 3]


def test_long_texts_have_row_groups_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_GROUP_BYTES", 10_000)
    files.write_batches(tmp_path / "train.parquet", "train", batches_of([2, 2, 2], "x" * 3000), {})

    assert groups_of(tmp_path / "train.parquet") == [4, 2]


@pytest.mark.parametrize("sizes", [[], [0], [0, 0]], ids=str)
def test_no_batch_gives_an_empty_table(tmp_path: Path, sizes: list[int]) -> None:
    path = tmp_path / "train.parquet"

    assert files.write_batches(path, "train", batches_of(sizes), PROVENANCE) == 0
    assert len(files.read_table(path, "train")) == 0
    assert files.read_provenance(path) == PROVENANCE


def test_equal_batches_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        files.write_batches(tmp_path / name, "train", batches_of([3, 5]), PROVENANCE)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_provenance_of_the_source_is_replaced(tmp_path: Path) -> None:
    write_rows(tmp_path / "one.parquet", {"old": 1})
    with tables.open_parquet(tmp_path / "one.parquet", "train") as file:
        files.write_batches(tmp_path / "other.parquet", "train", file.iter_batches(), {"new": 2})

    assert files.read_provenance(tmp_path / "other.parquet") == {"new": 2}


def test_error_in_a_batch_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    path.write_bytes(b"old")

    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches_of([20_000])
        raise DataError("row 20001 is broken")

    with pytest.raises(DataError, match="row 20001 is broken"):
        files.write_batches(path, "train", broken(), {})
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_batches_of_other_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="field names"):
        files.write_batches(tmp_path / "test.parquet", "groups", batches_of([2]), {})
    with pytest.raises(ArtefactError, match="no table is called 'tests'"):
        files.write_batches(tmp_path / "test.parquet", "tests", batches_of([2]), {})

    assert list(tmp_path.iterdir()) == []


def test_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"gone\.parquet: cannot be read as Parquet"):
        files.read_table(tmp_path / "gone.parquet", "train")


def test_damaged_provenance_says_delete(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    path.write_bytes(b"PAR1 damaged PAR1")

    with pytest.raises(ArtefactError, match=r"cannot be read as Parquet \(.*\); delete it and run snakemake again"):
        files.read_provenance(path)


def test_missing_provenance_says_delete(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"gone\.parquet: cannot be read as Parquet"):
        files.read_provenance(tmp_path / "gone.parquet")


@pytest.mark.parametrize("metadata", [None, {b"pandas": b"{}"}])
def test_foreign_file_has_no_provenance(tmp_path: Path, metadata: dict[bytes, bytes] | None) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table(ROWS).replace_schema_metadata(metadata), path)

    with pytest.raises(ArtefactError, match="was not written by HyperMix"):
        files.read_provenance(path)
