from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.report import dataset
from hypermix.report.dataset import Cells
from tests.report_data import HOSTILE, make_profile, make_words

COLUMNS = ["dataset", *tables.schema("profile").names]


def table(*lines: tuple[Any, ...], name: str = "rt") -> pd.DataFrame:
    """Make a profile of lines ``(split, label, measure, value)`` or ``(..., detail)``."""
    return pd.DataFrame([(name, *line, *[None] * (5 - len(line))) for line in lines], columns=COLUMNS)


def group(*lines: tuple[Any, ...]) -> Cells:
    (found,) = dataset.dataset_groups(table(*lines), [], {})
    return found


def found(entry: Cells, split: str) -> dict[str, str]:
    headers = [finding.header for finding in entry["shown"]]
    (line,) = [line for line in entry["lines"] if line["split"] == split]
    return dict(zip(headers, line["found"], strict=True))


@pytest.fixture(scope="module")
def groups() -> dict[str, Cells]:
    return {entry["name"]: entry for entry in dataset.dataset_groups(make_profile(), make_words(), {"rt": ["a", "b"]})}


def test_datasets_come_in_the_order_of_their_first_mention(groups: dict[str, Cells]) -> None:
    assert list(groups) == ["rt", "intents"]


def test_a_dataset_without_a_profile_still_shows_words_and_warnings() -> None:
    words = [{"dataset": "worded", "llm": None, "rows": [["a", "A", None]]}]
    entries = dataset.dataset_groups(table(), words, {"warned": ["look"]})
    assert [(entry["name"], entry["warnings"], len(entry["words"])) for entry in entries] == [
        ("warned", ["look"], 0),
        ("worded", [], 1),
    ]
    assert all(entry["lines"] == entry["notes"] == entry["pairs"] == [] for entry in entries)


def test_nothing_known_makes_no_group() -> None:
    assert dataset.dataset_groups(table(), [], {}) == []


def test_datasets_do_not_mix() -> None:
    both = pd.concat([table(("train", None, "rows", 5)), table(("train", None, "rows", 7), name="cr")])
    assert [entry["lines"][0]["rows"] for entry in dataset.dataset_groups(both, [], {})] == ["5", "7"]


def test_a_split_is_told_in_one_line(groups: dict[str, Cells]) -> None:
    line = groups["rt"]["lines"][0]
    assert (line["split"], line["drawn"], line["rows"]) == ("train", None, "8\u202f530")
    assert (line["length"], line["middle"], line["longest"]) == ("112", "38 to 201", "267")


def test_splits_stand_in_their_order_whatever_the_table_has() -> None:
    lines = [(split, None, "rows", 3) for split in ("test", "train", "validation")]
    assert [line["split"] for line in group(*lines)["lines"]] == ["train", "validation", "test"]


def test_smallest_and_largest_class_are_named(groups: dict[str, Cells]) -> None:
    line = groups["rt"]["lines"][0]
    assert line["smallest"] == {"rows": "0", "label": "mixed"}
    assert line["largest"] == {"rows": "4\u202f266", "label": "positive"}


def test_of_classes_of_one_size_the_first_is_named() -> None:
    lines = [("test", None, "rows", 6), ("test", "b", "rows", 3), ("test", "a", "rows", 3)]
    (line,) = group(*lines)["lines"]
    assert line["smallest"]["label"] == line["largest"]["label"] == "b"


def test_long_class_names_are_cut() -> None:
    (line,) = group(("train", None, "rows", 3), ("train", "x" * 500, "rows", 3))["lines"]
    assert len(line["smallest"]["label"]) < 40


def test_an_empty_split_has_no_classes_and_no_lengths() -> None:
    entry = group(
        ("train", None, "rows", 3),
        ("train", "a", "rows", 3),
        ("validation", None, "rows", 0),
        ("validation", "a", "rows", 0),
        ("test", None, "rows", 2),
        ("test", "a", "rows", 2),
    )
    line = entry["lines"][1]
    assert (line["rows"], line["smallest"], line["largest"], line["middle"]) == ("0", None, None, None)
    assert line["length"] == line["longest"] == "not defined"


