from __future__ import annotations

import pytest

from hypermix.augment.prompt import STOP, open_label, render_item, render_prompt, show_word
from hypermix.records import Example, Task
from hypermix.templates import one_line
from tests.unit.augment.speaker import SENTIMENT

NEWS = Task("News Headline", "CLASSIFICATION", {"Business": "business", "Sci/Tech": "Technology", "World": "WORLD"})


def example(text: str, label: str) -> Example:
    return Example(f"{text}-0", text, label)


def test_prompt_of_two_labels_is_exact() -> None:
    prompt = render_prompt([example("a fine film", "pos"), example("dull.", "neg")], SENTIMENT)

    assert prompt == (
        "Each item in the following list contains a movie review and the respective sentiment. "
        "Sentiment is one of 'negative' or 'positive'.\n"
        "\n"
        "Movie review: a fine film (Sentiment: Positive)\n"
        "Movie review: dull. (Sentiment: Negative)\n"
        "Movie review:"
    )


def test_prompt_of_three_labels_is_exact() -> None:
    prompt = render_prompt([example("Rates rise", "Business"), example("New chip", "Sci/Tech")], NEWS)

    assert prompt == (
        "Each item in the following list contains a news headline and the respective classification. "
        "Classification is one of 'business', 'technology' or 'world'.\n"
        "\n"
        "News headline: Rates rise (Classification: Business)\n"
        "News headline: New chip (Classification: Technology)\n"
        "News headline:"
    )


def test_prompt_without_rows_opens_an_item() -> None:
    assert render_prompt([], SENTIMENT).endswith("'positive'.\n\nMovie review:")


def test_labels_follow_the_label_order() -> None:
    task = Task("text", "label", {label: label for label in sorted(["c", "a", "B"])})

    assert "Label is one of 'b', 'a' or 'c'." in render_prompt([], task)


def test_shared_label_word_is_listed_once() -> None:
    task = Task("place review", "sentiment", {"neg": "negative", "pos": "positive", "very pos": "positive"})

    assert "Sentiment is one of 'negative' or 'positive'." in render_prompt([], task)


def test_single_label_word_needs_no_or() -> None:
    assert "Label is one of 'x'." in render_prompt([], Task("text", "label", {"a": "x"}))


def test_rows_keep_their_order() -> None:
    rows = [example(text, "pos") for text in "cab"]
    lines = render_prompt(rows, SENTIMENT).split("\n")

    assert lines[2:5] == [render_item(row, SENTIMENT) for row in rows]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\u2028", "\u0085", "\x0b"], ids=ascii)
def test_line_break_in_text_becomes_space(line_break: str) -> None:
    item = render_item(example(f"one{line_break}two", "pos"), SENTIMENT)

    assert item == "Movie review: one two (Sentiment: Positive)"


def test_case_of_text_is_kept() -> None:
    item = render_item(example("The BIG (Short) 电影 🎬", "pos"), SENTIMENT)

    assert item == "Movie review: The BIG (Short) 电影 🎬 (Sentiment: Positive)"


def test_types_and_word_are_capitalized() -> None:
    task = Task("question-answer PAIR", "Question Type", {"a": "New YORK"})

    assert render_item(example("x", "a"), task) == "Question-answer pair: x (Question type: New york)"


def test_every_item_is_one_line() -> None:
    prompt = render_prompt([example("a\nb\r\nc", "pos")] * 3, SENTIMENT)

    assert len(prompt.splitlines()) == 6
    assert STOP == "\n"


def test_label_of_a_text_is_opened() -> None:
    prompt = render_prompt([example("dull", "neg")], SENTIMENT)
    opened = open_label(prompt, "one\ntwo", SENTIMENT)

    assert opened == f"{prompt} one two (Sentiment:"
    # What is opened is what an item of the list looks like.
    assert f"{opened} Positive)".endswith(render_item(example("one two", "pos"), SENTIMENT))


def test_words_are_shown_as_in_items() -> None:
    assert [show_word(SENTIMENT, label) for label in SENTIMENT.labels] == ["Negative", "Positive"]
    assert show_word(Task("text", "label", {"a": "New YORK"}), "a") == "New york"


@pytest.mark.parametrize(("text", "line"), [("", ""), ("a", "a"), ("a\n\nb\n", "a  b"), ("a\r\nb\u2029c", "a b c")])
def test_lines_are_joined(text: str, line: str) -> None:
    assert one_line(text) == line
