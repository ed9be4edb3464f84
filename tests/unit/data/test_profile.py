from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix import tables
from hypermix.data.profile import QUANTILES, Measure, measure, profile_near, profile_splits
from hypermix.errors import DataError
from tests.unit.data.test_arrange import arrange, indexes_of, settings_of
from tests.unit.data.test_index import Row

TRAIN: list[Row] = [
    ("one", "a", "ann"),
    (" ONE ", "a", "bob"),
    ("one", "b", None),
    ("two\nlines", "b", "ann"),
    ("bell \x07", "a", "eve"),
    ("", "a", "joe"),
    ("in test", "b", "max"),
]
VALIDATION: list[Row] = [("four", "a", "ann"), ("Bell \x07", "b", None), ("five", "b", "joe"), ("in test", "a", None)]
TEST: list[Row] = [
    ("In  Test", "a", "max"),
    ("in test", "a", "new"),
    ("six", "b", None),
    ("", "c", "eve"),
    ("", "c", None),
    ("\x00\r\x00", "b", None),
]


def profiled(splits: dict[str, Sequence[Row]], **settings: Any) -> list[Measure]:
    indexes = indexes_of(**splits)
    return profile_splits(indexes, arrange(indexes, settings_of(**settings), "toy"))


def of_split(lines: list[Measure], split: str) -> dict[str, float]:
    """Return the measures of a split; each stands there once."""
    found = [line for line in lines if line["split"] == split and line["label"] is None]
    assert len({line["measure"] for line in found}) == len(found)
    return {line["measure"]: line["value"] for line in found}


def of_labels(lines: list[Measure], split: str) -> dict[str, float]:
    return {line["label"]: line["value"] for line in lines if line["split"] == split and line["label"] is not None}


def test_train_is_counted_by_hand() -> None:
    lines = profiled({"train": TRAIN, "validation": VALIDATION, "test": TEST}, group="author")

    assert of_labels(lines, "train") == {"a": 3, "b": 2, "c": 0}
    assert of_split(lines, "train") == {
        "rows": 5,
        # 3, 5, 3, 9 and 6 characters, between which the quantiles are straight lines.
        "characters_q05": 3.0,
        "characters_q50": 5.0,
        "characters_q95": pytest.approx(6 + 0.8 * 3),
        "characters_max": 9.0,
        "empty": 0,
        "control": 1,
        "breaks": 1,
        "duplicates": 1,
        "two_labels": 1,
        "dropped_empty": 1,
        "dropped_duplicates": 0,
        "dropped_overlap": 1,
    }


def test_validation_is_compared_with_what_is_trained_on() -> None:
    lines = profiled({"train": TRAIN, "validation": VALIDATION, "test": TEST}, group="author")
    found = of_split(lines, "validation")

    assert of_labels(lines, "validation") == {"a": 2, "b": 2, "c": 0}
    # The rows "in test" and the author joe are no longer in train.
    assert (found["rows"], found["overlap"], found["group_overlap"]) == (4, 1, 1)
    assert (found["duplicates"], found["two_labels"], found["control"]) == (0, 0, 1)


def test_test_is_compared_with_train_before_it_lost_rows() -> None:
    lines = profiled({"train": TRAIN, "validation": VALIDATION, "test": TEST}, group="author")

    assert of_labels(lines, "test") == {"a": 2, "b": 2, "c": 2}
    assert of_split(lines, "test") == {
        "rows": 6,
        "characters_q05": 0.0,
        "characters_q50": 3.0,
        "characters_q95": pytest.approx(7 + 0.75),
        "characters_max": 8.0,
        "empty": 2,
        "control": 1,
        "breaks": 1,
        "duplicates": 2,
        "two_labels": 0,
        "overlap": 2,
        "group_overlap": 2,
    }


@pytest.mark.parametrize(("action", "dropped"), [("keep", 0), ("drop", 1)])
def test_overlap_is_told_whatever_is_done(action: str, dropped: int) -> None:
    lines = profiled({"train": TRAIN, "validation": VALIDATION, "test": TEST}, overlap=action)

    assert of_split(lines, "test")["overlap"] == 2
    assert of_split(lines, "train")["dropped_overlap"] == dropped


