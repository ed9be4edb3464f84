from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.errors import ArtefactError
from hypermix.report.browse import browsable_rows, inert_json
from tests.report_data import HOSTILE, make_synthetic

LABELS = {"rt": ["negative", "positive"]}


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_any_text_survives_and_is_inert(value: object) -> None:
    text = inert_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


def test_lone_surrogates_can_be_written() -> None:
    assert json.loads(inert_json("a\ud800b").encode("utf-8")) == "a?b"


def test_hostile_text_is_kept_whole() -> None:
    rows = json.loads(inert_json(browsable_rows(make_synthetic(), LABELS)))
    assert rows[0]["text"] == HOSTILE
    assert len(rows[1]["text"]) == 10000


def test_no_rows_give_empty_list() -> None:
    assert browsable_rows(make_synthetic(0), LABELS) == []


def test_soft_label_is_likeliest_first() -> None:
    for row in browsable_rows(make_synthetic(), LABELS):
        if row["kept"]:
            (first, high), (_, low) = row["soft_label"]
            assert high >= low
            assert first == row["label"]


def test_rejected_rows_keep_their_reason() -> None:
    rejected = [row for row in browsable_rows(make_synthetic(), LABELS) if not row["kept"]]
    assert {row["reason"] for row in rejected} == {"no label", "duplicate"}
    assert all(row["soft_label"] is None and row["label_mass"] is None for row in rejected)


def test_large_seeds_stay_exact() -> None:
    assert browsable_rows(make_synthetic(1), LABELS)[0]["data_seed"] == "4611686018427387905"


def test_sources_are_counted() -> None:
    rows = make_synthetic(2)
    rows["source_ids"] = pd.Series([["a", "b"], None])
    assert [row["sources"] for row in browsable_rows(rows, LABELS)] == [2, 0]


def test_missing_column_is_named() -> None:
    with pytest.raises(ArtefactError, match=r"lack the columns \['reason'\]"):
        browsable_rows(make_synthetic().drop(columns="reason"), LABELS)


def test_dataset_without_labels_is_named() -> None:
    with pytest.raises(ArtefactError, match="rows of the dataset 'rt' and no labels for it"):
        browsable_rows(make_synthetic(), {})


def test_other_label_count_is_named() -> None:
    with pytest.raises(
        ArtefactError, match=r"'rt' has 2 probabilities, its label order has 3 labels: \['a', 'b', 'c'\]"
    ):
        browsable_rows(make_synthetic(), {"rt": ["a", "b", "c"]})
