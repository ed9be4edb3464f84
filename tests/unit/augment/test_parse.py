from __future__ import annotations

import json
import time

import pytest
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.parse import Parsed, Place, parse_line, parse_object
from hypermix.augment.prompt import render_item
from hypermix.records import Example, Task
from hypermix.templates import one_line
from tests.unit.augment.speaker import SENTIMENT

STEADY = settings(deadline=None, derandomize=True, max_examples=200)
LINES = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda text: len(text.splitlines()) == 1 and text.strip()
)
WORDS = st.from_regex(r"[a-z0-9/äß电][a-z0-9/ .äß电-]{0,6}[a-z0-9äß电]", fullmatch=True)


def word_of(content: str, parsed: Parsed) -> tuple[str, str]:
    """What stands at the place of the label, and what leads to it."""
    assert parsed.place is not None
    raw = content.encode("utf-8", "surrogatepass")
    start, opened, end = parsed.place.start, parsed.place.opened, parsed.place.end
    return raw[opened:end].decode("utf-8", "surrogatepass"), raw[start:opened].decode("utf-8", "surrogatepass")


# Lines.


def test_text_and_label_are_read() -> None:
    found = parse_line(" a fine film (Sentiment: Positive)", SENTIMENT)

    assert found == Parsed("a fine film", "pos", Place(13, 24, 33), None)


@pytest.mark.parametrize(
    "bracket",
    ["(sentiment: positive)", "(SENTIMENT: POSITIVE)", "( Sentiment :Positive )", "(Sentiment:  Positive)"],
)
def test_case_and_spaces_of_label_are_ignored(bracket: str) -> None:
    parsed = parse_line(f" fine {bracket}", SENTIMENT)

    assert (parsed.text, parsed.label, parsed.reason) == ("fine", "pos", None)


def test_last_bracket_closes_the_text() -> None:
    parsed = parse_line(" it said (Sentiment: Positive) and lied (Sentiment: Negative)", SENTIMENT)

    assert (parsed.text, parsed.label) == ("it said (Sentiment: Positive) and lied", "neg")


def test_words_after_label_are_dropped() -> None:
    parsed = parse_line(" fine (Sentiment: Positive) and so on (1999)", SENTIMENT)

    assert (parsed.text, parsed.label) == ("fine", "pos")


@pytest.mark.parametrize(
    "text", ["the (old) film", "((", "a ) b (", "(Sentiment", "(Sentiment:", "(Sentiment: (", ":-)"]
)
def test_brackets_stay_in_the_text(text: str) -> None:
    parsed = parse_line(f" {text} (Sentiment: Positive)", SENTIMENT)

    assert (parsed.text, parsed.label) == (text, "pos")


@pytest.mark.parametrize("text", ["fine", "电影", "🎬", "é", "𝒳é电🎬", "\ud83d"], ids=ascii)
def test_word_is_found_by_its_bytes(text: str) -> None:
    completion = f" {text} (Sentiment:  Positive )"

    assert word_of(completion, parse_line(completion, SENTIMENT)) == ("  Positive", "(Sentiment:")


def test_line_ends_where_no_stop_ended_it() -> None:
    parsed = parse_line(" fine (Sentiment: Positive)\nMovie review: dull (Sentiment: Negative)", SENTIMENT)

    assert (parsed.text, parsed.label) == ("fine", "pos")
    assert parse_line("\nfine (Sentiment: Positive)", SENTIMENT) == Parsed(None, None, None, "no label")


@pytest.mark.parametrize("part", ["(Sentiment:" + " " * 200_000, "(" * 200_000, "(Sentiment:" * 20_000, "( " * 100_000])
def test_reading_takes_time_in_proportion(part: str) -> None:
    started = time.perf_counter()
    parse_line(part, SENTIMENT)
    parse_line(part + ")", SENTIMENT)

    assert time.perf_counter() - started < 2.0


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        (" a fine film", "a fine film"),
        (" a film (Sentiment: Posit", "a film (Sentiment: Posit"),
        (" a film (Label: Positive)", "a film (Label: Positive)"),
        (" a film (Sentiment Positive)", "a film (Sentiment Positive)"),
        ("", None),
        ("  ", None),
    ],
)
def test_completion_without_label_says_so(completion: str, text: str | None) -> None:
    assert parse_line(completion, SENTIMENT) == Parsed(text, None, None, "no label")


