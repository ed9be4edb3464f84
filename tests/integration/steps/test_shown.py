from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hypermix import tables
from hypermix.files import write_table
from hypermix.steps.shown import read_fates, sample_rows


def write_draw(root: Path, augmenter: str, n: int, data_seed: int = 1) -> Path:
    """Write synthetic rows, every second of them refused."""
    key = f"dataset=rt/subsample=2s/data_seed={data_seed}/augmenter={augmenter}/trial=1"
    columns = {
        "id": [f"{augmenter}-{data_seed}-{row}" for row in range(n)],
        "text": [f"text {row}" for row in range(n)],
        "label": ["a"] * n,
        "soft_label": [[0.5, 0.5]] * n,
        "label_source": ["copied"] * n,
        "label_mass": [None] * n,
        "source_ids": [["x"]] * n,
        "llm": [None] * n,
        "request_key": [None] * n,
        "kept": [row % 2 == 0 for row in range(n)],
        "reason": [None if row % 2 == 0 else "empty" for row in range(n)],
    }
    path = root / key / "synthetic.parquet"
    write_table(path, tables.from_columns("synthetic", columns), {})
    return path


def sampled(paths: list[Path], most: int, last: list[str]) -> pd.DataFrame:
    inputs = {"synthetic": paths}
    return sample_rows(inputs, read_fates(inputs), most, last)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Write ten rows of a baseline, none of another and 30 of a method in two draws."""
    sizes = [("duplicate", 10, 1), ("none", 0, 1), ("mix", 10, 1), ("mix", 20, 2)]
    return [write_draw(tmp_path, *size) for size in sizes]


def test_all_rows_are_shown_if_they_are_few(paths: list[Path]) -> None:
    found = sampled(paths, 40, ["duplicate", "none"])
    assert len(found) == 40
    assert found["augmenter"].tolist() == ["mix"] * 30 + ["duplicate"] * 10
    assert list(found) == [key for key in tables.KEYS if key != "classifier"] + tables.schema("synthetic").names


def test_rows_are_taken_at_even_distances(paths: list[Path]) -> None:
    found = sampled(paths, 8, ["duplicate", "none"])
    whole = sampled(paths, 40, ["duplicate", "none"])
    assert found["id"].tolist() == whole["id"].tolist()[::5]


@pytest.mark.parametrize("most", [0, 1, 7])
def test_no_more_rows_than_asked(paths: list[Path], most: int) -> None:
    found = sampled(paths, most, [])
    assert len(found) == most


def test_no_rows_keep_their_columns(tmp_path: Path) -> None:
    found = sampled([write_draw(tmp_path, "none", 0)], 10, ["none"])
    assert len(found) == 0
    assert list(found)[-11:] == tables.schema("synthetic").names


def test_fates_of_all_rows_are_read(paths: list[Path]) -> None:
    found = read_fates({"synthetic": paths})
    assert list(found) == [*(key for key in tables.KEYS if key != "classifier"), "kept", "reason"]
    assert (len(found), int(found["kept"].sum())) == (40, 20)
