"""What all sources of a label have in common."""

from __future__ import annotations

import math

import pytest

from hypermix.augment.source import SOURCES
from hypermix.records import COMPLETIONS, Request
from tests.unit.augment.sources import ROW, build, harvest, plan
from tests.unit.augment.speaker import answered, reply, speak, write_row


def test_hard_labels_ask_nothing() -> None:
    row = harvest(build("hard"), ROW)

    assert plan(build("hard"), ROW) == []
    assert (row.soft_label, row.label_source, row.label_mass) == ((0.0, 1.0), "hard", 1.0)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_unusable_row_asks_no_more(source: str) -> None:
    augmenter = build(source, echo=True)
    unusable = answered(" fine (Sentiment: Mixed)")

    assert plan(augmenter, unusable) == []
    assert harvest(augmenter, unusable).reason == "unknown label"


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_requests_name_their_slot(source: str) -> None:
    augmenter = build(source, echo=True)
    speech = {"": {" Positive": 0.5, " Neg": 0.4}}
    answers = [write_row(speech, " Positive")]
    names = {request.sample for request in [*plan(augmenter), *plan(augmenter, *answers)]}

    assert all(name == "7-3-1" or name.startswith("7-3-1-") for name in names)
    assert plan(augmenter, *answers) == plan(build(source, echo=True), *answers)


def test_model_of_these_tests_answers_what_it_is_asked() -> None:
    request = Request(COMPLETIONS, {"prompt": "x (Sentiment: Neg"}, "")
    speech = {" Neg": {"ative": 0.5, "x": 0.2}}

    assert reply(speech, request).text == "ative"
    assert speak(speech, " Neg", ["ative"])[0].top == ((b"ative", math.log(0.5)), (b"x", math.log(0.2)))
