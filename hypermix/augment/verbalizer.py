"""Label words as a tokenizer cuts them, and what follows from it for soft labels: pure.

A soft label is read at the first token of the label word alone (`hypermix.augment.parse`). A word of several tokens is
judged by that token, and words that begin alike may not be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypermix.augment.parse import score_labels
from hypermix.augment.prompt import render_item
from hypermix.errors import AugmentError
from hypermix.records import Example, Task, Token

_ADVICE = "give other words in label_words, or set labels: hard"
_FOLLOWS = "so that rows are dropped or labeled as others"
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


def find_problems(words: Sequence[WordTokens], labels: str) -> list[str]:
    """Tell what follows from the tokens of the label words.

    Args:
        words: The label words of a dataset, in label order.
        labels: The setting ``labels`` of the augmenter. Hard labels are read from the text, whatever its tokens are.

    Returns:
        A sentence for each problem; none for hard labels and where no tokenizer is at hand.
    """
    return [f"{finding}, {_FOLLOWS}; {_ADVICE}" if lost else finding for lost, finding in _findings(words, labels)]


def refuse_alike(words: Sequence[WordTokens], labels: str) -> None:
    """Refuse label words that soft labels cannot tell apart at all.

    Of the first tokens of all words at most one counts for its own label then: all answers have the same soft label,
    or none, but for tokens that the prompt gives no reason to expect.

    Args:
        words: The label words of a dataset, in label order.
        labels: The setting ``labels`` of the augmenter.

    Raises:
        AugmentError: If the labels are soft and fewer than two of several words can be told apart.
    """
    if labels != "soft" or len(words) == 1 or any(word.pieces is None for word in words):
        return
    if sum(_counted(word, words) == word.label for word in words) <= 1:
        told = "; ".join(finding for lost, finding in _findings(words, labels) if lost)
        raise AugmentError(f"soft labels cannot tell the labels apart: {told}; {_ADVICE}")


def _findings(words: Sequence[WordTokens], labels: str) -> list[tuple[bool, str]]:
    """Return for each finding whether a label loses its probability, and a sentence."""
    if labels != "soft":
        return []
    alike: dict[str, list[WordTokens]] = {}
    found = []
    for word in words:
        if word.pieces:
            alike.setdefault(_fold(_texts(word.pieces)[0]), []).append(word)
        elif word.pieces is not None:
            found.append((True, f"the model's tokens do not spell the label word {word.shown!r}: it has no soft label"))
    for group in alike.values():
        if len(group) > 1:
            found.append((True, _word_shared(group, words)))
        elif _counted(group[0], words) != group[0].label:
            found.append((True, _word_lost(group[0], words)))
        elif len(group[0].pieces or ()) > 1:
            found.append((False, _word_long(group[0])))
    return found


def _word_shared(group: Sequence[WordTokens], words: Sequence[WordTokens]) -> str:
    counted = _counted(group[0], words)
    follows = "soft labels cannot tell them apart"
    if counted is not None:
        follows = f"soft labels count it for {_shown(counted, words)!r} alone"
    return f"the label words {_listed(group)} begin with the same token {_first(group[0])!r}: {follows}"


def _word_lost(word: WordTokens, words: Sequence[WordTokens]) -> str:
    start = f"the first token {_first(word)!r} of the label word {word.shown!r}"
    counted = _counted(word, words)
    if counted is not None:
        return f"{start} stands for {_shown(counted, words)!r}: soft labels count it there"
    others = [other for other in words if other != word and _fold(other.word).startswith(_fold(_first(word)))]
    if others:
        return f"{start} begins {_listed(others)} too: soft labels count it for none of them"
    return f"{start} cannot be read as its beginning: soft labels count it for no label"


def _word_long(word: WordTokens) -> str:
    count = len(word.pieces or ())
    return (
        f"the label word {word.shown!r} is {count} tokens: its soft label is the probability of its first token "
        f"{_first(word)!r}"
    )


def _counted(word: WordTokens, words: Sequence[WordTokens]) -> str | None:
    """Return the label that the first token of a word counts for, by the code that reads the answers."""
    if not word.pieces:
        return None
    task = Task("", "", {other.label: other.word for other in words})
    soft = score_labels([Token(b"x", 0.0, ((word.pieces[0], 0.0),))], 0, task)
    return None if soft is None else task.labels[soft.probabilities.index(1.0)]


def _fold(text: str) -> str:
    return text.strip().casefold()


def _first(word: WordTokens) -> str:
    return _texts((word.pieces or ())[:1])[0]


def _shown(label: str, words: Sequence[WordTokens]) -> str:
    return next(word.shown for word in words if word.label == label)


def _listed(words: Sequence[WordTokens]) -> str:
    *most, last = [repr(word.shown) for word in words]
    return f"{', '.join(most)} and {last}" if most else last