def test_dropped_duplicates_are_no_longer_there() -> None:
    lines = profiled({"train": TRAIN, "validation": VALIDATION, "test": TEST}, duplicates="drop")
    found = of_split(lines, "train")

    assert (found["rows"], found["duplicates"], found["dropped_duplicates"]) == (4, 0, 1)


def test_groups_are_told_only_where_there_are_any() -> None:
    rows = [(text, label, None) for text, label, _ in TRAIN]
    lines = profiled({"train": rows, "validation": VALIDATION, "test": TEST})

    assert not [line for line in lines if line["measure"] == "group_overlap"]


def test_group_aware_splits_share_no_group() -> None:
    rows = [(f"text {row}", "ab"[row % 2], f"author {row // 4}") for row in range(80)]
    lines = profiled({"train": rows})

    for split in ("validation", "test"):
        assert of_split(lines, split)["group_overlap"] == of_split(lines, split)["overlap"] == 0


def test_splits_that_are_drawn_later_are_not_compared() -> None:
    lines = profiled({"train": TRAIN}, split="repeated", group="author")

    assert of_split(lines, "train")["rows"] == 6
    for split in ("validation", "test"):
        assert of_split(lines, split) == dict.fromkeys(
            ("rows", "empty", "control", "breaks", "duplicates", "two_labels"), 0
        )


ROWS = st.lists(
    st.tuples(st.text(alphabet="aB \n\x01", max_size=3), st.sampled_from("xyz"), st.none() | st.sampled_from("gh")),
    min_size=4,
    max_size=30,
)


@given(ROWS, st.booleans())
def test_sums_of_rows_agree(rows: list[Row], repeated: bool) -> None:
    try:
        lines = profiled({"train": rows}, split="repeated" if repeated else "fixed")
    except DataError:
        return
    found = {split: of_split(lines, split) for split in ("train", "validation", "test")}

    for split, values in found.items():
        assert values["rows"] == sum(of_labels(lines, split).values())
        assert all(0 <= values[name] <= values["rows"] for name in ("empty", "control", "breaks", "duplicates"))
    lost = sum(value for name, value in found["train"].items() if name.startswith("dropped_"))
    assert sum(values["rows"] for values in found.values()) + lost == len(rows)
    assert all(math.isfinite(line["value"]) for line in lines)


def test_lengths_count_characters_and_not_bytes() -> None:
    found = of_split(profiled({"train": [("é…", "a", None), ("語語", "b", None)] * 4, "test": TEST}), "train")

    assert {found[name] for name in QUANTILES} == {2.0}


def test_profile_fits_its_table() -> None:
    lines = [*profiled({"train": TRAIN, "validation": VALIDATION, "test": TEST}), *profile_near([], 0, 5, 4)]
    table = tables.from_columns("profile", pd.DataFrame(lines))

    assert table.num_rows == len(lines)
    assert table["detail"].null_count == len(lines)


# Single lines.


def test_line_has_its_five_columns() -> None:
    assert measure("rows", 3, "train", "a") == {
        "split": "train",
        "label": "a",
        "measure": "rows",
        "value": 3.0,
        "detail": None,
    }
    assert measure("rows", 0) == {"split": None, "label": None, "measure": "rows", "value": 0.0, "detail": None}


def test_near_pairs_have_their_texts() -> None:
    lines = list(profile_near([(0.9, 'a "train" text…', "a test text")], 7, 50, 40))

    assert [(line["split"], line["measure"], line["value"]) for line in lines] == [
        ("test", "near_overlap", 7.0),
        ("test", "near_checked", 50.0),
        ("test", "near_tested", 40.0),
        ("test", "near_pair", 0.9),
    ]
    assert json.loads(lines[-1]["detail"]) == {"train": 'a "train" text…', "test": "a test text"}
    assert "…" in lines[-1]["detail"]
