from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.files import write_table
from hypermix.llm import archive
from hypermix.llm.claim import take
from hypermix.llm.store import Answer, Question, Record, RequestStore
from tests.integration.llm.anything import HEADERS, SETTINGS, TEXTS

PATH = "/v1/completions"
DAY = 86_400


def record(sample: int, model: str = "m", path: str = PATH, response: str = "{}") -> Record:
    question = Question({"base_url": "u"}, path, {"model": model, "prompt": "é"}, str(sample))
    return Record(question, Answer(response, {"x-request-id": f"r{sample}"}, sample % 2))


def fill(store: RequestStore, *records: Record) -> list[str]:
    for found in records:
        store.put(found)
    return [found.question.key for found in records]


def contents(store: RequestStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}


def damage(store: RequestStore, key: str) -> Path:
    path = store.path(key)
    path.write_bytes(path.read_bytes()[:20])
    return path


@pytest.fixture
def other(tmp_path: Path) -> RequestStore:
    return RequestStore(tmp_path / "other" / "requests")


# Counting and checking.


def test_survey_counts_by_model(store: RequestStore) -> None:
    keys = fill(store, record(0), record(1), record(2, "n"), Record(Question({}, "/tokenize", {}, ""), Answer("{}")))
    sizes = [store.path(key).stat().st_size for key in keys]
    found = archive.survey(store)
    assert found.models == {"m": (2, sizes[0] + sizes[1]), "n": (1, sizes[2]), "/tokenize": (1, sizes[3])}
    assert (found.answers, found.size, found.damaged, found.claims) == (4, sum(sizes), [], 0)


def test_survey_names_damaged_files(store: RequestStore) -> None:
    keys = fill(store, *map(record, range(5)))
    wanted = sorted(damage(store, key) for key in keys[1:3])
    (swapped := store.path(keys[3])).write_bytes(store.path(keys[4]).read_bytes())
    found = archive.survey(store)
    assert sorted(found.damaged) == sorted([*wanted, swapped])
    assert found.answers == 2


def test_survey_counts_requests_without_answer(store: RequestStore) -> None:
    (key,) = fill(store, record(0))
    for name in (key, record(1).question.key, record(1).question.key, record(2).question.key):
        path = store.path(name).with_name(f"{name}.started")
        path.parent.mkdir(exist_ok=True)
        take(path, lambda: None).__exit__(None, None, None)  # left behind
    assert len(list(store.folder.rglob("*.started"))) == 4
    assert archive.survey(store).claims == 2


USES: list[Callable[[RequestStore], object]] = [
    archive.survey,
    lambda store: archive.export_store(store, store.folder.parent / "x.parquet"),
    lambda store: archive.keys_of_model(store, "m"),
    lambda store: archive.keys_older_than(store, 1),
]


@pytest.mark.parametrize("use", USES)
def test_missing_store_is_told(store: RequestStore, use: Callable[[RequestStore], object]) -> None:
    with pytest.raises(ArtefactError, match=r"requests: no such folder; name the cache with --cache"):
        use(store)
    assert list(store.folder.parent.iterdir()) == []


# Export and import.


