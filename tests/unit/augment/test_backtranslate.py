from __future__ import annotations

import pytest

from hypermix.augment import backtranslate
from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.derived import UNCHANGED
from hypermix.augment.tools import Tools
from hypermix.errors import AugmentError
from hypermix.records import Abilities, Example, Request, Task
from tests.unit.augment.playing import harvest, make_rows, plan
from tests.unit.augment.speaker import answered

TASK = Task("text", "label", {"a": "x", "b": "y"})
EXAMPLES = [Example("one", "first text", "a"), Example("two", "second text", "b")]
assert backtranslate  # imported for what it registers


def augmenter(multiplier: float = 1.0, seed: int = 3, answer: str = "{} again by {}") -> Augmenter:
    tools = Tools(translate=answer.format)
    made = {"by": "marian", "multiplier": multiplier, "attempts": 2}
    return AUGMENTERS.get("backtranslate")(made, Material(EXAMPLES, TASK, seed, tools=tools))


def test_each_slot_has_a_seed_of_its_own() -> None:
    texts = [str(row.text) for row in make_rows(augmenter(4.0))]
    assert len({text.rsplit(" ", 1)[1] for text in texts}) == 8
    assert texts == [row.text for row in make_rows(augmenter(4.0))]
    assert set(texts).isdisjoint(str(row.text) for row in make_rows(augmenter(4.0, seed=4)))


def test_seeds_are_what_torch_takes() -> None:
    assert all(0 <= int(str(row.text).rsplit(" ", 1)[1]) < 2**63 for row in make_rows(augmenter(20.0)))


def test_a_row_has_the_label_and_the_id_of_its_source() -> None:
    found = {(str(row.text).split()[0], row.label, row.source_ids) for row in make_rows(augmenter(3.0))}
    assert found == {("first", "a", ("one",)), ("second", "b", ("two",))}


@pytest.mark.parametrize("answer", ["{}", " {}  ", ""])
def test_what_comes_back_as_it_was_or_empty_is_no_row(answer: str) -> None:
    assert {row.reason for row in make_rows(augmenter(answer=answer))} == {UNCHANGED}


def test_without_models_it_is_not_built() -> None:
    with pytest.raises(AugmentError, match="backtranslate asks translation models, and none are at hand"):
        AUGMENTERS.get("backtranslate")({"by": "marian", "multiplier": 1.0, "attempts": 1}, Material(EXAMPLES, TASK, 1))


# By a language model.

ASKING = {
    "by": "llm",
    "language": "English",
    "pivot": "Finnish",
    "multiplier": 1.0,
    "attempts": 2,
    "max_tokens": 40,
    "temperature": 0.9,
    "top_p": 1.0,
    "frequency_penalty": 0.0,
}
FORMS = pytest.mark.parametrize("abilities", [Abilities(), Abilities(chat=True)], ids=["completions", "chat"])


def asking(abilities: Abilities) -> Augmenter:
    return AUGMENTERS.get("backtranslate")(ASKING, Material(EXAMPLES, TASK, 3, abilities))


def said(request: Request) -> str:
    return str(request.body["prompt"] if "prompt" in request.body else request.body["messages"][-1]["content"])


@FORMS
def test_a_language_model_is_asked_there_and_back(abilities: Abilities) -> None:
    augmenter = asking(abilities)
    (there,) = plan(augmenter, Slot(0, 0))
    source = next(example for example in EXAMPLES if example.text in said(there))
    assert said(there).index("English") < said(there).index("Finnish")
    (back,) = plan(augmenter, Slot(0, 0), [answered("suomeksi")])
    assert "suomeksi" in said(back)
    assert said(back).index("Finnish") < said(back).index("English")
    assert source.text not in said(back)
    row = harvest(augmenter, Slot(0, 0), [answered("suomeksi"), answered(" a new text\n", key="second")])
    assert (row.text, row.label, row.source_ids) == ("a new text", source.label, (source.id,))
    assert (row.label_source, row.request_key, row.reason) == ("source", "second", None)
    assert augmenter.most_requests == 2


@FORMS
def test_what_a_language_model_does_not_say_makes_no_row(abilities: Abilities) -> None:
    augmenter = asking(abilities)
    first = harvest(augmenter, Slot(0, 0), [answered("", key="one")])
    assert (first.kept, first.request_key) == (False, "one")
    second = harvest(augmenter, Slot(0, 0), [answered("suomeksi"), answered("cut", finish_reason="length")])
    assert second.reason == "cut off"
    source = next(example for example in EXAMPLES if example.id in second.source_ids)
    assert harvest(augmenter, Slot(0, 0), [answered("x"), answered(source.text)]).reason == UNCHANGED


@FORMS
def test_slots_and_tries_ask_with_seeds_of_their_own(abilities: Abilities) -> None:
    asked = [plan(asking(abilities), slot)[0].body["seed"] for slot in (Slot(0, 0), Slot(1, 0), Slot(0, 1))]
    assert len(set(asked)) == 3


@FORMS
def test_rehearsed_answers_make_a_row(abilities: Abilities) -> None:
    augmenter = asking(abilities)
    other = Example("x", "another\ntext", "a")
    answers = [answered(augmenter.rehearse(other, turn)) for turn in range(2)]
    assert harvest(augmenter, Slot(0, 0), answers).text == "another text"
