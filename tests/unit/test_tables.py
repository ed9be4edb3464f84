from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypermix import tables
from hypermix.errors import ArtefactError, DataError
from hypermix.files import write_table
from hypermix.tables import KEYS, METRICS, SCHEMAS

CELL = "dataset=rt/subsample=32s/data_seed={seed}/augmenter=none/classifier=minilm/trial=4294967295"
METRIC_ROW: dict[str, Any] = {
    **{name: [3] for name in ("n_train", "n_synthetic", "n_test", "steps", "best_epoch")},
    **{name: [0.5] for name in METRICS},
}
ROWS = {"id": ["a-0", "b-0"], "text": ["fine", "bad"], "label": ["pos", "neg"]}


def write_metrics(root: Path, seed: int, columns: dict[str, Any] | None = None) -> Path:
    path = root / CELL.format(seed=seed) / "metrics.parquet"
    write_table(path, tables.from_columns("metrics", columns or METRIC_ROW), {})
    return path


def empty(table: str) -> pa.Table:
    return tables.from_columns(table, {name: [] for name in SCHEMAS[table].names})


def test_metric_columns_are_those_of_design() -> None:
    expected = ["n_train", "n_synthetic", "n_test", "steps", "best_epoch", *METRICS]

    assert tables.schema("metrics").names == expected
    assert tables.schema("runs").names == [*KEYS, *expected]


def test_synthetic_columns_are_those_of_design() -> None:
    assert tables.schema("synthetic").names == [
        *("id", "text", "label", "soft_label", "label_source", "label_mass"),
        *("source_ids", "llm", "request_key", "kept", "reason"),
    ]


@pytest.mark.parametrize("table", ["train", "validation", "test"])
def test_split_columns_are_strings(table: str) -> None:
    assert tables.schema(table) == pa.schema([(name, pa.string()) for name in ("id", "text", "label")])


def test_unknown_table_offers_the_nearest() -> None:
    with pytest.raises(ArtefactError, match=r"no table is called 'metric': did you mean 'metrics'\? \(known: train, "):
        tables.schema("metric")


@pytest.mark.parametrize("table", sorted(SCHEMAS))
def test_empty_table_keeps_its_schema(table: str, tmp_path: Path) -> None:
    path = tmp_path / f"{table}.parquet"
    write_table(path, empty(table), {})

    assert pq.read_schema(path).remove_metadata() == SCHEMAS[table]
    assert list(tables.read(path, table).columns) == SCHEMAS[table].names
    assert tables.read(path, table).empty


def test_profile_and_groups_have_their_columns() -> None:
    assert tables.schema("groups").names == ["id", "group"]
    assert tables.schema("profile").names == ["split", "label", "measure", "value", "detail"]


def test_columns_take_the_tables_order() -> None:
    assert tables.from_columns("train", dict(reversed(ROWS.items()))).schema == SCHEMAS["train"]


def test_frame_and_lists_give_one_table() -> None:
    assert tables.from_columns("train", pd.DataFrame(ROWS)).equals(tables.from_columns("train", ROWS))


def test_rows_of_a_frame_keep_their_order() -> None:
    frame = pd.DataFrame(ROWS, index=[7, 3])

    assert tables.from_columns("train", frame).column("id").to_pylist() == ["a-0", "b-0"]


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_nothing_in_text_becomes_null(nothing: object) -> None:
    table = tables.from_columns("train", {"id": ["a"], "text": [nothing], "label": ["x"]})

    assert table.column("text").to_pylist() == [None]


def test_missing_and_unknown_columns_are_named() -> None:
    with pytest.raises(
        ArtefactError, match=r"'train' lacks the columns \['label'\] and has the unknown columns \['lable'\]"
    ):
        tables.from_columns("train", {"id": [], "text": [], "lable": []})