@pytest.mark.parametrize("word", ["Mixed", "pos", "positive!", "very positive", "", "neg"])
def test_word_of_no_label_is_unknown(word: str) -> None:
    assert parse_line(f" fine (Sentiment: {word})", SENTIMENT) == Parsed("fine", None, None, "unknown label")


def test_earlier_label_does_not_help() -> None:
    parsed = parse_line(" fine (Sentiment: Positive) (Sentiment: Mixed)", SENTIMENT)

    assert (parsed.label, parsed.reason) == (None, "unknown label")


def test_unknown_label_without_text_has_none() -> None:
    assert parse_line("(Sentiment: Mixed)", SENTIMENT) == Parsed(None, None, None, "unknown label")


@pytest.mark.parametrize("before", ["", " ", "\t"])
def test_label_without_text_is_refused(before: str) -> None:
    assert parse_line(f"{before}(Sentiment: Positive)", SENTIMENT) == Parsed(None, "pos", None, "empty text")


def test_label_type_is_no_pattern() -> None:
    task = Task("text", "a.b*", {"x": "yes"})

    assert parse_line(" fine (A.b*: Yes)", task).label == "x"
    assert parse_line(" fine (Axbbb: Yes)", task).reason == "no label"


@STEADY
@given(LINES, st.sampled_from(["neg", "pos"]))
@also("a (Sentiment: Positive)", "neg")
@also("(sentiment: ", "pos")
def test_rendered_item_is_read_back(text: str, label: str) -> None:
    item = render_item(Example("a-0", text, label), SENTIMENT)
    completion = item.removeprefix("Movie review:")
    parsed = parse_line(completion, SENTIMENT)

    assert (parsed.text, parsed.label, parsed.reason) == (text.strip(), label, None)
    assert word_of(completion, parsed)[0] == f" {SENTIMENT.words[label].capitalize()}"


@STEADY
@given(
    st.lists(WORDS, min_size=2, max_size=4, unique_by=str.casefold),
    st.sampled_from(["type", "question type", "a.b", "Ärger", "类型"]),
)
def test_any_label_words_are_read_back(words: list[str], label_type: str) -> None:
    task = Task("text", label_type, {str(number): word for number, word in enumerate(words)})

    for label in task.labels:
        completion = render_item(Example("a-0", "fine", label), task).removeprefix("Text:")
        assert parse_line(completion, task).label == label


@STEADY
@given(st.text())
def test_any_completion_has_row_or_reason(completion: str) -> None:
    parsed = parse_line(completion, SENTIMENT)

    assert (parsed.reason is None) == (parsed.place is not None)
    assert parsed.reason is not None or (parsed.text and parsed.label)


# JSON objects.


ITEM = '{"text": "a fine film", "label": "Positive"}'


@pytest.mark.parametrize(
    "content",
    [
        ITEM,
        f"```json\n{ITEM}\n```",
        f"Here is one {{new}} item:\n{ITEM}\nI hope {{it}} helps.",
        f'<think>Maybe {{"text": "dull", "label": "Negative"}}?</think>{ITEM}',
        f'{ITEM}\n{{"text": "dull", "label": "Negative"}}',
        f'{{"text": 3}} {ITEM}',
        '{"TEXT":"a fine film","Label":"positive"}',
        '{"why": "since", "text": "a fine film", "sure": true, "stars": 4.5e0, "label": "Positive", "more": null}',
        '{ "text" :\n"a fine\\nfilm" ,\t"label": " POSITIVE " }',
        '{"text": "a fine film", "label": "P\\u006fsitive"}',
    ],
)
def test_object_is_found_among_other_words(content: str) -> None:
    parsed = parse_object(content, SENTIMENT)

    assert (parsed.text, parsed.label, parsed.reason, parsed.label_first) == ("a fine film", "pos", None, False)


def test_label_stands_at_its_own_key() -> None:
    content = json.dumps({"text": 'he said "label": "Negative"} {"label": "Negative"}', "label": "Positive"})
    parsed = parse_object(content, SENTIMENT)

    assert (parsed.text, parsed.label) == ('he said "label": "Negative"} {"label": "Negative"}', "pos")
    assert word_of(content, parsed) == ("Positive", '"label": "')
    assert content.encode()[parsed.place.end :] == b'"}' if parsed.place else False


