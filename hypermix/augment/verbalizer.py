"""Label words as a tokenizer cuts them, and what follows from it for soft labels: pure.

In a prompt that the model goes on with, a word of several tokens is scored whole: its first tokens are followed by
further requests (`hypermix.augment.source`). What cannot be followed is a token that ends inside a character.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypermix.augment.lexicon import item_lexicon
from hypermix.augment.prompt import render_item
from hypermix.augment.score import Tally
from hypermix.errors import AugmentError
from hypermix.records import Example, Task

_ADVICE = "give other words in label_words, or set labels: hard"
_FOLLOWS = "so that it counts only where it is written, and rows are dropped"
_FROM_TOKENS = ("logprobs", "classify")
"""Sources of labels that depend on how words are cut."""

_CLOSING = ")"


@dataclass(frozen=True)
class WordTokens:
    """A label word and its tokens.

    Attributes:
        label: The label.
        word: Its word, as the task has it.
        pieces: The bytes of each token that the word takes part in, in order; empty if the tokens do not spell the
            word; None where no tokenizer is at hand.
    """

    label: str
    word: str
    pieces: tuple[bytes, ...] | None

    @property
    def shown(self) -> str:
        """The word as a prompt shows it."""
        return self.word.lower().capitalize()


def show_words(task: Task) -> list[str]:
    """Return what to tokenize: the label of a line as a prompt writes it, such as ``(Sentiment: Positive)``.

    What stands around a word decides how it is cut: the space before it is part of its first token in most models and
    a token of its own in some, as before a digit.

    Args:
        task: The wording of the dataset.
    """
    lines = [render_item(Example("", "", label), task) for label in task.labels]
    return [line[line.rindex("(") :] for line in lines]


def read_words(task: Task, tokens: Sequence[Sequence[bytes]] | None) -> list[WordTokens]:
    """Find each label word in its tokens, by its bytes.

    Args:
        task: The wording of the dataset.
        tokens: The tokens of each text of `show_words`; None where no tokenizer is at hand.
    """
    if tokens is None:
        return [WordTokens(label, word, None) for label, word in task.words.items()]
    return [
        WordTokens(label, word, _cut(pieces, WordTokens(label, word, None).shown))
        for (label, word), pieces in zip(task.words.items(), tokens, strict=True)
    ]


def _cut(pieces: Sequence[bytes], shown: str) -> tuple[bytes, ...]:
    word = shown.strip().encode()  # spaces around a word are no part of it when an answer is read
    after = (shown[len(shown.rstrip()) :] + _CLOSING).encode()
    whole = b"".join(pieces)
    if not whole.endswith(word + after):
        return ()
    # It is counted from the end: some tokenizers put a space before the text.
    stop = len(whole) - len(after)
    start = stop - len(word)
    ends = [sum(map(len, pieces[: position + 1])) for position in range(len(pieces))]
    return tuple(piece for piece, end in zip(pieces, ends, strict=True) if end > start and end - len(piece) < stop)


def words_to_json(words: Sequence[WordTokens]) -> list[list[Any]]:
    """Return ``[label, word, pieces]`` for each word; a piece that is no whole character is shown by U+FFFD."""
    return [[word.label, word.word, None if word.pieces is None else _texts(word.pieces)] for word in words]


def words_from_json(rows: Sequence[Sequence[Any]]) -> list[WordTokens]:
    """Read what `words_to_json` wrote; the problems of the words are the same as before."""
    return [
        WordTokens(label, word, None if pieces is None else tuple(piece.encode() for piece in pieces))
        for label, word, pieces in rows
    ]


def _texts(pieces: Sequence[bytes]) -> list[str]:
    return [piece.decode("utf-8", "replace") for piece in pieces]


def find_problems(words: Sequence[WordTokens], label_source: str) -> list[str]:
    """Tell what follows from the tokens of the label words.

    Args:
        words: The label words of a dataset, in label order.
        label_source: Where labels come from. Only those that are read at one place depend on the tokens.

    Returns:
        A sentence for each problem; none for other sources and where no tokenizer is at hand.
    """
    return [
        f"{finding}, {_FOLLOWS}; {_ADVICE}" if lost else finding for lost, finding in _findings(words, label_source)
    ]


def refuse_alike(words: Sequence[WordTokens], label_source: str) -> None:
    """Refuse label words that soft labels cannot tell apart at all.

    Args:
        words: The label words of a dataset, in label order.
        label_source: Where labels come from.

    Raises:
        AugmentError: If labels are read at one place, and fewer than two of several words can be followed to their end.
    """
    if label_source not in _FROM_TOKENS or len(words) == 1 or any(word.pieces is None for word in words):
        return
    if sum(_count_followed(word, words) is not None for word in words) <= 1:
        told = "; ".join(finding for lost, finding in _findings(words, label_source) if lost)
        raise AugmentError(f"soft labels cannot tell the labels apart: {told}; {_ADVICE}")


def _findings(words: Sequence[WordTokens], label_source: str) -> list[tuple[bool, str]]:
    """Return for each finding whether a label loses its probability, and a sentence."""
    if label_source not in _FROM_TOKENS:
        return []
    found = []
    for word in words:
        followed = _count_followed(word, words) if word.pieces else None
        if word.pieces == ():
            found.append((True, f"the model's tokens do not spell the label word {word.shown!r}"))
        elif word.pieces is not None and followed is None:
            found.append((True, f"a token of the label word {word.shown!r} ends inside a character"))
        elif followed:
            found.append((False, _tell_followed(word, followed)))
    return found


def _tell_followed(word: WordTokens, followed: int) -> str:
    count = len(word.pieces or ())
    why = f"is {count} tokens" if count > 1 else "begins another one"
    more = "1 more request" if followed == 1 else f"{followed} more requests"
    return f"the label word {word.shown!r} {why}: where it is not written, {more} a row may score it whole"


def _count_followed(word: WordTokens, words: Sequence[WordTokens]) -> int | None:
    """Return how often a word needs a further request, by the code that reads the answers; None if it cannot be had."""
    if not word.pieces:
        return None
    joined = b"".join(word.pieces)
    start = joined.rfind(word.shown.strip().encode())
    tally = Tally(item_lexicon(Task("", "", {other.label: other.word for other in words})), joined[: max(start, 0)])
    followed = 0
    for stop in range(1, len(word.pieces) + 1):
        path = b"".join(word.pieces[:stop])
        standing = tally.judge(path)
        if standing.label is not None:
            return followed if standing.label == word.label else None
        if start < 0 or word.label not in standing.begun or not _is_text(path):
            return None
        followed += 1
    return followed


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True