def test_columns_of_zeros_are_left_out_and_told() -> None:
    entry = group(
        ("train", None, "rows", 3),
        ("train", None, "empty", 0),
        ("train", None, "duplicates", 2),
        ("train", None, "breaks", 0),
    )
    assert found(entry, "train") == {"duplicates": "2"}
    assert "None among these rows: empty texts, line breaks." in entry["notes"]


def test_what_train_lost_is_not_denied() -> None:
    entry = group(("train", None, "rows", 3), ("train", None, "empty", 0), ("train", None, "dropped_empty", 2))
    assert entry["notes"] == ["Train lost 2 rows: all had an empty text.", "None among these rows: empty texts."]


def test_what_was_not_looked_for_is_not_called_absent() -> None:
    entry = group(("train", None, "rows", 3), ("train", None, "empty", 0))
    assert entry["notes"] == ["None among these rows: empty texts."]


def test_what_is_wrong_stands_in_its_column(groups: dict[str, Cells]) -> None:
    assert found(groups["rt"], "test") == {
        "empty": "1",
        "duplicates": "0",
        "two labels": "0",
        "control characters": "1",
        "also in train": "4",
        "nearly in train": "27",
    }


def test_train_is_not_compared_with_itself(groups: dict[str, Cells]) -> None:
    cells = found(groups["rt"], "train")
    assert cells["also in train"] == cells["nearly in train"] == "–"
    assert cells["duplicates"] == "12"


def test_groups_that_stand_in_train_are_shown() -> None:
    entry = group(("train", None, "rows", 9), ("test", None, "rows", 3), ("test", None, "group_overlap", 2))
    assert found(entry, "test") == {"group in train": "2"}


@pytest.mark.parametrize("finding", dataset.FINDINGS, ids=lambda finding: finding.measure)
def test_each_finding_is_found_by_its_measure(finding: dataset.Finding) -> None:
    values = {("test", finding.measure): 1.0, ("test", "rows"): 5.0}
    assert dataset.found_in(values, ["train", "test"]) == [finding]
    assert dataset.found_in(values, ["train"]) == []


def test_legend_explains_the_columns_that_stand_there(groups: dict[str, Cells]) -> None:
    headers = [header for header, _ in dataset.legend([groups["rt"]])]
    assert headers[:2] == ["median length", "longest text"]
    assert headers[2:] == [finding.header for finding in groups["rt"]["shown"]]
    assert len(dataset.legend([groups["intents"]])) == 2
    assert all(meaning.endswith(".") for _, meaning in dataset.legend(list(groups.values())))


def test_legend_of_no_datasets_is_short() -> None:
    assert len(dataset.legend([])) == 2


def test_repeated_splits_are_drawn_anew(groups: dict[str, Cells]) -> None:
    lines = groups["intents"]["lines"]
    assert [line["split"] for line in lines] == ["all rows", "validation", "test"]
    assert [line["drawn"] for line in lines] == [None, dataset.DRAWN, dataset.DRAWN]


def test_repeated_splits_have_one_column_of_classes(groups: dict[str, Cells]) -> None:
    assert groups["intents"]["classes"]["splits"] == ["all rows"]
    assert all(len(row["counts"]) == 1 for row in groups["intents"]["classes"]["rows"])


def test_repeated_splits_are_not_called_free_of_overlap(groups: dict[str, Cells]) -> None:
    (lost, later, absent) = groups["intents"]["notes"]
    assert lost == "The data, before it was split, lost no row."
    assert later == "Texts that stand in train and test are looked for when the splits are drawn."
    assert "empty texts" in absent
    assert "train" not in absent


@pytest.mark.parametrize("present", [("train",), ("train", "validation"), ("train", "test")])
def test_splits_that_no_line_tells_of_are_not_called_drawn(present: tuple[str, ...]) -> None:
    entry = group(*[(split, None, "rows", 4 if split == "train" else 0) for split in present])
    assert [(line["split"], line["drawn"]) for line in entry["lines"]] == [(split, None) for split in present]