@pytest.mark.parametrize(
    ("column", "value"), [("steps", "many"), ("steps", 1.5), ("accuracy", "high"), ("n_test", [1])], ids=str
)
def test_wrong_type_of_column_is_refused(column: str, value: object) -> None:
    with pytest.raises(ArtefactError, match="a column of the table 'metrics' has the wrong type: "):
        tables.from_columns("metrics", {**METRIC_ROW, column: [value]})


@pytest.mark.parametrize(
    "values", [[3.0, None], pd.Series([3.0, math.nan]), pd.Series([3, None], dtype="Int64")], ids=str
)
def test_whole_floats_become_counts(values: Any) -> None:
    nothing = {name: [None, None] for name in SCHEMAS["history"].names}
    table = tables.from_columns("history", {**nothing, "step": values})

    assert table.column("step").to_pylist() == [3, None]


def test_number_in_text_column_is_refused() -> None:
    with pytest.raises(ArtefactError, match="a column of the table 'train' has the wrong type: "):
        tables.from_columns("train", {"id": ["a"], "text": ["b"], "label": [1]})


def test_keys_of_path_are_typed() -> None:
    keys = tables.path_keys(Path("results/evaluate") / CELL.format(seed=2746317213) / "metrics.parquet")

    assert keys == {
        "dataset": "rt",
        "subsample": "32s",
        "data_seed": 2746317213,
        "augmenter": "none",
        "classifier": "minilm",
        "trial": 4294967295,
    }
    assert list(keys) == list(KEYS)


def test_name_like_a_number_stays_text() -> None:
    assert tables.path_keys(Path("dataset=007/data_seed=007/x")) == {"dataset": "007", "data_seed": 7}


def test_foreign_parts_are_no_keys() -> None:
    assert tables.path_keys(Path("/a=b/dataset/color=red/trial=1x=2".replace("1x=2", "2"))) == {"trial": 2}


def test_folder_is_read_with_keys(tmp_path: Path) -> None:
    for seed in (2746317213, 5):
        write_metrics(tmp_path, seed)

    frame = tables.read(tmp_path, "metrics")

    assert list(frame.columns) == [*KEYS, *SCHEMAS["metrics"].names]
    assert frame["data_seed"].tolist() == [2746317213, 5]
    assert frame["trial"].tolist() == [4294967295] * 2
    assert str(frame["data_seed"].dtype) == "int64"


def test_files_keep_the_order_given(tmp_path: Path) -> None:
    paths = [write_metrics(tmp_path, seed) for seed in (9, 1, 5)]

    assert tables.read(paths, "metrics")["data_seed"].tolist() == [9, 1, 5]
    assert tables.read(iter(paths), "metrics")["data_seed"].tolist() == [9, 1, 5]


def test_rows_are_taken_by_position_file_by_file(tmp_path: Path) -> None:
    paths = [write_metrics(tmp_path, seed, {name: [0, 1, 2] for name in METRIC_ROW}) for seed in (9, 1)]

    frame = tables.read(paths, "metrics", ["steps"], rows={paths[0]: [2, 0], paths[1]: [1]})

    assert frame[["data_seed", "steps"]].to_numpy().tolist() == [[9, 2], [9, 0], [1, 1]]


def test_folder_may_be_named_as_text(tmp_path: Path) -> None:
    write_metrics(tmp_path, 1)

    assert len(tables.read(str(tmp_path), "metrics")) == 1


def test_other_tables_of_folder_are_left(tmp_path: Path) -> None:
    path = write_metrics(tmp_path, 1)
    write_table(path.with_name("train.parquet"), tables.from_columns("train", ROWS), {})

    assert len(tables.read(tmp_path, "metrics")) == 1
    assert len(tables.read(tmp_path, "train")) == 2


def test_empty_file_beside_full_keeps_types(tmp_path: Path) -> None:
    write_metrics(tmp_path, 1, {name: [] for name in METRIC_ROW})
    write_metrics(tmp_path, 2)

    frame = tables.read(tmp_path, "metrics")

    assert frame["data_seed"].tolist() == [2]
    assert frame["steps"].dtype == "int64"


