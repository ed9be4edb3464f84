"""What computes here for an augmenter: looked up or run on this machine, and handed to it, since it opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Synonyms = Callable[[str], Sequence[str]]
"""Returns words of like meaning for a word in lower case, in an order that does not change; none for one unknown."""

Embed = Callable[[Sequence[str]], NDArray[np.floating[Any]]]
"""Embeds texts, (n_texts, width); it may be slow to start."""

Translate = Callable[[str, int], str]
"""Translates a text into another language and back, by draws from a seed."""


class Fill(Protocol):
    """Tells which words may stand in the place of one, in its context."""

    def __call__(self, text: str, start: int, stop: int) -> Sequence[tuple[str, float]]:
        """Return words and their probabilities, the likeliest first.

        Args:
            text: The text.
            start: Where the word begins.
            stop: Where it ends.
        """


@dataclass(frozen=True)
class Tools:
    """The tools of one augmentation; None is what its method has no use for."""

    embed: Embed | None = None
    synonyms: Synonyms | None = None
    fill: Fill | None = None
    translate: Translate | None = None


NO_TOOLS = Tools()