def test_classes_are_sorted_by_size(groups: dict[str, Cells]) -> None:
    classes = groups["rt"]["classes"]
    assert classes["splits"] == ["train", "validation", "test"]
    assert [(row["label"], row["counts"]) for row in classes["rows"]] == [
        ("positive", ["4\u202f266", "533", "531"]),
        ("negative", ["4\u202f264", "533", "533"]),
        ("mixed", ["0", "0", "3"]),
    ]


def test_a_class_that_one_split_lacks_has_no_rows_there() -> None:
    entry = group(("train", None, "rows", 1), ("test", None, "rows", 1), ("train", "a", "rows", 1))
    assert entry["classes"]["rows"] == [{"label": "a", "counts": ["1", "0"]}]


@pytest.mark.parametrize(("number", "many"), [(8, False), (9, True)])
def test_many_classes_are_marked_as_such(number: int, many: bool) -> None:
    lines = [("train", f"class {index}", "rows", 1) for index in range(number)]
    assert group(("train", None, "rows", number), *lines)["classes"]["many"] is many


def losses(**numbers: float) -> dict[tuple[str, str], float]:
    return {("train", f"dropped_{why}"): number for why, number in numbers.items()}


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({}, ""),
        ({"empty": 0.0, "duplicates": 0.0, "overlap": 0.0}, "Train lost no row."),
        ({"empty": 1.0, "overlap": 0.0}, "Train lost 1 row: it had an empty text."),
        ({"empty": 0.0, "overlap": 11.0}, "Train lost 11 rows: all stood in test, text for text."),
        ({"overlap": 4.0, "empty": 3.0}, "Train lost 7 rows: 3 had an empty text and 4 stood in test, text for text."),
        (
            {"empty": 1.0, "duplicates": 1200.0, "overlap": 2.0},
            "Train lost 1\u202f203 rows: 1 had an empty text, 1\u202f200 repeated an earlier row and 2 stood in test, "
            "text for text.",
        ),
        ({"empty": float("nan")}, ""),
    ],
)
def test_losses_are_a_sentence(numbers: dict[str, float], sentence: str) -> None:
    assert dataset.loss_sentence(losses(**numbers), "Train") == sentence


@given(st.dictionaries(st.sampled_from(["empty", "duplicates", "overlap"]), st.integers(0, 10**9), min_size=1))
def test_losses_name_their_sum_and_each_reason(numbers: dict[str, int]) -> None:
    sentence = dataset.loss_sentence(losses(**numbers), "Train").replace("\u202f", "")
    total = sum(numbers.values())
    assert sentence.startswith(f"Train lost {total or 'no'} row")
    alone = {total: "it" if total == 1 else "all"}
    assert all(f" {alone.get(number, number)} " in sentence for number in numbers.values() if number)
    assert sentence.endswith(".")
    assert " 0 " not in sentence


@pytest.mark.parametrize("checked", [100.0, 101.0, None])
def test_a_whole_search_needs_no_word(checked: float | None) -> None:
    # Four test rows stand in train, text for text, and are not looked for again.
    values = {("train", "rows"): 100.0, ("test", "rows"): 100.0, ("test", "overlap"): 4.0}
    if checked is not None:
        values |= {("test", "near_checked"): checked, ("test", "near_tested"): checked - 4}
    assert dataset.thinned_sentence(values) == ""


def test_a_search_of_some_rows_is_told(groups: dict[str, Cells]) -> None:
    sentence = dataset.thinned_sentence({("train", "rows"): 560000.0, ("test", "near_checked"): 50000.0})
    assert "50\u202f000 of 560\u202f000 train rows were compared" in sentence
    told = "4\u202f265 of 8\u202f530 train rows and 496 of 1\u202f063 test rows were compared"
    assert any(told in note for note in groups["rt"]["notes"])


def near(alike: float, train: str = "a", test: str = "b") -> tuple[float, str]:
    return alike, json.dumps({"train": train, "test": test})


def test_pairs_are_shown_most_alike_first_and_at_most_five() -> None:
    pairs = dataset.near_pairs("rt", [near(0.75 + index / 100, str(index)) for index in range(8)])
    assert [pair["train"] for pair in pairs] == ["7", "6", "5", "4", "3"]
    assert pairs[0] == {"alike": "82.0", "train": "7", "test": "b"}