def test_pandas_reads_the_hive_folder(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_metrics(tmp_path, seed)

    frame = pd.read_parquet(tmp_path)

    assert set(frame.columns) == {*KEYS, *SCHEMAS["metrics"].names}
    assert sorted(frame["data_seed"].astype(str)) == ["1", "2"]
    assert frame["accuracy"].tolist() == [0.5, 0.5]


def test_pandas_reads_rows_with_nulls(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {name: [None] for name in SCHEMAS["synthetic"].names}
    write_table(tmp_path / "dataset=a" / "synthetic.parquet", empty("synthetic"), {})
    write_table(tmp_path / "dataset=b" / "synthetic.parquet", tables.from_columns("synthetic", columns), {})

    assert len(pd.read_parquet(tmp_path)) == len(tables.read(tmp_path, "synthetic")) == 1


def test_own_key_columns_win_over_path(tmp_path: Path) -> None:
    columns = {**{key: [1 if kind == pa.int64() else "x"] for key, kind in KEYS.items()}, **METRIC_ROW}
    path = tmp_path / "dataset=other" / "runs.parquet"
    write_table(path, tables.from_columns("runs", columns), {})

    assert tables.read(path, "runs")["dataset"].tolist() == ["x"]


def test_empty_folder_says_run_snakemake(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"holds no metrics\.parquet; run snakemake first"):
        tables.read(tmp_path, "metrics")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"gone\.parquet: cannot be read as Parquet"):
        tables.read(tmp_path / "gone.parquet", "metrics")


def test_damaged_file_is_named(tmp_path: Path) -> None:
    path = write_metrics(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(ArtefactError, match=r"cannot be read as Parquet \(.*\); delete it and run snakemake again"):
        tables.read(tmp_path, "metrics")


def test_other_schema_names_both(tmp_path: Path) -> None:
    path = tmp_path / "metrics.parquet"
    write_table(path, tables.from_columns("train", ROWS), {})

    with pytest.raises(
        ArtefactError, match=r"has the columns \['id', 'text', 'label'\], the table 'metrics' has \['n_tr"
    ):
        tables.read(path, "metrics")


def test_other_type_of_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"id": ["a"], "text": ["b"], "label": [1]}), path)

    with pytest.raises(ArtefactError, match="the table 'train' has"):
        tables.read(path, "train")


# A part of a file at a time.


def test_open_file_is_read_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    write_table(path, tables.from_columns("train", {name: values * 5 for name, values in ROWS.items()}), {})
    with tables.open_parquet(path, "train") as file:
        batches = list(file.iter_batches(4, columns=["label"]))

    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [batch.schema.names for batch in batches] == [["label"]] * 3


def test_opening_checks_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    write_table(path, tables.from_columns("test", ROWS), {})

    told = r"test\.parquet: has the columns \['id', 'text', 'label'\], the table 'groups'"
    with pytest.raises(ArtefactError, match=told), tables.open_parquet(path, "groups"):
        pytest.fail("opened a file of another table")


@pytest.mark.parametrize("content", [None, b"", b"PAR1 PAR1"], ids=["missing", "empty", "damaged"])
def test_file_that_cannot_be_opened_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "train.parquet"
    if content is not None:
        path.write_bytes(content)

    told = r"train\.parquet: cannot be read as Parquet \(.*\); delete it and run"
    with pytest.raises(ArtefactError, match=told), tables.open_parquet(path, "train"):
        pytest.fail("opened a file that is none")


def test_damage_found_while_reading_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    write_table(path, tables.from_columns("train", ROWS), {})
    content = path.read_bytes()
    # The end, which is read first, stays whole.
    path.write_bytes(content[:4] + bytes(60) + content[64:])

    with pytest.raises(ArtefactError, match=r"train\.parquet: cannot be read as Parquet"):
        tables.read(path, "train")


def test_errors_of_others_go_through(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    write_table(path, tables.from_columns("train", ROWS), {})

    with pytest.raises(DataError, match=r"^mine$"), tables.open_parquet(path, "train"):
        raise DataError("mine")
