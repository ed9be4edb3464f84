"""The key of a request: whatever could change the answer changes it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.llm.store import request_key
from tests.integration.llm.storing import BODIES, BODY, IDENTITY, KEY, PATH, QUESTION, STEADY, VALUES, as_json


@STEADY
@given(BODIES, VALUES, st.data())
def test_any_changed_value_changes_key(body: dict[str, Any], value: object, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(body)))
    changed = {**body, name: value}
    equal = request_key(IDENTITY, PATH, body, "0") == request_key(IDENTITY, PATH, changed, "0")
    assert equal == (as_json(body) == as_json(changed))


@STEADY
@given(BODIES, st.text(), VALUES)
def test_any_added_setting_changes_key(body: dict[str, Any], name: str, value: object) -> None:
    fewer = {key: part for key, part in body.items() if key != name}
    assert request_key(IDENTITY, PATH, {**fewer, name: value}, "0") != request_key(IDENTITY, PATH, fewer, "0")


@STEADY
@given(BODIES, st.randoms(use_true_random=False))
def test_order_of_settings_is_nothing(body: dict[str, Any], random: Any) -> None:
    names = list(body)
    random.shuffle(names)
    shuffled = {name: body[name] for name in names}
    assert request_key(IDENTITY, PATH, shuffled, "0") == request_key(IDENTITY, PATH, body, "0")


@STEADY
@given(st.text(), st.text())
def test_each_sample_has_its_key(one: str, other: str) -> None:
    equal = request_key(IDENTITY, PATH, BODY, one) == request_key(IDENTITY, PATH, BODY, other)
    assert equal == (one == other)


@pytest.mark.parametrize(
    ("identity", "path"),
    [
        ({"model_sha256": "cd" * 32}, PATH),
        ({"base_url": "ab" * 32}, PATH),
        ({**IDENTITY, "quantization": "q4"}, PATH),
        (IDENTITY, "/v1/chat/completions"),
    ],
)
def test_other_model_or_path_changes_key(identity: dict[str, str], path: str) -> None:
    assert request_key(identity, path, BODY, "42-0-0") != KEY


def test_key_stays_what_it_was() -> None:
    # Answers that were paid for stay found only while this digest stays.
    assert request_key({"model_sha256": "0"}, PATH, {"prompt": "x"}, "1-0-0") == PINNED


PINNED = "3524b2d59ab6db660e2ea3a48a1c2d782d43d0c6e69de3632639558cf09e9307"


def test_question_has_its_key() -> None:
    assert QUESTION.key == KEY
