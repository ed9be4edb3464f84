from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.config.dataset import FileDataset, PackagedDataset
from hypermix.data.arrange import SPLITS, Arrangement, arrange
from hypermix.data.index import Index
from hypermix.data.split import carve_reference
from hypermix.errors import DataError
from tests.unit.data.test_index import Row, make_index

GOOD = [("one", "a", None), ("two", "b", None), ("three", "a", None), ("four", "b", None)]
TEST = [("five", "a", None), ("six", "b", None)]
WORDS = st.sampled_from(["one", "One ", "two", "three", "four", "five", ""])
ROWS = st.lists(st.tuples(WORDS, st.sampled_from("ab"), st.none() | st.sampled_from("ghij")), min_size=1, max_size=25)


def many(count: int, labels: str = "ab", first: int = 0) -> list[Row]:
    """Make rows that are all different, the labels in turn."""
    return [(f"text {row}", labels[row % len(labels)], None) for row in range(first, first + count)]


def settings_of(**settings: Any) -> dict[str, Any]:
    return FileDataset(source="file", train="train.csv", **settings).model_dump()


def indexes_of(**splits: Sequence[Row]) -> dict[str, Index]:
    return {name: make_index(rows, f"{name}.csv") for name, rows in splits.items()}


def arranged(splits: dict[str, Sequence[Row]], **settings: Any) -> Arrangement:
    return arrange(indexes_of(**splits), settings_of(**settings), "toy")


def positions(arrangement: Arrangement, name: str) -> list[int]:
    found: list[int] = arrangement.rows[name][1].tolist()
    return found


def held(arrangement: Arrangement, splits: dict[str, Sequence[Row]], name: str) -> list[Row]:
    source, rows = arrangement.rows[name]
    return [splits[source][row] for row in rows]


# Splits that are there.


def test_given_splits_stay_as_they_are() -> None:
    found = arranged({"train": GOOD, "validation": [("x", "a", None), ("y", "b", None)], "test": TEST})

    assert {name: (source, rows.tolist()) for name, (source, rows) in found.rows.items()} == {
        "train": ("train", [0, 1, 2, 3]),
        "validation": ("validation", [0, 1]),
        "test": ("test", [0, 1]),
    }
    assert list(found.rows) == list(SPLITS)
    assert found.labels == ["a", "b"]
    assert found.compared.tolist() == [0, 1, 2, 3]
    assert found.dropped == {"empty": 0, "duplicates": 0, "overlap": 0}
    assert found.warnings == []


def test_packaged_settings_are_enough() -> None:
    indexes = indexes_of(train=GOOD, validation=TEST, test=TEST)
    found = arrange(indexes, PackagedDataset(source="packaged").model_dump(), "rt")

    assert positions(found, "train") == [0, 1, 2, 3]


@given(ROWS, ROWS, ROWS)
def test_test_is_never_touched(train: list[Row], validation: list[Row], test: list[Row]) -> None:
    splits: dict[str, Sequence[Row]] = {"train": train, "validation": validation, "test": test}
    try:
        found = arranged(splits)
    except DataError:
        return
    assert found.rows["test"][0] == "test"
    assert positions(found, "test") == list(range(len(test)))


# Splits that are not.


@given(ROWS, st.booleans(), st.sampled_from(["keep", "drop"]), st.sampled_from(["keep", "drop"]))
def test_no_row_is_lost_or_doubled(rows: list[Row], with_test: bool, overlap: str, duplicates: str) -> None:
    splits: dict[str, Sequence[Row]] = {"train": rows, **({"test": TEST} if with_test else {})}
    try:
        found = arranged(splits, overlap=overlap, duplicates=duplicates)
    except DataError:
        return
    taken = [row for source, rows in found.rows.values() if source == "train" for row in rows.tolist()]

    assert len(taken) == len(set(taken)) == len(rows) - sum(found.dropped.values())
    assert all(positions(found, name) for name in SPLITS)
    # Neither a text of test nor a group stands on two sides.
    sides = {name: held(found, splits, name) for name in SPLITS}
    for name, other in (("train", "test"), ("validation", "test"), ("train", "validation")):
        one, two = ({row[2] for row in sides[side] if row[2]} for side in (name, other))
        assert not one & two
        if other == "test" and overlap == "drop":
            one, two = ({row[0].lower().strip() for row in sides[side]} for side in (name, other))
            assert not one & two