def test_pairs_know_how_many_there_are(groups: dict[str, Cells]) -> None:
    assert (len(groups["rt"]["pairs"]), groups["rt"]["n_near"]) == (3, "27")
    assert groups["intents"]["pairs"] == []


def test_control_characters_of_pairs_are_seen(groups: dict[str, Cells]) -> None:
    assert "reversed␀␛[31m" in groups["rt"]["pairs"][1]["test"]


@pytest.mark.parametrize("detail", [None, "", "{", "[]", "3", '"text"', '{"train": "a"}', '{"train": 1, "test": "b"}'])
def test_a_pair_without_texts_is_an_error(detail: str | None) -> None:
    with pytest.raises(ArtefactError, match=r"dataset 'rt'.*near_pair.*run prepare again"):
        dataset.near_pairs("rt", [(0.9, detail)])


def test_a_pair_without_texts_in_a_profile_is_an_error() -> None:
    with pytest.raises(ArtefactError, match="run prepare again"):
        group(("test", None, "near_pair", 0.9))


@given(st.text(), st.text())
def test_any_texts_make_a_pair(train: str, test: str) -> None:
    (pair,) = dataset.near_pairs("rt", [near(1.0, train, test)])
    assert (pair["train"], pair["test"]) == (dataset.visible(train), dataset.visible(test))


def worded(*rows: list[Any], llm: str | None = "local") -> Cells:
    return dataset.word_table({"dataset": "rt", "llm": llm, "rows": rows})


def test_the_first_token_stands_apart() -> None:
    (row,) = worded(["neg", "Negative", [" Neg", "at", "ive"]])["rows"]
    assert row == {"label": "neg", "word": "Negative", "count": "3", "first": "␣Neg", "others": ["at", "ive"]}


def test_tokens_show_spaces_and_line_ends() -> None:
    (row,) = worded(["a", "A", ["\n", " \t", "\ufffd"]])["rows"]
    assert [row["first"], *row["others"]] == ["␊", "␣␉", "\ufffd"]


def test_tokens_that_do_not_spell_the_word_have_no_first() -> None:
    (row,) = worded(["a", "A", []])["rows"]
    assert (row["count"], row["first"], row["others"]) == ("0", None, [])


def test_words_without_a_tokenizer_say_so() -> None:
    told = worded(["a", "A", None], ["b", "B", None], llm=None)
    assert told["llm"] is None
    assert not told["has_tokens"]
    assert told["summary"].startswith("No tokenizer is at hand")
    assert told["rows"][0]["count"] is None


@pytest.mark.parametrize(
    ("tokens", "summary"),
    [
        ([[" A"], [" B"]], "No word is more than one token."),
        ([[" A", "a"], [" B"]], "1 of 2 words is more than one token long."),
        ([[" A", "a"], [" B", "b"]], "2 of 2 words are more than one token long."),
    ],
)
def test_summary_counts_the_long_words(tokens: list[list[str]], summary: str) -> None:
    assert worded(*[[str(index), str(index), pieces] for index, pieces in enumerate(tokens)])["summary"] == summary


def test_each_model_has_its_table(groups: dict[str, Cells]) -> None:
    assert [table["llm"] for table in groups["rt"]["words"]] == ["local", "luna"]
    assert [len(table["rows"]) for table in groups["intents"]["words"]] == [77]


@given(st.lists(st.text(min_size=1), max_size=5))
def test_no_token_is_lost(tokens: list[str]) -> None:
    (row,) = worded(["a", "A", tokens])["rows"]
    assert row["count"] == str(len(tokens))
    assert [len(token) for token in [row["first"] or "", *row["others"]]] == [len(token) for token in tokens or [""]]


@given(st.text())
def test_visible_text_has_no_control_character(text: str) -> None:
    shown = dataset.visible(text)
    assert len(shown) == len(text)
    assert not any((ord(character) < 0x20 and character not in "\t\n") or character == "\x7f" for character in shown)
    assert dataset.visible(shown) == shown


def test_ordinary_text_stays_as_it_is() -> None:
    assert dataset.visible(HOSTILE) == HOSTILE
    assert dataset.visible("line\n\tnext") == "line\n\tnext"