def test_export_and_import_give_equal_files(
    store: RequestStore, other: RequestStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_BATCH", 100)
    fill(store, *map(record, range(250)))
    found = archive.export_store(store, tmp_path / "all.parquet")
    assert (found.answers, found.damaged) == (250, [])
    done = archive.import_store(other, tmp_path / "all.parquet")
    assert (done.added, done.present, done.damaged) == (250, 0, [])
    assert contents(other) == contents(store)
    again = archive.import_store(other, tmp_path / "all.parquet")
    assert (again.added, again.present) == (0, 250)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(response=TEXTS, headers=HEADERS, body=SETTINGS)
def test_any_answer_survives(
    tmp_path_factory: pytest.TempPathFactory, response: str, headers: dict[str, str], body: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    one, two = RequestStore(folder / "one"), RequestStore(folder / "two")
    fill(one, Record(Question({}, PATH, body, "0"), Answer(response, headers)))
    archive.export_store(one, folder / "all.parquet")
    archive.import_store(two, folder / "all.parquet")
    assert contents(two) == contents(one)


def test_export_is_sorted_and_the_same_each_time(store: RequestStore, tmp_path: Path) -> None:
    keys = fill(store, *map(record, range(50)))
    for name in "ab":
        archive.export_store(store, tmp_path / name)
    assert pq.read_table(tmp_path / "a").column("key").to_pylist() == sorted(keys)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.ParquetFile(tmp_path / "a").metadata.row_group(0).column(5).compression == "ZSTD"


def test_export_leaves_damaged_files_out(store: RequestStore, tmp_path: Path) -> None:
    keys = fill(store, *map(record, range(3)))
    path = damage(store, keys[1])
    found = archive.export_store(store, tmp_path / "all.parquet")
    assert (found.answers, found.damaged) == (2, [path])
    assert len(pq.read_table(tmp_path / "all.parquet")) == 2


def test_export_to_nowhere_is_told(store: RequestStore, tmp_path: Path) -> None:
    fill(store, record(0))
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match=r"file/all.parquet: cannot be written: "):
        archive.export_store(store, tmp_path / "file" / "all.parquet")


def test_import_never_overwrites(store: RequestStore, other: RequestStore, tmp_path: Path) -> None:
    fill(store, record(0, response="theirs"), record(1))
    fill(other, record(0, response="ours"))
    archive.export_store(store, tmp_path / "all.parquet")
    done = archive.import_store(other, tmp_path / "all.parquet")
    assert (done.added, done.present) == (1, 1)
    kept = other.get(record(0).question.key)
    assert kept is not None
    assert kept.answer.response == "ours"


def test_import_mends_damaged_files(store: RequestStore, tmp_path: Path) -> None:
    keys = fill(store, *map(record, range(3)))
    before = contents(store)
    archive.export_store(store, tmp_path / "all.parquet")
    damage(store, keys[2])
    assert archive.import_store(store, tmp_path / "all.parquet").added == 1
    assert contents(store) == before


CHANGES: list[Mapping[str, object]] = [
    {"response": "another answer"},
    {"response": None},
    {"response_sha256": "0" * 64},
    {"key": "ab" * 32},
    {"key": "../../x"},
    {"key": None},
    {"sample": "7-7-7"},
    {"path": "/v1/other"},
    {"body": '{"model":"m","prompt":"another"}'},
    {"body": "no JSON"},
    {"body": "[]"},
    {"identity": '{"base_url":"v"}'},
    {"identity": None},
    {"headers": "[]"},
    {"headers": None},
    {"unknown": None},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_changed_row_is_left_out(
    store: RequestStore, other: RequestStore, tmp_path: Path, change: Mapping[str, object]
) -> None:
    keys = sorted(fill(store, *map(record, range(3))))
    archive.export_store(store, tmp_path / "all.parquet")
    rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
    rows[1] |= change
    pq.write_table(pa.Table.from_pylist(rows, archive.SCHEMA), tmp_path / "changed.parquet")
    done = archive.import_store(other, tmp_path / "changed.parquet")
    assert (done.added, done.damaged) == (2, [2])
    assert list(other.keys()) == [keys[0], keys[2]]


IMPORTING = """
import sys
import pyarrow as pa
from pathlib import Path
from hypermix.errors import ArtefactError
from hypermix.llm.archive import import_store
from hypermix.llm.store import RequestStore
try:
    import_store(RequestStore(Path(sys.argv[2])), Path(sys.argv[1]), most_bytes=20_000_000)
except ArtefactError as error:
    print(error)
print(pa.default_memory_pool().max_memory())
"""


def test_a_small_file_of_much_text_is_refused_before_it_fills_the_memory(store: RequestStore, tmp_path: Path) -> None:
    names = [field.name for field in archive.SCHEMA if field.type == pa.string()]
    rows = {name: ["x"] * 200 for name in names} | {"response": ["x" * 1_000_000] * 200, "unknown": [0] * 200}
    pq.write_table(pa.table(rows, archive.SCHEMA), tmp_path / "bomb.parquet", compression="zstd")
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, "bomb.parquet", str(store.folder)],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
    )
    told, peak = done.stdout.splitlines()
    assert told == "bomb.parquet: holds more than 0.02 GB of answers"
    assert int(peak) < 50_000_000  # the text is 200 MB


