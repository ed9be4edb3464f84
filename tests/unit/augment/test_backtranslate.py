from __future__ import annotations

import pytest

from hypermix.augment import backtranslate
from hypermix.augment.base import AUGMENTERS, Augmenter, Material
from hypermix.augment.derived import UNCHANGED
from hypermix.augment.tools import Tools
from hypermix.errors import AugmentError
from hypermix.records import Example, Task
from tests.unit.augment.playing import make_rows

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
