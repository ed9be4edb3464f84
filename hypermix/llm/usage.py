"""What a job asked for, as its receipt tells it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypermix.llm.price import Tokens


@dataclass
class Usage:
    """What a job asked for.

    Attributes:
        paid: Requests that were sent and answered.
        replayed: Requests that the store answered; another process may have asked for the answer meanwhile.
        unknown: Requests behind all answers that were sent and perhaps paid, and whose own answers are lost.
        tokens: Tokens behind all answers, paid and replayed.
        tokens_paid: Those that were paid now.
        silent: Answers that do not tell their tokens.
    """

    paid: int = 0
    replayed: int = 0
    unknown: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    tokens_paid: Tokens = field(default_factory=Tokens)
    silent: int = 0

    def add(self, other: Usage) -> None:
        """Add what else was asked for."""
        self.paid += other.paid
        self.replayed += other.replayed
        self.unknown += other.unknown
        self.tokens += other.tokens
        self.tokens_paid += other.tokens_paid
        self.silent += other.silent
