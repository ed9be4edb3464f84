from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.augment.reader import (
    UNLIKE_SCHEMA,
    LineReader,
    NumberedReader,
    ObjectReader,
    PatternReader,
    Reader,
    StepReader,
    unquote,
)
from hypermix.errors import AugmentError
from hypermix.records import Example, Task
from hypermix.templates import one_line

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
    return one_line(text).strip()


def speakable(text: str) -> bool:
    """Whether a text has any words, and no quotes around all of it, which a model would have put there itself."""
    said = written(text)
    return bool(said) and unquote(said) == said and not any(part in text for part in ("</think>", "<think>", "```"))


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


def test_a_pattern_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypermix.augment.reader._PATTERN_SECONDS", 0.2)  # without a bound it takes years
    with pytest.raises(AugmentError, match=r"takes longer than 0\.2 seconds on an answer; write it"):
        PatternReader(TASK, r"(?P<text>(a|aa)+)+$(?P<label>x)").read("a" * 60 + "!", "")


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


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("<think>\nOkay, the user wants", None),
        ("<think>short</think>\na fine film", "a fine film"),
        ("```\na fine film\n```", "a fine film"),
        ("```text\na fine film\n```", "a fine film"),
        ("Sure! Here is one:\n\na fine film", "a fine film"),
        ("Sure! Here is one:", "Sure! Here is one:"),
        ("one thing is sure: it is fine", "one thing is sure: it is fine"),
    ],
)
def test_what_a_chat_puts_around_a_text_is_no_text(answer: str, text: str | None) -> None:
    assert [item.text for item in LineReader().read(answer, "")] == ([text] if text else [])


def test_a_line_of_a_text_that_goes_on_may_end_with_a_colon() -> None:
    (item,) = LineReader().read(" a list of faults:\nnone", "Write: ")
    assert item.text == "a list of faults:"


@pytest.mark.parametrize(
    "answer",
    [
        'a good film." The movie review in negative sentiment is: "a bad film."',
        'a good film." The movie  review in positive sentiment is: "so is this',
        'a good film."',
    ],
)
def test_the_prompts_own_words_end_a_quotation(answer: str) -> None:
    prompt = 'The movie review in positive sentiment is: "fine"\nThe movie review in positive sentiment is: "'
    (item,) = LineReader(quoted=True).read(answer, prompt)
    assert item.text == "a good film."


SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 5}, "stars": {"type": "integer", "maximum": 5}},
    "required": ["text", "stars"],
}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"text": "a fine film", "stars": 4}', None),
        ('{"text": "a fine film", "stars": "4"}', UNLIKE_SCHEMA),
        ('{"text": "a fine film", "stars": 6}', UNLIKE_SCHEMA),
        ('{"text": "a fine film"}', UNLIKE_SCHEMA),
        ('{"text": "meh", "stars": 1}', UNLIKE_SCHEMA),
    ],
)
def test_an_object_must_fit_the_users_schema(answer: str, reason: str | None) -> None:
    (item,) = ObjectReader(TASK, given=SCHEMA).read(f"Here: {answer}", "")
    assert item.reason == reason


def test_the_schema_of_an_answer_names_the_keys_and_the_label_words() -> None:
    one = ObjectReader(TASK, "review", "mood").schema(1)
    assert one["properties"] == {
        "review": {"type": "string"},
        "mood": {"type": "string", "enum": ["Negative", "Positive"]},
    }
    assert ObjectReader(TASK).schema(3)["properties"]["items"]["items"]["required"] == ["text"]
    assert ObjectReader(TASK, given=SCHEMA).schema(1) == SCHEMA
    assert LineReader().schema(1) is None
