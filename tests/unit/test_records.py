from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hypermix.records import (
    CHAT,
    COMPLETIONS,
    DECISIONS,
    Abilities,
    Choice,
    Completion,
    Example,
    Request,
    SyntheticRow,
    Task,
    Token,
)

ROW = SyntheticRow(0, "fine", "pos", (0.1, 0.9), "logprobs", 0.8, ("a",), "key", None)
RECORDS: list[Any] = [
    Example("id", "fine", "pos"),
    Task("movie review", "sentiment", {"pos": "good"}),
    Token(b"a", -0.1, ()),
    Abilities(),
    Request(COMPLETIONS, {"prompt": "x"}, "1-0-0"),
    Choice("fine", "stop", ()),
    Completion("key", (Choice("fine", "stop", ()),)),
    ROW,
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_cannot_be_changed(record: Any) -> None:
    name = dataclasses.fields(record)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, None)


def test_labels_are_those_with_words() -> None:
    assert Task("text", "label", {"a": "x", "b": "y"}).labels == ("a", "b")


def test_row_without_reason_is_kept() -> None:
    assert ROW.kept
    assert not dataclasses.replace(ROW, reason="no label").kept


def test_completion_speaks_for_its_first_choice() -> None:
    token = Token(b"one", -0.1, ())
    found = Completion("key", (Choice("one", "length", (token,)), Choice("two", "stop", ())))

    assert (found.text, found.finish_reason, found.tokens) == ("one", "length", (token,))
    assert found.probabilities == {}


def test_apis_are_named_apart() -> None:
    assert len({CHAT, COMPLETIONS, DECISIONS}) == 3
    assert all(path.startswith("/v1/") for path in (CHAT, COMPLETIONS, DECISIONS))
