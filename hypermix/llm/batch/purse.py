"""The money of a batch: set aside before it is sent, counted when its answers come."""

from __future__ import annotations

from dataclasses import dataclass

from hypermix.llm.batch.records import billed_tokens
from hypermix.llm.ledger import Cost, Ledger, Reservation
from hypermix.llm.price import Rate, most_tokens
from hypermix.llm.store import Question


@dataclass
class Pending:
    """A question without an answer yet.

    Attributes:
        copies: How often it was submitted, and is to be answered.
        sent: Whether this process may have sent it.
        tries: In how many batches it was not answered.
        unknown: In how many of these it was perhaps paid.
        held: What is set aside for it.
    """

    question: Question
    copies: int = 1
    sent: bool = False
    tries: int = 0
    unknown: int = 0
    held: Reservation | None = None


@dataclass(frozen=True)
class Purse:
    """Sets aside what questions can cost at most, and counts what they did cost.

    Attributes:
        ledger: The caps; None for none.
        rate: The price of the model in a batch.
    """

    ledger: Ledger | None
    rate: Rate

    def reserve(self, open_: Pending) -> None:
        """Set aside the most it can cost, unless that was done before.

        Raises:
            LlmError: If it does not fit the caps.
        """
        if self.ledger is not None and open_.held is None:
            most = most_tokens(open_.question.body)
            open_.held = self.ledger.reserve(self.rate.usd(most), most.total)

    def settle(self, open_: Pending, response: str | None) -> None:
        """Count what was paid: the most it can be, where the endpoint does not say."""
        if self.ledger is not None and open_.held is not None:
            told = None if response is None else billed_tokens(response)
            cost = told or most_tokens(open_.question.body)
            self.ledger.settle(open_.held, Cost(self.rate.usd(cost), cost.total))
        open_.held = None

    def release(self, open_: Pending) -> None:
        """Give back what was set aside: nothing was billed."""
        if self.ledger is not None and open_.held is not None:
            self.ledger.release(open_.held)
        open_.held = None
