"""What answers questions, one small interface: an endpoint behind a URL, a model in this process, or a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hypermix.errors import LlmError
from hypermix.llm.store import Answer, Question

TOKENIZE = "/tokenize"
"""Where a model that runs here tells the tokens of a text, in the form of llama.cpp's server."""


@dataclass(frozen=True)
class Refusal:
    """A question that got no answer. Nothing of it is stored.

    Attributes:
        error: What the user is told.
        unknown: Requests for it that were sent and perhaps paid, without an answer.
        unsent: Whether nothing was sent at all.
        fatal: Whether all further questions would meet the same: a bad key, no such model, a spent budget.
        param: The setting that the endpoint refused, where it says so.
        filtered: Whether the endpoint refused this very text, by its content policy.
        said: What the endpoint said of a request that it does not take as it is, such as a setting that it does not
            know; None if it is about something else, which no other setting would mend.
    """

    error: LlmError
    unknown: int = 0
    unsent: bool = False
    fatal: bool = True
    param: str | None = None
    filtered: bool = False
    said: str | None = None


class Backend(Protocol):
    """Takes questions and gives answers, in any order. Some threads submit while another one collects.

    Attributes:
        width: How many questions it can make use of at once; more than these need not be submitted before one is
            collected.
        eager: Whether it works on a question as soon as it has it; others wait for all that can be submitted.
    """

    width: int
    eager: bool

    def submit(self, question: Question) -> None:
        """Take a question; it may be sent at once or with others."""

    def collect(self) -> tuple[Question, Answer | Refusal] | None:
        """Wait for the next answer; None if no question is open."""

    def stored(self, question: Question) -> None:
        """Hear that the answer to a question is on the disk."""

    def stop(self) -> None:
        """Send nothing more.

        Questions that were sent are still answered, unless they can be found again later; all others are refused as
        unsent, and not as fatal.
        """

    def close(self) -> None:
        """Give back everything that is held."""
