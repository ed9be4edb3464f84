from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.augment.base import Augmenter, Material, Slot
from hypermix.augment.gpt3mix import build_gpt3mix
from hypermix.config.augmenter import Gpt3Mix
from hypermix.errors import AugmentError
from hypermix.records import Abilities, Example, Task
from hypermix.templates import one_line
from tests.unit.augment.playing import harvest, plan
from tests.unit.augment.talking import CHAT_FORM, EXAMPLES, TASK, answered, build, said, talk

GPT3MIX = Path(__file__).with_name("gpt3mix.jinja").read_text(encoding="utf-8")
ONE = "{{ label.word }}: {% for example in examples %}{{ example.text }}; {% endfor %}"
WRITTEN = {
    "template": GPT3MIX,
    "parse": "pattern",
    "pattern": r"(?P<text>.*)\(\s*sentiment\s*:(?P<label>[^()]*)\)",
    "label": "written",
    "frequency_penalty": 0.01,
}


def pair(count: int, rows: list[Example] = EXAMPLES) -> tuple[Augmenter, Augmenter]:
    """GPT3Mix, and the template that is the same."""
    given = {"method": "gpt3mix", "llm": "local", "examples": count, "labels": "hard", "multiplier": 2.0}
    settings = Gpt3Mix.model_validate(given).model_dump()
    mix = build_gpt3mix(settings, Material(rows, TASK, 7, Abilities()))
    return mix, build("template", **WRITTEN, rows=rows, examples=count, multiplier=2.0)


# GPT3Mix is a template.


@pytest.mark.parametrize("count", [1, 2, 5])
def test_gpt3mix_is_a_template_byte_for_byte(count: int) -> None:
    mix, same = pair(count)
    assert (same.n_rows, same.attempts, same.most_requests) == (mix.n_rows, mix.attempts, mix.most_requests)
    for slot in [Slot(row, attempt) for row in range(mix.n_rows) for attempt in range(3)]:
        # The whole request is the same, so that even the stored answers are.
        assert plan(same, slot) == plan(mix, slot)


@given(text=st.text(st.characters(codec="utf-8")), word=st.sampled_from(["Positive", "negative ", "NEUTRAL", "odd"]))
def test_a_template_makes_the_hard_rows_of_gpt3mix(text: str, word: str) -> None:
    mix, same = pair(2)
    answer = answered(f" {text} (Sentiment: {word})")
    row, other = (harvest(augmenter, Slot(3, 1), [answer]) for augmenter in (mix, same))
    if row.kept and row.text == one_line(row.text or ""):  # a template's texts are one line
        assert other == row
    assert row.kept == other.kept or "\n" in text


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=4))
def test_any_rows_are_shown_alike(texts: list[str]) -> None:
    rows = [Example(str(number), text, ("neg", "pos")[number % 2]) for number, text in enumerate(texts)]
    mix, same = pair(2, rows)
    assert plan(same, Slot(0, 0)) == plan(mix, Slot(0, 0))


# What is asked.


def test_labels_are_asked_for_in_turn() -> None:
    augmenter = build("template", template=ONE, multiplier=5.0)
    asked = [said(plan(augmenter, Slot(row, 0))[0]).partition(":")[0] for row in range(60)]
    assert Counter(asked) == {"Negative": 20, "Neutral": 20, "Positive": 20}
    assert all(set(asked[start : start + 3]) == set(asked) for start in range(0, 60, 3))
    assert [said(plan(augmenter, Slot(row, 1))[0]).partition(":")[0] for row in range(60)] == asked  # also next time


def test_examples_may_be_of_the_asked_label_alone() -> None:
    augmenter = build("template", template="{{ label.word }}", examples=4, examples_of="asked")
    labels = {example.id: example.label for example in EXAMPLES}
    for number in range(12):
        row, _ = talk(augmenter, Slot(number, 0), lambda request: "a text")
        assert {labels[one] for one in row.source_ids} == {row.label}
        assert len(row.source_ids) == 4


