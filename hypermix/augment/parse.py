"""Reading a row out of a completion: pure, so a mistake here costs no request."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hypermix.records import Task, Token


@dataclass(frozen=True)
class Parsed:
    """What a completion says.

    Attributes:
        text: The text of the row; None if none could be read.
        label: Its label; None if none could be read.
        word_at: Where the label word begins in the completion, in UTF-8 bytes; None without a label.
        reason: Why there is no row: ``no label``, ``unknown label`` or ``empty text``; None if there is one.
    """

    text: str | None
    label: str | None
    word_at: int | None
    reason: str | None


@dataclass(frozen=True)
class SoftLabel:
    """The probabilities of the labels at the label word.

    Attributes:
        probabilities: One a label, in label order; they add up to 1.
        mass: What they added up to before, 0 to 1.
    """

    probabilities: tuple[float, ...]
    mass: float


def parse_row(completion: str, task: Task) -> Parsed:
    """Read text and label from a completion such as `` a fine film (Sentiment: Positive)``.

    It is read from the right: the last bracket of the label's form closes the text, which may hold another one.

    Args:
        completion: What the model wrote after the opening of an item.
        task: The wording of the dataset.
    """
    pattern = re.compile(rf"\(\s*{re.escape(task.label_type)}\s*:\s*([^()]*?)\s*\)", re.IGNORECASE)
    found = list(pattern.finditer(completion))
    if not found:
        return Parsed(completion.strip() or None, None, None, "no label")
    text = completion[: found[-1].start()].strip()
    written = _fold(found[-1].group(1))
    labels = [label for label, word in task.words.items() if _fold(word) == written]
    if not labels:
        return Parsed(text or None, None, None, "unknown label")
    if not text:
        return Parsed(None, labels[0], None, "empty text")
    word_at = len(completion[: found[-1].start(1)].encode("utf-8", "surrogatepass"))
    return Parsed(text, labels[0], word_at, None)


def score_labels(tokens: Sequence[Token], word_at: int, task: Task) -> SoftLabel | None:
    """Read the probabilities of the label words at the first token of the label (Yoo et al. 2021, section 3.2).

    The token is found by its bytes, never by offsets that a server tells. A likely token counts for the label whose
    word it is, or begins if it begins no other; case and spaces are ignored, as in the reference.

    Args:
        tokens: The tokens of the completion.
        word_at: Where the label word begins, in bytes.
        task: The wording of the dataset.

    Returns:
        The probabilities; None if the token has no likely tokens, or none of them stands for a label.
    """
    token = _token_at(tokens, word_at)
    if token is None:
        return None
    mass = dict.fromkeys(task.labels, 0.0)
    for piece, logprob in token.top:
        label = _label_of(_fold(piece.decode("utf-8", "replace")), task)
        if label is not None:
            mass[label] += math.exp(logprob)
    total = math.fsum(mass.values())
    if total <= 0.0:
        return None
    return SoftLabel(tuple(value / total for value in mass.values()), min(total, 1.0))


def _token_at(tokens: Sequence[Token], position: int) -> Token | None:
    end = 0
    for token in tokens:
        end += len(token.text)
        if end > position:
            return token
    return None


def _fold(word: str) -> str:
    return word.strip().casefold()


def _label_of(piece: str, task: Task) -> str | None:
    if not piece:
        return None
    words = {label: _fold(word) for label, word in task.words.items()}
    exact = [label for label, word in words.items() if word == piece]
    begun = [label for label, word in words.items() if word.startswith(piece)]
    chosen = exact or begun
    return chosen[0] if len(chosen) == 1 else None
