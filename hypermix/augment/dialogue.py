"""Talking to a language model in several steps, written down once and replayed.

What to ask next may depend on what was answered. A dialogue says both in one generator: it yields requests, gets their
answers in the same order, and returns what it found out. Planning and harvesting replay it from its beginning with the
answers so far, so nothing needs to be remembered between them, and a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hypermix.records import Completion, Request

T = TypeVar("T")
Dialogue = Generator[list[Request], Sequence[Completion], T]
"""Yields requests that may be asked at once, is sent their answers, and returns what was found out."""


@dataclass(frozen=True)
class Ended(Generic[T]):
    """A dialogue that asks no more.

    Attributes:
        found: What it found out.
    """

    found: T


def resume(dialogue: Dialogue[T], answers: Sequence[Completion]) -> list[Request] | Ended[T]:
    """Return what a dialogue asks after these answers, or its end.

    Args:
        dialogue: A fresh dialogue.
        answers: What was answered so far, in the order of the requests.
    """
    used = 0
    try:
        requests = next(dialogue)
        while used + len(requests) <= len(answers):
            given = answers[used : used + len(requests)]
            used += len(requests)
            requests = dialogue.send(given)
    except StopIteration as end:
        return Ended(end.value)
    dialogue.close()
    return requests[len(answers) - used :]


def ask_next(dialogue: Dialogue[T], answers: Sequence[Completion]) -> list[Request]:
    """Return what a dialogue asks after these answers; nothing if it is over.

    Args:
        dialogue: A fresh dialogue.
        answers: What was answered so far, in the order of the requests.
    """
    step = resume(dialogue, answers)
    return [] if isinstance(step, Ended) else step


def conclude(dialogue: Dialogue[T], answers: Sequence[Completion]) -> T:
    """Return what a dialogue found out.

    Args:
        dialogue: A fresh dialogue.
        answers: All answers, in the order of the requests.

    Raises:
        ValueError: If it asks for more answers.
    """
    step = resume(dialogue, answers)
    if not isinstance(step, Ended):
        raise ValueError(f"{len(step)} more answers are needed after {len(answers)}")
    return step.found
