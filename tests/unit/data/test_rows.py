from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.data.rows import check_labels, normalize, row_ids
from hypermix.errors import DataError

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
PAIRS = st.lists(st.tuples(st.sampled_from(["x", "y", "x\ty", "xy"]), st.sampled_from(["a", "b"])), max_size=12)


def frame(*pairs: tuple[str | None, str | None]) -> pd.DataFrame:
    return pd.DataFrame({"text": [text for text, _ in pairs], "label": [label for _, label in pairs]}, dtype="str")


def ids_of(*pairs: tuple[str | None, str | None]) -> list[str]:
    return row_ids([text for text, _ in pairs], [label for _, label in pairs])


def test_id_is_a_digest_and_number() -> None:
    assert ids_of(("fine", "pos")) == ["f8a270ced3fc8abb-0"]


def test_copies_are_numbered() -> None:
    ids = ids_of(("x", "a"), ("y", "a"), ("x", "a"), ("x", "b"), ("x", "a"))

    assert [name[-2:] for name in ids] == ["-0", "-0", "-1", "-0", "-2"]
    assert len({ids[0][:-2], ids[2][:-2], ids[4][:-2]}) == 1


@STEADY
@given(PAIRS)
def test_no_two_rows_share_an_id(pairs: list[tuple[str, str]]) -> None:
    ids = ids_of(*pairs)

    assert len(set(ids)) == len(pairs)


@STEADY
@given(PAIRS.flatmap(lambda pairs: st.tuples(st.just(pairs), st.permutations(pairs))))
def test_order_of_rows_keeps_ids(orders: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> None:
    assert sorted(ids_of(*orders[0])) == sorted(ids_of(*orders[1]))


@STEADY
@given(PAIRS)
def test_new_rows_at_end_keep_ids(pairs: list[tuple[str, str]]) -> None:
    assert ids_of(*pairs, ("new", "a"), ("x", "a"))[: len(pairs)] == ids_of(*pairs)


def test_row_without_text_has_an_id() -> None:
    assert ids_of((None, None), (None, None))[1].endswith("-1")


def test_columns_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        row_ids(["x", "y"], ["a"])


def test_new_other_row_keeps_ids() -> None:
    assert ids_of(("new", "a"), ("x", "a"))[1] == ids_of(("x", "a"))[0]


def test_text_and_label_are_not_joined() -> None:
    first, second = ids_of(("ab", "c"), ("a", "bc"))

    assert first != second


def test_ellipsis_becomes_three_dots() -> None:
    rows = normalize(frame(("well… no…", "neg")), "train")

    assert rows["text"].tolist() == ["well... no..."]
    assert rows["id"].tolist() == ids_of(("well... no...", "neg"))


def test_nothing_else_of_text_changes() -> None:
    text = " Fine,\tTHE  <br> 电影 🎬\n\u00a0film.. "

    assert normalize(frame((text, "pos")), "train")["text"].tolist() == [text]


def test_ellipsis_of_label_stays() -> None:
    assert normalize(frame(("x", "so…")), "train")["label"].tolist() == ["so…"]


@pytest.mark.parametrize("text", ["NA", "null", "nan", "None", "N/A", "0", "False"])
def test_words_for_nothing_are_texts(text: str) -> None:
    rows = normalize(frame((text, text)), "train")

    assert (rows["text"].tolist(), rows["label"].tolist()) == ([text], [text])


def test_rows_are_three_text_columns() -> None:
    given_rows = frame(("x", "a"), ("y", "b"))
    given_rows.index = pd.Index([7, 3])
    rows = normalize(given_rows, "train")

    assert list(rows.columns) == ["id", "text", "label"]
    assert list(rows.index) == [0, 1]
    assert rows["text"].tolist() == ["x", "y"]


def test_frame_of_objects_is_read() -> None:
    rows = pd.DataFrame({"text": ["x", "y"], "label": ["a", "b"]}, dtype="object")

    assert normalize(rows, "train")["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize("nothing", [None, "", "  ", "\n\t"])
def test_empty_text_is_counted_from_1(nothing: str | None) -> None:
    with pytest.raises(DataError) as caught:
        normalize(frame(("x", "a"), (nothing, "a")), "mine, train")

    assert str(caught.value) == "mine, train: an empty text in row 2; fill it in or take the row away"


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_missing_label_is_counted_from_1(nothing: str | None) -> None:
    with pytest.raises(DataError) as caught:
        normalize(frame(("x", nothing), ("y", "a")), "mine, train")

    assert str(caught.value) == "mine, train: no label in row 1; fill it in or take the row away"


def test_five_rows_are_listed() -> None:
    with pytest.raises(DataError, match=r"an empty text in row 1, 2, 3, 4, 5; fill it in"):
        normalize(frame(*[("", "a")] * 5), "train")


def test_more_rows_are_counted() -> None:
    with pytest.raises(DataError, match=r"an empty text in row 2, 3, 4, 5, 6 and 3 more; fill it in"):
        normalize(frame(("x", "a"), *[("", "a")] * 8), "train")


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(DataError) as caught:
        normalize(frame(("", "a"), ("x", None), (None, None)), "train")

    assert str(caught.value).splitlines() == [
        "train: an empty text in row 1, 3; fill it in or take the row away",
        "train: no label in row 2, 3; fill it in or take the row away",
    ]


def test_no_rows_are_an_error() -> None:
    with pytest.raises(DataError, match=r"^train: has no rows; at least one row of each label is wanted$"):
        normalize(frame(), "train")


def test_label_order_is_sorted() -> None:
    splits = {"train": frame(("x", "b"), ("y", "a"), ("z", "B")), "test": frame(("x", "a"))}

    assert check_labels(splits, "mine") == ["B", "a", "b"]


def test_single_label_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^mine: train has the one label 'a'; a classifier needs at least two$"):
        check_labels({"train": frame(("x", "a"), ("y", "a"))}, "mine")


def test_label_that_train_lacks_is_named() -> None:
    splits = {"train": frame(("x", "a"), ("y", "b")), "test": frame(("x", "c"), ("y", "a"), ("z", "C"))}

    with pytest.raises(
        DataError, match=r"^mine: test has the labels \['C', 'c'\], which train lacks; train has \['a', 'b'\]$"
    ):
        check_labels(splits, "mine")
