from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hypermix import __version__, tables
from hypermix.errors import ArtefactError
from hypermix.files import write_table
from hypermix.hashing import file_digest
from hypermix.steps.provenance import Evidence, describe, merge_slices

ROWS = {"id": ["a-0"], "text": ["fine"], "label": ["positive"]}


def write_rows(path: Path, provenance: dict[str, Any]) -> Path:
    write_table(path, tables.from_columns("train", ROWS), provenance)
    return path


def test_stage_joins_slices_of_inputs(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.parquet", {"slices": {"prepare": {"a": 1}}})
    other = write_rows(tmp_path / "other.parquet", {"slices": {"prepare": {"a": 1}, "subsample": {"b": 2}}})
    made = describe("train", '{"c":3}', {"trial": 7}, {"one": one, "other": other})
    assert made == {
        "hypermix": __version__,
        "keys": {"trial": 7},
        "inputs": {"one": file_digest(one), "other": file_digest(other)},
        "slices": {"prepare": {"a": 1}, "subsample": {"b": 2}, "train": {"c": 3}},
    }


def test_more_facts_are_kept(tmp_path: Path) -> None:
    made = describe("train", "{}", {}, {}, labels=["no", "yes"], run={"steps": 3})
    assert made["labels"] == ["no", "yes"]
    assert made["run"] == {"steps": 3}


def test_place_of_inputs_is_not_told(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "a" / "train.parquet", {"slices": {}})
    other = write_rows(tmp_path / "b" / "train.parquet", {"slices": {}})
    assert describe("train", "{}", {}, {"train": one}) == describe("train", "{}", {}, {"train": other})


def test_other_kinds_of_file_have_no_slices(tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("text,label\n", encoding="utf-8")
    made = describe("prepare", "{}", {}, {"source": source})
    assert made["slices"] == {"prepare": {}}
    assert made["inputs"] == {"source": file_digest(source)}


def test_artefact_without_slices_adds_none(tmp_path: Path) -> None:
    assert merge_slices([write_rows(tmp_path / "one.parquet", {"keys": {}})]) == {}


def test_missing_input_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"gone.parquet: cannot be read as Parquet"):
        describe("train", "{}", {}, {"train": tmp_path / "gone.parquet"})


def test_evidence_holds_what_files_say_and_their_checksums(tmp_path: Path) -> None:
    said = {"keys": {"dataset": "rt"}, "slices": {"prepare": {"a": 1}}, "labels": ["no", "yes"]}
    paths = [
        write_rows(tmp_path / f"{name}.parquet", {**said, "run": name, "inputs": {"x": "0"}}) for name in ("one", "two")
    ]
    evidence = Evidence()
    tables.read(paths, "train", look=evidence)
    assert evidence.made == {path: {**said, "run": path.stem} for path in paths}
    assert evidence.digests == {path: file_digest(path) for path in paths}


def test_what_files_say_alike_is_kept_once(tmp_path: Path) -> None:
    said = {"keys": {"dataset": "rt"}, "slices": {"prepare": {"a": 1}}, "labels": ["no", "yes"]}
    paths = [write_rows(tmp_path / f"{name}.parquet", said) for name in ("one", "two")]
    evidence = Evidence()
    tables.read(paths, "train", look=evidence)
    one, two = (evidence.made[path] for path in paths)
    assert one["labels"] is two["labels"]
    assert one["slices"]["prepare"] is two["slices"]["prepare"]


def test_a_file_that_says_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(tables.from_columns("train", ROWS), path)
    with pytest.raises(ArtefactError, match="not written by HyperMix"):
        tables.read(path, "train", look=Evidence())