def test_label_before_the_text_is_marked() -> None:
    assert parse_object('{"label": "Positive", "text": "fine"}', SENTIMENT).label_first
    assert not parse_object('{"text": "fine", "label": "Positive"}', SENTIMENT).label_first


def test_label_may_be_a_number() -> None:
    task = Task("review", "stars", {"a": "1", "b": "5"})
    content = '{"text": "fine", "label": 5}'
    parsed = parse_object(content, task)

    assert (parsed.label, word_of(content, parsed)) == ("b", ("5", '"label": '))


@pytest.mark.parametrize(
    ("content", "parsed"),
    [
        ("", Parsed(None, None, None, "no item")),
        ("no JSON", Parsed("no JSON", None, None, "no item")),
        ('{"text": "fine"}', Parsed('{"text": "fine"}', None, None, "no item")),
        ('{"text": "fine", "label": "Posi', Parsed('{"text": "fine", "label": "Posi', None, None, "no item")),
        ('{"text": "\\x", "label": "Positive"}', Parsed('{"text": "\\x", "label": "Positive"}', None, None, "no item")),
        ('{"text": "fine", "label": "Mixed"}', Parsed("fine", None, None, "unknown label")),
        ('{"text": " \\n", "label": "Positive"}', Parsed(None, "pos", None, "empty text")),
        ('{"text": "", "label": "Mixed"}', Parsed(None, None, None, "unknown label")),
        ("one\ntwo", Parsed("one two", None, None, "no item")),
    ],
)
def test_content_without_item_says_why(content: str, parsed: Parsed) -> None:
    assert parse_object(content, SENTIMENT) == parsed


def test_half_a_character_becomes_a_question_mark() -> None:
    assert parse_object('{"text": "a \\ud83d b", "label": "Positive"}', SENTIMENT).text == "a ? b"


@STEADY
@given(st.text(), st.sampled_from(["neg", "pos"]), st.booleans())
@also('"}{"label": "Negative"', "pos", True)
@also("\u202eright to left\x00\x1b[0m", "neg", False)
@also("{" * 300, "pos", False)
def test_any_text_survives_the_chat_form(text: str, label: str, ascii_only: bool) -> None:
    word = SENTIMENT.words[label]
    content = json.dumps({"text": text, "label": word}, ensure_ascii=ascii_only)
    parsed = parse_object(content, SENTIMENT)
    kept = one_line(text).strip()

    assert parsed.label == label
    assert parsed.text == (kept.encode("utf-8", "replace").decode() or None)
    assert parsed.reason == (None if kept else "empty text")
    if kept:
        assert word_of(content, parsed) == (word, '"label": "')


@STEADY
@given(
    st.lists(
        st.text(min_size=1).filter(str.strip), min_size=2, max_size=4, unique_by=lambda word: word.strip().casefold()
    ),
    st.booleans(),
)
def test_any_words_survive_the_chat_form(words: list[str], ascii_only: bool) -> None:
    task = Task("text", "label", {str(place): word for place, word in enumerate(words)})
    for label, word in task.words.items():
        content = json.dumps({"text": "fine", "label": word}, ensure_ascii=ascii_only)
        assert parse_object(content, task).label == label or "\ud800" <= max(word) <= "\udfff"


@STEADY
@given(st.text(st.sampled_from('{}[]",:\\ntexlab ')) | st.text())
def test_any_content_has_item_or_reason(content: str) -> None:
    parsed = parse_object(content, SENTIMENT)

    assert (parsed.reason is None) == (parsed.place is not None)


@pytest.mark.parametrize(
    "content",
    [
        "{" * 1_000_000,
        '{"a":' * 200_000,
        '{"text": "' + "x" * 5_000_000,
        '{"text": "' + "\\" * 2_000_000,
        '{"k":"v",' * 200_000,
        '{"k":"{","k":"{",' * 100_000,
        '{"text": ' + "[" * 500_000,
        json.dumps({"text": "{é\n" * 1_000_000, "label": "Positive"}),
    ],
    ids=lambda content: ascii(content[:12]),
)
def test_objects_are_found_in_time_in_proportion(content: str) -> None:
    started = time.perf_counter()
    parse_object(content, SENTIMENT)

    assert time.perf_counter() - started < 3.0
