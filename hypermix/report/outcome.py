"""How the outcomes of a verdict are told: by a word and a shape, and by color only on top of these."""

from __future__ import annotations

from dataclasses import dataclass

from hypermix.errors import ArtefactError, accepted


@dataclass(frozen=True)
class Outcome:
    """How one outcome looks.

    Attributes:
        key: The outcome's name in the verdict.
        word: What a reader sees.
        marker: The shape of its mark in figures, a marker of matplotlib.
        tone: Its color by name: ``good``, ``bad`` or ``plain``.
        filled: Whether the mark is filled; a mark that stands for an open question is not.
        meaning: One sentence for the legend.
    """

    key: str
    word: str
    marker: str
    tone: str
    filled: bool
    meaning: str


_ALL = (
    Outcome("helps", "Helps", "^", "good", True, "more accurate, and the test says so"),
    Outcome("hurts", "Hurts", "v", "bad", True, "less accurate, and the test says so"),
    Outcome("mixed", "Mixed", "D", "plain", True, "better than one baseline, worse than another"),
    Outcome("no_difference", "No difference found", "o", "plain", True, "the test could have answered, and did not"),
    Outcome("cannot_tell", "Cannot tell", "D", "plain", False, "too few data seeds for any test to answer"),
    Outcome("nothing", "Nothing to compare", "_", "plain", True, "no augmenter under test, or no baseline"),
)

OUTCOMES: dict[str, Outcome] = {outcome.key: outcome for outcome in _ALL}
"""Every outcome by its name in the verdict, in the order of the legend."""


def find_outcome(key: str) -> Outcome:
    """Return how an outcome of a verdict looks.

    Raises:
        ArtefactError: If the verdict names an outcome that does not exist.
    """
    if key not in OUTCOMES:
        raise ArtefactError(
            f"the verdict has the unknown outcome {key!r}: {accepted(key, OUTCOMES)}; run aggregate again"
        )
    return OUTCOMES[key]
