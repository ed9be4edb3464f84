from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.form import MOST_LOGPROBS, ChatForm, CompletionsForm, show_items
from hypermix.augment.prompt import open_label, render_prompt
from hypermix.records import CHAT, COMPLETIONS, Abilities, Example, Task
from tests.unit.augment.speaker import EXAMPLES, SENTIMENT

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
FULL = Abilities(chat=True, structured=True)
NEWS = Task("news headline", "classification", {"a": "sci/tech", "b": "world", "c": "worldwide"})


def completions(task: Task = SENTIMENT, **abilities: object) -> CompletionsForm:
    return CompletionsForm(task, Abilities(**abilities))  # type: ignore[arg-type]


def chat(task: Task = SENTIMENT, **abilities: object) -> ChatForm:
    return ChatForm(task, Abilities(chat=True, **abilities))  # type: ignore[arg-type]


def test_each_form_has_its_api() -> None:
    assert (completions().path, chat().path) == (COMPLETIONS, CHAT)


def test_forms_ask_for_log_probabilities() -> None:
    assert completions().logprobs == {"logprobs": MOST_LOGPROBS} == {"logprobs": 20}
    assert chat(logprobs=100).logprobs == {"logprobs": True, "top_logprobs": 20}
    assert (completions(logprobs=5).logprobs, chat(logprobs=5).logprobs["top_logprobs"]) == ({"logprobs": 5}, 5)


# Completions.


def test_row_is_asked_for_by_the_prompt() -> None:
    assert completions().ask_item(EXAMPLES[:2]) == {"prompt": render_prompt(EXAMPLES[:2], SENTIMENT), "stop": ["\n"]}
    assert "stop" not in completions(stop=False).ask_item(EXAMPLES[:2])


def test_label_is_asked_for_by_an_open_bracket() -> None:
    assert completions().ask_label(EXAMPLES[:1], "a fine\nfilm", 1) == {
        "prompt": (
            "Each item in the following list contains a movie review and the respective sentiment. "
            "Sentiment is one of 'negative' or 'positive'.\n"
            "\n"
            "Movie review: text 0 (Sentiment: Negative)\n"
            "Movie review: a fine film (Sentiment:"
        ),
        "max_tokens": 10,
        "stop": ["\n"],
    }


def test_label_may_take_a_token_a_byte() -> None:
    body = completions(Task("text", "type", {"a": "电影", "b": "x"}), max_tokens="max_completion_tokens").ask_label(
        [], "", 1
    )

    assert body["max_completion_tokens"] == len("电影".encode()) + 2


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" Positive)", "pos"),
        (" positive", "pos"),
        (" Negative) and more", "neg"),
        (" Negative)\nMovie review: x (Sentiment: Positive)", "neg"),
        (" Pos", None),
        ("", None),
        (" Mixed)", None),
        ("\nPositive)", None),
    ],
)
def test_label_is_read_up_to_the_bracket(text: str, label: str | None) -> None:
    assert completions().read_label(text) == label


def test_longer_word_is_no_vote_for_a_shorter_one() -> None:
    assert [completions(NEWS).read_label(text) for text in (" World)", " Worldwide)", " World")] == ["b", "c", None]


def test_prompt_of_a_label_continues_that_of_a_row() -> None:
    prompt = completions().ask_item(EXAMPLES[:3])["prompt"]

    assert completions().ask_label(EXAMPLES[:3], "fine", 1)["prompt"] == open_label(prompt, "fine", SENTIMENT)


# Chat.


def test_chat_request_is_whole() -> None:
    shown = [Example("a", "a dull\nfilm", "neg"), Example("b", 'so "good"', "pos")]

    assert chat(structured=True).ask_item(shown) == {
        "messages": [
            {
                "role": "system",
                "content": (
                    "Each item in the following list contains a movie review and the respective sentiment. "
                    "Sentiment is one of 'negative' or 'positive'. "
                    "The user shows items, one JSON object a line. Write one new item for the list: answer with one "
                    'JSON object {"text": ..., "label": ...} and nothing else. "text" is a new movie review in the '
                    'manner of the others, "label" is its sentiment: one of "Negative", "Positive".'
                ),
            },
            {
                "role": "user",
                "content": (
                    '{"text": "a dull film", "label": "Negative"}\n{"text": "so \\"good\\"", "label": "Positive"}'
                ),
            },
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "item",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "label": {"type": "string", "enum": ["Negative", "Positive"]},
                    },
                    "required": ["text", "label"],
                    "additionalProperties": False,
                },
            },
        },
    }


def test_schema_puts_the_text_first() -> None:
    schema = chat(structured=True).ask_item([])["response_format"]["json_schema"]["schema"]

    assert list(schema["properties"]) == schema["required"] == ["text", "label"]


def test_without_schema_the_messages_are_the_same() -> None:
    body = chat().ask_item(EXAMPLES[:2])

    assert body == {"messages": chat(structured=True).ask_item(EXAMPLES[:2])["messages"]}


def test_chat_asks_for_the_letter_of_a_label() -> None:
    shown = [Example("a", "Rates\nrise", "b"), Example("b", "New chip", "a")]

    assert chat(NEWS, max_tokens="max_completion_tokens").ask_label(shown, "Peace talks", 1) == {
        "messages": [
            {
                "role": "system",
                "content": (
                    "The user shows one news headline at a time. Answer with the letter of its classification and "
                    "nothing else.\nA: Sci/tech\nB: World\nC: Worldwide"
                ),
            },
            {"role": "user", "content": "Rates rise"},
            {"role": "assistant", "content": "B"},
            {"role": "user", "content": "New chip"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "Peace talks"},
        ],
        "max_completion_tokens": 1,
    }


@pytest.mark.parametrize(
    ("text", "label"), [("B", "b"), (" c", "c"), ("A.", "a"), ("a)", "a"), ("D", None), ("", None), ("A film", None)]
)
def test_letter_is_read(text: str, label: str | None) -> None:
    assert chat(NEWS).read_label(text) == label


def test_chat_reads_objects_and_completions_read_lines() -> None:
    content = '{"text": "fine", "label": "Positive"}'

    assert chat().parse(content).label == "pos"
    assert completions().parse(content).reason == "no label"


def test_items_are_one_json_line_each() -> None:
    lines = show_items([Example("a", "电影\u2028é", "pos"), Example("b", "x", "neg")], SENTIMENT).split("\n")

    assert lines[0] == '{"text": "电影 é", "label": "Positive"}'
    assert len(lines) == 2


@STEADY
@given(st.text(), st.sampled_from(["neg", "pos"]))
def test_shown_items_are_read_as_answers_are(text: str, label: str) -> None:
    line = show_items([Example("a", text, label)], SENTIMENT)
    parsed = chat().parse(line)

    assert parsed.label == label
    assert json.loads(line)["text"].strip().encode("utf-8", "replace").decode() == (parsed.text or "")
