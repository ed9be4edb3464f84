"""Reading the probabilities of label words out of log-probabilities: pure.

A model writes a word in one token or in several, and in more than one way (" Pos" + "itive" as well as " Positive").
The probability of a word is the sum over all ways to write it of the product of its tokens. An answer shows the likely
tokens at each place of one way, the one that was written. The ways that leave it are branches: what begins a label
word there is known with its probability so far, and not yet how it ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypermix.augment.lexicon import Lexicon, Standing
from hypermix.augment.parse import Place
from hypermix.records import Token

MISSING = "no log-probabilities"
SHORT = "log-probabilities do not reach the label"
ZERO = "all log-probabilities are zero"
NO_WORD = "no label word among the likely tokens"
UNCLEAR = "label words not told apart"
MOST_UNCLEAR = 0.05
"""Share of the probability on label words that may be on beginnings that nobody followed."""


@dataclass(frozen=True)
class SoftLabel:
    """The probabilities of the labels.

    Attributes:
        probabilities: One a label, in label order; they add up to 1.
        mass: What they added up to before, 0 to 1.
    """

    probabilities: tuple[float, ...]
    mass: float


@dataclass
class Tally:
    """What is known of the probabilities at the place of a label.

    Attributes:
        lexicon: The label words.
        lead: The bytes before the label in the token in which it begins.
        found: The probability of each label's word so far.
        branches: Beginnings of label words, from the beginning of the token in which the label begins, and their
            probabilities.
        lost: The probability of beginnings that were asked about in vain.
    """

    lexicon: Lexicon
    lead: bytes = b""
    found: dict[str, float] = field(default_factory=dict)
    branches: dict[bytes, float] = field(default_factory=dict)
    lost: float = 0.0

    @property
    def unclear(self) -> float:
        """The probability of all beginnings whose end is not known."""
        return math.fsum(self.branches.values()) + self.lost

    @property
    def total(self) -> float:
        """The probability of everything that is or may become a label word."""
        return math.fsum(self.found.values()) + self.unclear

    def follow(self, tokens: Sequence[Token], path: bytes = b"", share: float = 1.0) -> None:
        """Take in an answer that goes on from a branch, as far as it spells a label word.

        Args:
            tokens: The tokens of the answer, from the end of the branch.
            path: The branch; empty where the label begins.
            share: Its probability.
        """
        for token in tokens:
            if not token.text:
                continue
            pieces = _shares(token)
            if not pieces:
                break
            for piece, one in pieces.items():
                if piece and piece != token.text:
                    self._add(path + piece, share * one)
            share *= pieces.get(token.text, 0.0)
            path += token.text
            if not self.judge(path).open:
                self._add(path, share)
                return
        self._leave(path, share)

    def judge(self, path: bytes) -> Standing:
        """Tell what a path is, from the beginning of the token in which the label begins."""
        lead, written = self.lead.strip(), path.lstrip()
        if not written.startswith(lead):
            return Standing(None, self.lexicon.labels if lead.startswith(written) else ())
        return self.lexicon.judge(written[len(lead) :])

    def conclude(self) -> SoftLabel | str:
        """Return the soft label, or why there is none."""
        known = math.fsum(self.found.values())
        if self.total <= 0.0:
            return NO_WORD
        if known <= 0.0 or self.unclear > MOST_UNCLEAR * self.total:
            return UNCLEAR
        shares = [self.found.get(label, 0.0) / known for label in self.lexicon.labels]
        return SoftLabel(tuple(shares), min(known, 1.0))

    def _add(self, path: bytes, share: float) -> None:
        standing = self.judge(path)
        if standing.label is not None:
            self.found[standing.label] = self.found.get(standing.label, 0.0) + share
        elif standing.open:
            self._leave(path, share)

    def _leave(self, path: bytes, share: float) -> None:
        if share > 0.0:
            self.branches[path] = self.branches.get(path, 0.0) + share


def locate_label(tokens: Sequence[Token], text: str, place: Place) -> tuple[int, bytes] | str:
    """Find the token in which the label begins, by bytes and never by offsets that a server tells.

    Args:
        tokens: The tokens of an answer.
        text: Its text.
        place: Where the label stands in the text.

    Returns:
        The position of the token and its bytes before the label; or what is wrong with the tokens.
    """
    problem = find_fault(tokens)
    if problem is not None:
        return problem
    written, content = b"".join(token.text for token in tokens), text.encode("utf-8", "surrogatepass")
    at = place.opened
    if not written.startswith(content[: place.end]):
        # Some servers cut characters or drop a first space; the label is then found from the right.
        start = written.rfind(content[place.start : place.end])
        if start < 0:
            return SHORT
        at = start + place.opened - place.start
    end = 0
    for position, token in enumerate(tokens):
        end += len(token.text)
        if end > at:
            return (position, token.text[: len(token.text) - (end - at)]) if token.top else MISSING
    return SHORT


def find_fault(tokens: Sequence[Token]) -> str | None:
    """Return why log-probabilities cannot be used, whatever they are of; None if nothing speaks against them."""
    numbers = [logprob for token in tokens for logprob in (token.logprob, *(likely for _, likely in token.top))]
    known = [number for number in numbers if not math.isnan(number)]
    if not known:
        return MISSING
    return None if any(known) else ZERO


def share_of(logprob: float) -> float:
    """Return a probability, 0 to 1, whatever number a server gave for its logarithm."""
    return 0.0 if math.isnan(logprob) else math.exp(min(logprob, 0.0))


def _shares(token: Token) -> dict[bytes, float]:
    """Return the probability of each likely token's bytes, and of what was written; nothing without likely tokens."""
    shares: dict[bytes, float] = {}
    for piece, logprob in token.top:
        shares[piece] = shares.get(piece, 0.0) + share_of(logprob)
    if shares:
        shares.setdefault(token.text, share_of(token.logprob))
    return shares