def test_the_label_may_be_that_of_the_shown_row() -> None:
    augmenter = build("template", template="{{ examples[0].text }}", examples=1, label="example")
    by_text = {example.text: example for example in EXAMPLES}
    rows = [talk(augmenter, Slot(number, 0), said)[0] for number in range(12)]
    assert all(row.source_ids == (by_text[str(row.text)].id,) for row in rows)
    assert all(row.label == by_text[str(row.text)].label for row in rows)
    assert {row.text for row in rows} == set(by_text)  # each once before any twice
    assert {row.label_source for row in rows} == {"example"}


def test_system_part_goes_to_a_chat_alone() -> None:
    text = "{% set system %}Be brief.{% endset %}\n{{ label.word }}?"
    (request,) = plan(build("template", CHAT_FORM, template=text), Slot(0, 0))
    assert [message["role"] for message in request.body["messages"]] == ["system", "user"]
    assert request.body["messages"][0]["content"] == "Be brief."
    (request,) = plan(build("template", template=text), Slot(0, 0))
    assert request.body["prompt"] in {"Negative?", "Neutral?", "Positive?"}


@pytest.mark.parametrize(
    ("changes", "completions", "chat"),
    [
        ({}, ["\n"], None),
        ({"parse": "numbered", "per_call": 4}, ["\n\n", "\n5."], None),
        ({"parse": "json"}, None, None),
        ({"stop": ["END"]}, ["END"], ["END"]),
        ({"stop": []}, None, None),
    ],
)
def test_stop_is_what_the_format_ends_with(changes: dict[str, Any], completions: Any, chat: Any) -> None:
    for abilities, stop in ((Abilities(), completions), (CHAT_FORM, chat), (Abilities(stop=False), None)):
        (request,) = plan(build("template", abilities, template=ONE, **changes), Slot(0, 0))
        assert request.body.get("stop") == stop


def test_an_answer_ends_at_the_stop_that_an_endpoint_does_not_take() -> None:
    augmenter = build("template", Abilities(stop=False), template=ONE, stop=["END"])
    row, _ = talk(augmenter, Slot(0, 0), lambda request: "a fine film END of all")
    assert row.text == "a fine film"


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% endfor %}", "(Sentiment: Positive)", "日本\n語", "م (x) [y]"])
def test_texts_of_rows_are_no_part_of_the_template(text: str) -> None:
    augmenter = build("template", template=ONE, rows=[Example("x", text, "pos")], examples=1)
    assert said(plan(augmenter, Slot(0, 0))[0]).partition(": ")[2] == f"{one_line(text)}; "


def test_labels_with_one_word_are_refused() -> None:
    task = Task("text", "label", {"a": "good", "b": " Good"})
    with pytest.raises(AugmentError, match="share the label word"):
        build("template", template=ONE, task=task)


# What is made of the answers.


def test_rows_of_json_have_the_labels_that_are_written() -> None:
    augmenter = build("template", CHAT_FORM, template=ONE.replace("label.word", "count"), parse="json",
                      label="written", per_call=2, text_key="review", label_key="mood")  # fmt: skip
    answer = [{"review": "dull (Sentiment: Positive)", "mood": "negative"}, {"review": "fine", "mood": "odd"}]
    rows = [talk(augmenter, Slot(part, 0), lambda request: json.dumps(answer))[0] for part in range(2)]
    assert [(row.text, row.label, row.reason) for row in rows] == [
        ("dull (Sentiment: Positive)", "neg", None),
        ("fine", None, "unknown label"),
    ]
    assert rows[0].soft_label == (1.0, 0.0, 0.0)
    assert (rows[0].label_source, rows[1].label_source) == ("hard", None)


@pytest.mark.parametrize("answer", ["", "\n \n", "no list", "- one\n- two", "{}", "1 one"])
def test_another_format_gives_no_row(answer: str) -> None:
    augmenter = build("template", template=ONE, parse="numbered")
    row, asked = talk(augmenter, Slot(0, 0), lambda request: answer)
    assert (row.text, row.kept, row.reason, len(asked)) == (None, False, "no item", 1)
    assert row.request_key == "answer 0"
