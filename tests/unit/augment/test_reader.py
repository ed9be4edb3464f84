from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.augment.prompt import join_lines
from hypermix.augment.reader import (
    SLOW,
    LineReader,
    NumberedReader,
    ObjectReader,
    PatternReader,
    Reader,
    StepReader,
    unquote,
)
from hypermix.records import Example, Task

TASK = Task("review", "sentiment", {"neg": "negative", "pos": "positive"})
PATTERN = r"(?P<text>.*)\(\s*Sentiment\s*:(?P<label>[^()]*)\)"
HOSTILE = [
    "a fine film (Sentiment: Positive)",
    "1. this is no list",
    "3. nor this a step",
    '{"text": "inner", "label": "negative"}',
    'she said "no" and left',
    "line one\nline two\r\nline three\u2028line four",
    "مرحبا (بالعالم)",
    "你好,世界",
    "👩‍👩‍👧 !",
    "[x] {y} <|endoftext|> {{ z }}",
    "</think",
    "2)",
]
LABELLESS: dict[str, Reader] = {
    "line": LineReader(),
    "quoted": LineReader(quoted=True),
    "numbered": NumberedReader(3),
    "json": ObjectReader(TASK),
    "step": StepReader(3),
}
texts = st.text(st.characters(codec="utf-8"), min_size=1)


def written(text: str) -> str:
    return join_lines(text).strip()


def speakable(text: str) -> bool:
    """Whether a text has any words, and no quotes around all of it, which a model would have put there itself."""
    return bool(written(text)) and unquote(written(text)) == written(text) and "</think>" not in text


@pytest.mark.parametrize("kind", LABELLESS)
@given(text=st.one_of(texts, st.sampled_from(HOSTILE)).filter(speakable))
def test_what_is_written_is_read(kind: str, text: str) -> None:
    reader = LABELLESS[kind]
    prompt = 'It is: "' if kind == "quoted" else ""
    items = reader.read(reader.write(Example("x", text, "pos"), 3), prompt)
    assert {item.text for item in items} == {written(text)}
    assert len(items) == (3 if kind in {"numbered", "json"} else 1)
    assert all((item.label, item.reason) == (None, None) for item in items)


@given(text=st.one_of(texts, st.sampled_from(HOSTILE)).filter(lambda text: bool(written(text))))
def test_labels_in_json_are_the_objects_own(text: str) -> None:
    answer = json.dumps({"review": text, "kind": "POSITIVE "}, ensure_ascii=False)
    (item,) = ObjectReader(TASK, "review", "kind").read(f"Sure!\n```json\n[{answer}]\n```", "")
    assert (item.text, item.label, item.reason) == (written(text), "pos", None)


@pytest.mark.parametrize(
    "text", [text for text in HOSTILE if "\n" not in text and "\u2028" not in text and "</think" not in text]
)
def test_the_last_bracket_of_a_line_is_the_label(text: str) -> None:
    (item,) = PatternReader(TASK, PATTERN).read(f" {text} (Sentiment: negative)", "Review:")
    assert (item.text, item.label, item.reason) == (text, "neg", None)


@given(st.text(st.characters(codec="utf-8")))
def test_anything_may_be_answered(answer: str) -> None:
    for reader in [*LABELLESS.values(), PatternReader(TASK, PATTERN)]:
        for prompt in ("", "1.", 'is: "'):
            for item in reader.read(answer, prompt):
                assert (item.reason is None) <= bool(item.text)
                assert item.text is None or "\n" not in item.text


@pytest.mark.parametrize(
    ("answer", "prompt", "found"),
    [
        ("1. one\n2. two\n3. three\n4. four", "", ["one", "two", "three"]),
        (" one\n2. two", "Say it again.\n1.", ["one", "two"]),
        ("1. one\n2. two", "Say it again.\n1.", ["one", "two"]),
        (" 2. one\n2. two", "Say it again.\n1.", ["2. one", "two"]),
        ("Here you are:\n\n1) **one**\n2) two\n\nI hope this helps!", "", ["**one**", "two"]),
        ("**1.** one\n**2.** two", "", ["one", "two"]),
        ("1. one\n1. one again\n3. three\n2. two", "", ["one", "two"]),
        ('1. "one"\n2. “two”\n3. “three" ', "", ["one", "two", '“three"']),
        ("- one\n- two", "", []),
        ("1.5 stars\n1. one", "", ["one"]),
        ("<think>1. no\n2. no</think>\n1. yes", "", ["yes"]),
        ("", "", []),
    ],
)
def test_numbers_follow_each_other(answer: str, prompt: str, found: list[str]) -> None:
    assert [item.text for item in NumberedReader(3).read(answer, prompt)] == found


def test_an_empty_item_keeps_its_place() -> None:
    items = NumberedReader(3).read("1. one\n2.\n3. three", "")
    assert [(item.text, item.reason) for item in items] == [("one", None), (None, "empty text"), ("three", None)]


@pytest.mark.parametrize(
    ("answer", "prompt", "text"),
    [
        ('a fine film"', 'is: "', "a fine film"),
        ('he said "no" twice" and so on', 'is: "', 'he said "no" twice'),
        ('The movie "Gone" is fine', 'is: "', 'The movie "Gone" is fine'),
        ('The movie "Gone" is fine" and', 'is: "', 'The movie "Gone" is fine'),
        ('5" tall"', 'is: "', '5" tall'),
        ("no quote at all", 'is: "', "no quote at all"),
        ("\n\n  first\nsecond", "", "first"),
        ("<think>hm</think> done", "", "done"),
    ],
)
def test_a_quoted_line_ends_with_its_last_quote(answer: str, prompt: str, text: str) -> None:
    assert [item.text for item in LineReader(quoted=True).read(answer, prompt)] == [text]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("1. It is short.\n2. Say the contrary.\n3. A dull film.", "A dull film."),
        (" It is short.\n2. Say the contrary.\n3.\nA dull film.\nDone!", "A dull film."),
        ('3. draft\n1. x\n2. y\n3. "A dull film."', "A dull film."),
        ("1. It is short.\n2. Say the contrary.", None),
        ("13. not this", None),
    ],
)
def test_the_third_step_is_the_text(answer: str, text: str | None) -> None:
    assert [item.text for item in StepReader(3).read(answer, "")] == ([] if text is None else [text])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (" fine (Sentiment: great)", "unknown label"),
        (" (Sentiment: positive)", "empty text"),
        (" fine", None),
        (" fine (Mood: positive)", None),
    ],
)
def test_lines_that_do_not_fit_are_told_or_left_out(answer: str, reason: str | None) -> None:
    assert [item.reason for item in PatternReader(TASK, PATTERN).read(answer, "")] == ([reason] if reason else [])


def test_a_pattern_without_end_is_given_up() -> None:
    started = time.perf_counter()
    (item,) = PatternReader(TASK, r"(?P<text>(a|aa)+)+$(?P<label>x)").read("a" * 60 + "!", "")
    assert item.reason == SLOW
    assert time.perf_counter() - started < 60.0  # without a bound it takes years


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ('"a fine film"', "a fine film"),
        ("«un bon film»", "un bon film"),
        ('"No," he said, "no."', '"No," he said, "no."'),
        ("it's fine'", "it's fine'"),
        ('"', '"'),
    ],
)
def test_quotes_around_a_whole_line_are_taken_away(answer: str, text: str) -> None:
    assert [item.text for item in LineReader().read(answer, "")] == [text]