def test_deep_json_is_a_damaged_row(store: RequestStore, other: RequestStore, tmp_path: Path) -> None:
    fill(store, record(0))
    archive.export_store(store, tmp_path / "all.parquet")
    rows = [row | {"body": "[" * 100_000} for row in pq.read_table(tmp_path / "all.parquet").to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, archive.SCHEMA), tmp_path / "deep.parquet")
    assert archive.import_store(other, tmp_path / "deep.parquet").damaged == [1]


def test_file_of_another_kind_is_refused(store: RequestStore, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "rows.parquet")
    with pytest.raises(ArtefactError, match=r"rows.parquet: is no exported store: it has the columns \['text'\]"):
        archive.import_store(store, tmp_path / "rows.parquet")
    (tmp_path / "no.parquet").write_text("no Parquet")
    for name in ("no.parquet", "missing.parquet"):
        with pytest.raises(ArtefactError, match=f"{name}: cannot be read"):
            archive.import_store(store, tmp_path / name)
    assert not store.folder.exists()


# Thinning out.


def test_answers_of_a_model_are_found(store: RequestStore) -> None:
    keys = fill(store, record(0), record(1, "n"), record(2))
    assert sorted(archive.keys_of_model(store, "m")) == sorted([keys[0], keys[2]])
    assert archive.keys_of_model(store, "M") == []


def test_old_answers_are_found(store: RequestStore) -> None:
    keys = fill(store, record(0), record(1))
    then = time.time() - 3 * DAY
    os.utime(store.path(keys[0]), (then, then))
    assert archive.keys_older_than(store, 2.9) == [keys[0]]
    assert archive.keys_older_than(store, 3.1) == []


def write_rows(results: Path, *keys: str | None) -> None:
    columns: dict[str, list[Any]] = {name: [None] * len(keys) for name in tables.schema("synthetic").names}
    table = tables.from_columns("synthetic", {**columns, "request_key": list(keys)})
    write_table(results / "augment" / "dataset=a" / f"trial={len(keys)}" / "synthetic.parquet", table, {})


def test_unused_answers_are_found(store: RequestStore, tmp_path: Path) -> None:
    keys = fill(store, *map(record, range(4)), record(4, path="/tokenize"))
    write_rows(tmp_path / "results", keys[0], None)
    write_rows(tmp_path / "results", keys[1], keys[1], keys[0])
    # What a tokenizer said is named by no row, and an offline run needs it.
    assert sorted(archive.keys_unused_by(store, tmp_path / "results")) == sorted(keys[2:4])


def test_results_without_rows_are_told(store: RequestStore, tmp_path: Path) -> None:
    fill(store, record(0))
    with pytest.raises(ArtefactError, match="so all answers would count as unused"):
        archive.keys_unused_by(store, tmp_path / "reslts")
    path = tmp_path / "results" / "augment" / "synthetic.parquet"
    path.parent.mkdir(parents=True)
    path.write_text("damaged")
    with pytest.raises(ArtefactError, match="cannot be read as Parquet"):
        archive.keys_unused_by(store, tmp_path / "results")


def test_removed_answers_leave_no_claim(store: RequestStore) -> None:
    keys = fill(store, record(0), record(1))
    for key in (keys[0], record(2).question.key):
        path = store.path(key).with_name(f"{key}.started")
        path.parent.mkdir(exist_ok=True)
        take(path, lambda: None).__exit__(None, None, None)
    assert archive.size_of(store, keys) == sum(store.path(key).stat().st_size for key in keys)
    archive.remove(store, keys[:1])
    assert list(store.keys()) == [keys[1]]
    # The claim of a request without an answer stays: it is to be counted.
    assert [path.name for path in store.folder.rglob("*.started")] == [f"{record(2).question.key}.started"]


def test_old_drafts_go_with_them(store: RequestStore) -> None:
    (key,) = fill(store, record(0))
    folder = store.path(key).parent
    for name, age in ((".old.tmp", 2 * DAY), (".new.tmp", 0)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age, time.time() - age))
    archive.remove(store, [])
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{key}.json.gz", ".new.tmp"])