def test_all_splits_come_from_one_file() -> None:
    rows = many(100)
    found = arranged({"train": rows})

    # A fifth of all is test, then a fifth of the rest is validation.
    for name, count in (("train", 64), ("validation", 16), ("test", 20)):
        assert Counter(row[1] for row in held(found, {"train": rows}, name)) == {"a": count // 2, "b": count // 2}
    assert sorted(found.compared.tolist()) == sorted(positions(found, "train") + positions(found, "validation"))


def test_validation_is_limited() -> None:
    assert len(positions(arranged({"train": many(100), "test": TEST}, carve_rows=4), "validation")) == 4


def test_reference_order_is_kept() -> None:
    found = arranged({"train": many(20), "test": TEST}, carve="reference", carve_rows=4)

    assert len(positions(found, "validation")) == 4
    assert positions(found, "train") != sorted(positions(found, "train"))
    assert [row % 2 for row in positions(found, "train")] == [0] * 8 + [1] * 8


def test_reference_rows_are_kept_exactly() -> None:
    rows = many(30)
    splits = {"train": [*rows, rows[3], rows[4]], "test": rows[:9]}
    found = arranged(splits, carve="reference", carve_rows=8, overlap="keep")
    left, taken = carve_reference([row[1] for row in splits["train"]], 8)

    assert (positions(found, "train"), positions(found, "validation")) == (left, taken)
    assert positions(arranged(splits, carve="reference", carve_rows=8), "train") != left


@pytest.mark.parametrize(("carve_rows", "told"), [(40, "takes 8 rows a label"), (2, "shares 2 rows among 5 labels")])
def test_reference_that_cannot_be_is_told_with_the_file(carve_rows: int, told: str) -> None:
    with pytest.raises(DataError, match=rf"^train\.csv: carve: reference {told}"):
        arranged({"train": many(10, "abcde"), "test": TEST}, carve="reference", carve_rows=carve_rows)


def test_groups_stay_together() -> None:
    rows = [(f"text {row}", "ab"[row % 2], f"author {row // 4}" if row < 80 else None) for row in range(100)]
    found = arranged({"train": rows})
    authors = [{row[2] for row in held(found, {"train": rows}, name)} - {None} for name in SPLITS]

    assert sum(map(len, authors)) == len(set().union(*authors)) == 20
    assert all(authors)
    assert found.warnings == []
    assert len(positions(found, "test")) == 20


def test_uneven_groups_are_told() -> None:
    rows = [(f"text {row}", "ab"[row % 2], "all" if row < 90 else None) for row in range(100)]

    assert arranged({"train": rows, "test": TEST}).warnings == [
        "validation: takes 10 rows of 100 and not 20, since groups stay together"
    ]


def test_small_groups_are_enough_for_two_splits() -> None:
    rows = [(f"text {row}", "ab"[row % 2], "all" if row < 80 else None) for row in range(100)]
    found = arranged({"train": rows})

    assert [len(positions(found, name)) for name in SPLITS] == [80, 2, 18]
    assert found.warnings == ["validation: takes 2 rows of 82 and not 16, since groups stay together"]


def test_label_with_one_row_stays_in_train() -> None:
    rows = [*many(20), ("rare", "c", None)]
    found = arranged({"train": rows})

    assert found.labels == ["a", "b", "c"]
    assert 20 in positions(found, "train")
    assert found.warnings == [
        f"{name}: has no row of 'c'; train has too few rows or groups to give one away"
        for name in ("test", "validation")
    ]


def test_too_few_rows_to_carve_are_told_with_the_file() -> None:
    with pytest.raises(DataError, match=r"^train\.csv: no label has two rows \(2 in all\)"):
        arranged({"train": GOOD[:2], "test": TEST})


def test_repeated_leaves_all_rows_in_train() -> None:
    rows = [*many(9), ("", "a", None), ("text 3", "b", None), ("Text 3", "a", None)]
    found = arranged({"train": rows}, split="repeated", duplicates="drop")

    assert positions(found, "train") == [*range(9), 11]
    assert positions(found, "validation") == positions(found, "test") == []
    assert found.compared.tolist() == [*range(9), 11]
    assert found.dropped == {"empty": 1, "duplicates": 1, "overlap": 0}
    assert found.labels == ["a", "b"]


def test_arrangement_is_the_same_twice() -> None:
    rows = [(f"text {row % 70}", "abc"[row % 3], f"author {row % 17}") for row in range(90)]
    one, other = arranged({"train": rows}), arranged({"train": rows})

    assert {name: positions(one, name) for name in SPLITS} == {name: positions(other, name) for name in SPLITS}
    assert (one.warnings, one.dropped, one.labels) == (other.warnings, other.dropped, other.labels)


# Rules.

DOUBLE = [*GOOD, (" ONE", "a", None), ("two", "a", None)]


@pytest.mark.parametrize(("action", "left"), [("keep", [0, 1, 2, 3, 4, 5]), ("drop", [0, 1, 2, 3, 5])])
def test_duplicates_have_text_and_label_in_common(action: str, left: list[int]) -> None:
    found = arranged({"train": DOUBLE, "validation": TEST, "test": TEST}, duplicates=action)

    assert positions(found, "train") == left
    assert found.dropped["duplicates"] == 6 - len(left)
    assert found.warnings == [
        "train: 1 text stands there with two labels; all stay",
        f"train: 1 row of 6 repeats an earlier one (duplicates: {action})",
    ]


def test_duplicates_may_end_the_run() -> None:
    message = (
        r"^train\.csv: 1 row of 6 repeats an earlier one \(row 5\); take out what is double, or set duplicates: drop or"
    )
    with pytest.raises(DataError, match=message):
        arranged({"train": DOUBLE, "validation": TEST, "test": TEST}, duplicates="fail")


OVERLAP = {"train": GOOD, "validation": TEST, "test": [*TEST, ("ONE ", "b", None), (" two", "b", None)]}


@pytest.mark.parametrize(("action", "left"), [("keep", [0, 1, 2, 3]), ("drop", [2, 3])])
def test_overlap_is_of_texts_whatever_the_label(action: str, left: list[int]) -> None:
    found = arranged(OVERLAP, overlap=action)

    assert positions(found, "train") == left
    assert positions(found, "test") == [0, 1, 2, 3]
    assert found.compared.tolist() == [0, 1, 2, 3]
    assert found.dropped["overlap"] == 4 - len(left)
    assert found.warnings == [f"train: 2 rows of 4 stand in test, text for text (overlap: {action})"]


def test_overlap_may_end_the_run() -> None:
    message = r"^train\.csv: 2 rows of 4 stand in test, text for text \(rows 1, 2\); .* or set overlap: drop or keep$"
    with pytest.raises(DataError, match=message):
        arranged(OVERLAP, overlap="fail")


def test_many_rows_are_told_in_short() -> None:
    with pytest.raises(DataError, match=r"8 rows of 8 stand in test, text for text \(rows 1, 2, 3, 4, 5 and more\)"):
        arranged({"train": many(8), "test": many(8)}, overlap="fail")


@pytest.mark.parametrize("rule", ["overlap", "duplicates"])
def test_fail_without_a_reason_does_not(rule: str) -> None:
    assert arranged({"train": GOOD, "validation": TEST, "test": TEST}, **{rule: "fail"}).warnings == []


def test_rows_are_dropped_before_validation_is_carved() -> None:
    rows = many(40)
    found = arranged({"train": rows, "test": rows[:20]})

    assert {*positions(found, "train"), *positions(found, "validation")} == set(range(20, 40))
    assert len(positions(found, "validation")) == 4


def test_rows_that_stand_in_a_carved_test_are_dropped() -> None:
    rows = [*many(40), *many(40)]
    found = arranged({"train": rows})
    texts = {name: {row[0] for row in held(found, {"train": rows}, name)} for name in SPLITS}

    assert not texts["test"] & (texts["train"] | texts["validation"])
    assert found.dropped["overlap"] > 0
    assert sum(len(positions(found, name)) for name in SPLITS) == 80 - found.dropped["overlap"]


# Bad rows.


def test_empty_texts_are_left_out_but_of_test() -> None:
    blank = [(" ", "a", None), ("", "b", None)]
    found = arranged({"train": [*GOOD, *blank], "validation": [*TEST, *blank], "test": [*TEST, *blank[:1]]})

    assert [positions(found, name) for name in SPLITS] == [[0, 1, 2, 3], [0, 1], [0, 1, 2]]
    assert found.dropped == {"empty": 2, "duplicates": 0, "overlap": 0}
    assert found.warnings == [
        "train: 2 rows of 6 have an empty text (rows 5, 6); left out",
        "validation: 2 rows of 4 have an empty text (rows 3, 4); left out",
        "test: 1 row of 3 has an empty text (row 3); all of test stays",
    ]


def test_control_characters_are_told() -> None:
    rows = [*GOOD, ("fi\x00ve", "a", None)]

    assert arranged({"train": rows, "validation": TEST, "test": [("six\x08", "a", None), *many(1)]}).warnings == [
        "train: 1 row of 5 holds control characters (row 5); kept",
        "test: 1 row of 2 holds control characters (row 1); kept",
    ]


def test_texts_with_two_labels_are_told() -> None:
    torn = [("One", "b", None), ("two", "a", None)]

    assert arranged({"train": [*GOOD, *torn], "validation": TEST, "test": TEST}).warnings == [
        "train: 2 texts stand there with two labels; all stay"
    ]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_labels_that_differ_in_case_are_told(split: str) -> None:
    splits = {"train": GOOD, "validation": TEST, "test": TEST}
    splits[split] = [*splits[split], ("seven", "A", None)]
    message = r"^toy: the labels 'A', 'a' differ in case alone; write them alike, or join them with labels: \{A: a\}$"
    with pytest.raises(DataError, match=message):
        arranged(splits)


def test_labels_of_two_splits_are_compared() -> None:
    with pytest.raises(DataError, match="the labels 'Straße', 'strasse' differ in case alone"):
        arranged({"train": [*GOOD, ("x", "strasse", None)], "test": [("y", "Straße", None)]})


def test_label_that_train_lacks_stays() -> None:
    test = [*TEST, ("seven", "c", None), ("eight", "c", None)]
    found = arranged({"train": GOOD, "validation": [*TEST, ("nine", "0", None)], "test": test})

    assert found.labels == ["0", "a", "b", "c"]
    assert positions(found, "test") == [0, 1, 2, 3]
    assert found.warnings == [
        "validation: the label '0' stands in 1 row and in none of train; it stays and can only be got wrong",
        "test: the label 'c' stands in 2 rows and in none of train; they stay and can only be got wrong",
    ]


def test_single_class_is_told() -> None:
    with pytest.raises(DataError, match=r"^train\.csv: train has the one label 'a'; a classifier needs at least two$"):
        arranged({"train": [("x", "a", None), ("y", "a", None)], "test": TEST})


def test_name_that_no_label_takes_is_told() -> None:
    found = arranged({"train": GOOD, "validation": TEST, "test": TEST}, labels={"0": "no", "1": "a"})

    assert found.warnings == ["labels: no row has 'no'; the labels are 'a', 'b'"]


# Splits that would be empty.


def test_train_that_stands_in_test_is_told() -> None:
    message = (
        r"^train\.csv: train keeps no row, for 4 of 4 rows were left out \(overlap: 4\); .*: set overlap: keep, or name"
    )
    with pytest.raises(DataError, match=message):
        arranged({"train": GOOD, "test": [*GOOD, *TEST]})


@pytest.mark.parametrize("more", [{}, {"test": TEST}, {"validation": TEST, "test": TEST}], ids=str)
@pytest.mark.parametrize("split", ["fixed", "repeated"])
def test_train_of_empty_texts_is_told(more: dict[str, Sequence[Row]], split: str) -> None:
    with pytest.raises(
        DataError, match=r"^train\.csv: train keeps no row, for 2 of 2 rows .* \(empty: 2\); .* see which column"
    ):
        arranged({"train": [("", "a", None), (" ", "b", None)], **more}, split=split)


def test_one_label_that_is_left_is_told() -> None:
    message = (
        r"^train\.csv: train keeps rows of the label 'b' alone, for 3 of 5 rows were left out \(empty: 1, overlap: 2\)"
    )
    with pytest.raises(DataError, match=message):
        arranged({"train": [*GOOD, ("", "a", None)], "test": [("one", "a", None), ("three", "a", None)]})


def test_validation_of_empty_texts_is_told() -> None:
    message = r"^validation\.csv: all 2 texts are empty; name the column with the texts with the key text$"
    with pytest.raises(DataError, match=message):
        arranged({"train": GOOD, "validation": [("", "a", None), ("\n", "b", None)], "test": TEST})


def test_label_that_loses_its_rows_is_told() -> None:
    train = [*GOOD, ("five", "c", None), ("", "d", None), ("", "e", None)]
    found = arranged({"train": train, "validation": TEST, "test": [*TEST, ("y", "d", None)]})

    assert (
        found.warnings[-1] == "train: keeps no row of 'c', 'd', 'e' after rows were left out (empty: 2 and overlap: 1)"
    )
    # A label that no split has is no class.
    assert found.labels == ["a", "b", "d"]


# Groups and labels that are not what they seem.


def test_groups_of_given_splits_are_told() -> None:
    train = [(f"text {row}", "ab"[row % 2], f"author {row % 3}") for row in range(6)]
    found = arranged({"train": train, "test": [("x", "a", "author 1"), ("y", "b", "author 9")]}, group="author")

    assert "test: 1 row of 2 are of a group that train has too, as the source has them" in found.warnings


def test_a_group_column_without_groups_is_refused() -> None:
    with pytest.raises(DataError, match=r"train\.csv: column 'author' is empty in every row"):
        arranged({"train": many(8)}, group="author")


def test_rows_without_a_group_are_counted() -> None:
    rows = [(f"text {row}", "ab"[row % 2], f"g{row}" if row else None) for row in range(12)]

    assert "train: 1 row of 12 have no group; each is one of its own" in arranged({"train": rows}, group="g").warnings


def test_labels_that_may_be_missing_ones_are_told() -> None:
    rows = [*many(8), ("odd", "NaN", None), ("odder", "NaN", None)]

    assert "train: 'NaN' is taken for a label, in 2 rows; is it a missing one?" in arranged({"train": rows}).warnings
