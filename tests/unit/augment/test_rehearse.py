from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.augment import control, gpt3mix
from hypermix.augment.base import AUGMENTERS, Material, Slot
from hypermix.records import Abilities, Choice, Completion, Example, Task
from hypermix.templates import one_line
from tests.unit.augment.playing import harvest, plan

TASK = Task("movie review", "sentiment", {"n": "negative", "p": "positive"})
EXAMPLES = [Example(str(number), f"film {number}", "np"[number % 2]) for number in range(4)]
SETTINGS = {
    "method": "gpt3mix", "examples": 2, "multiplier": 1.0, "labels": "hard", "label_source": None, "votes": 5,
    "max_tokens": 40, "temperature": 1.0, "top_p": 1.0, "frequency_penalty": 0.01, "attempts": 3,
}  # fmt: skip
FORMS = [Abilities(), Abilities(chat=True, structured=True)]


@pytest.mark.parametrize("abilities", FORMS, ids=["completions", "chat"])
@given(text=st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: one_line(text).strip()))
def test_rehearsed_answer_makes_its_row(abilities: Abilities, text: str) -> None:
    augmenter = AUGMENTERS.get("gpt3mix")(SETTINGS, Material(EXAMPLES, TASK, 1, abilities))
    answer = Completion("k", (Choice(augmenter.rehearse(Example("x", text, "p"), 0), "stop", ()),))
    row = harvest(augmenter, Slot(0, 0), [answer])
    assert (row.text, row.label, row.reason) == (one_line(text).strip(), "p", None)


@pytest.mark.parametrize(
    ("source", "abilities", "most"),
    [
        ("hard", FORMS[0], 1),
        ("logprobs", FORMS[0], 13),
        ("logprobs", FORMS[1], 1),
        ("classify", FORMS[1], 2),
        ("vote", FORMS[1], 2),
        ("vote", Abilities(chat=True, n=False), 6),
    ],
)
def test_most_requests_bound_a_talk(source: str, abilities: Abilities, most: int) -> None:
    settings = {**SETTINGS, "labels": "hard" if source == "hard" else "soft", "label_source": source}
    augmenter = AUGMENTERS.get("gpt3mix")(settings, Material(EXAMPLES, TASK, 1, abilities))
    assert augmenter.most_requests == most
    asked = 0
    answers: list[Completion] = []
    while requests := plan(augmenter, Slot(0, 0), answers):
        asked += len(requests)
        text = augmenter.rehearse(EXAMPLES[0], len(answers))
        answers += [Completion("k", (Choice(text, "stop", ()),) * request.body.get("n", 1)) for request in requests]
    assert 1 <= asked <= most


def test_controls_ask_nobody() -> None:
    for name in ("none", "duplicate", "shuffle", "real"):
        augmenter = AUGMENTERS.get(name)({"method": name, "multiplier": 1.0}, Material(EXAMPLES, TASK, 1))
        assert augmenter.most_requests == 0
        assert augmenter.rehearse(EXAMPLES[0], 0) == "film 0"


def test_methods_are_registered() -> None:
    assert control.build_none is AUGMENTERS.get("none")
    assert gpt3mix.build_gpt3mix is AUGMENTERS.get("gpt3mix")
