from __future__ import annotations

from collections.abc import Sequence

import pytest

from hypermix.augment.dialogue import Dialogue, ask_next, conclude
from hypermix.records import COMPLETIONS, Completion, Request
from tests.unit.augment.speaker import answered


def request(name: str) -> Request:
    return Request(COMPLETIONS, {"prompt": name}, name)


def texts(answers: Sequence[Completion]) -> str:
    return "".join(answer.text for answer in answers)


def two_rounds() -> Dialogue[str]:
    first = yield [request("one"), request("two")]
    if texts(first) == "stop":
        return "early"
    second = yield [request(f"after {texts(first)}")]
    return texts([*first, *second])


def silent() -> Dialogue[int]:
    yield from ()
    return 7


def test_requests_come_round_by_round() -> None:
    assert ask_next(two_rounds(), []) == [request("one"), request("two")]
    assert ask_next(two_rounds(), [answered("a"), answered("b")]) == [request("after ab")]
    assert ask_next(two_rounds(), [answered("a"), answered("b"), answered("c")]) == []


def test_half_answered_round_asks_for_the_rest() -> None:
    assert ask_next(two_rounds(), [answered("a")]) == [request("two")]


def test_answers_decide_what_is_asked() -> None:
    assert ask_next(two_rounds(), [answered("st"), answered("op")]) == []
    assert conclude(two_rounds(), [answered("st"), answered("op")]) == "early"


def test_outcome_needs_all_answers() -> None:
    assert conclude(two_rounds(), [answered("a"), answered("b"), answered("c")]) == "abc"
    with pytest.raises(ValueError, match="2 more answers are needed after 0"):
        conclude(two_rounds(), [])
    with pytest.raises(ValueError, match="1 more answers are needed after 2"):
        conclude(two_rounds(), [answered("a"), answered("b")])


def test_dialogue_may_ask_nothing() -> None:
    assert ask_next(silent(), []) == []
    assert conclude(silent(), []) == 7
