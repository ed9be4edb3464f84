"""The label words at the place where a model writes one: which of them some bytes are, or may become."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hypermix.augment.prompt import show_word
from hypermix.errors import AugmentError
from hypermix.records import Task


class Standing(NamedTuple):
    """What some bytes at the place of a label are.

    Attributes:
        label: The label whose word they are; None if they are none yet.
        begun: The labels whose words they may still become.
    """

    label: str | None
    begun: tuple[str, ...]

    @property
    def open(self) -> bool:
        """Whether only what follows decides."""
        return self.label is None and bool(self.begun)


_NOTHING = Standing(None, ())


@dataclass(frozen=True)
class Lexicon:
    """The label words as they may be written at one kind of place. Case and spaces around a word are ignored.

    Attributes:
        spellings: How each label may be written, case folded.
        closing: What ends a word; empty if a word is all that is written.
        enforced: Whether the endpoint lets nothing but these words be written, so that the beginning of one word alone
            is that word.
    """

    spellings: Mapping[str, tuple[str, ...]]
    closing: str
    enforced: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in label order."""
        return tuple(self.spellings)

    def judge(self, written: bytes) -> Standing:
        """Tell what the bytes from the beginning of a word are.

        A word that begins another one ("World", "Worldwide") is not known before what follows it is.

        Args:
            written: The bytes of one or more tokens; they may end inside a character.
        """
        decoded = _decode(written)
        if decoded is None:
            return _NOTHING
        text, cut = decoded[0].lstrip().casefold(), decoded[1]
        whole, begun = None, []
        for label, spelling in self._each():
            if text.startswith(spelling):
                after = text[len(spelling) :].lstrip()
                if self.closing and after.startswith(self.closing):
                    return Standing(label, ())
                if not after and not cut:
                    whole = label
            if len(spelling) > len(text) and spelling.startswith(text) and _goes_on(spelling[len(text) :], cut):
                begun.append(label)
        labels = tuple(dict.fromkeys(begun))
        others = [label for label in labels if label != whole]
        if whole is not None and not others:
            return Standing(whole, ())
        if self.enforced and whole is None and len(labels) == 1:
            return Standing(labels[0], ())
        return Standing(None, tuple(dict.fromkeys([*([whole] if whole else []), *labels])))

    def find(self, word: str) -> str | None:
        """Return the label that a whole word stands for, if it does."""
        folded = fold(word)
        return next((label for label, spelling in self._each() if spelling == folded), None)

    def _each(self) -> Sequence[tuple[str, str]]:
        return [(label, spelling) for label, spellings in self.spellings.items() for spelling in spellings]


def item_lexicon(task: Task) -> Lexicon:
    """Return the label words as they end an item of a list."""
    return Lexicon({label: (fold(word),) for label, word in task.words.items()}, ")")


def json_lexicon(task: Task, *, enforced: bool) -> Lexicon:
    """Return the label words as they stand in JSON, with each way to escape them.

    Args:
        task: The wording of the dataset.
        enforced: Whether a schema lets nothing else be written.
    """
    return Lexicon({label: _escaped(task, label) for label in task.labels}, '"', enforced)


def letter_lexicon(task: Task) -> Lexicon:
    """Return a letter for each label, in label order."""
    return Lexicon({label: (chr(ord("a") + place),) for place, label in enumerate(task.labels)}, "")


def fold(word: str) -> str:
    """Return what is the same for two spellings of one word."""
    return word.strip().casefold()


def check_words(task: Task, *, chat: bool) -> None:
    """Refuse label words that no answer could be read by.

    Args:
        task: The wording of the dataset.
        chat: Whether words stand in messages, where they may hold brackets.

    Raises:
        AugmentError: If a word is empty or cannot stand in a line, or two labels share one.
    """
    unfit = [word for word in task.words.values() if not word.strip() or (not chat and re.search(r"[()\r\n]", word))]
    if unfit:
        raise AugmentError(
            f"{unfit} cannot stand in a prompt; give these labels words with letters and without brackets in "
            "label_words"
        )
    words: dict[str, str] = {}
    for label, word in task.words.items():
        if fold(word) in words:
            raise AugmentError(
                f"the labels {words[fold(word)]!r} and {label!r} share the label word {word!r}; give each its own "
                "with the dataset's label_words"
            )
        words[fold(word)] = label


def _escaped(task: Task, label: str) -> tuple[str, ...]:
    # A character and its capital have escapes of their own.
    words = (fold(task.words[label]), show_word(task, label).strip())
    plain = [json.dumps(word, ensure_ascii=escaped)[1:-1].casefold() for word in words for escaped in (False, True)]
    return tuple(dict.fromkeys([*plain, *(text.replace("/", "\\/") for text in plain)]))


def _decode(written: bytes) -> tuple[str, bytes] | None:
    """Return the whole characters, and the bytes of one that is not finished; None if this is no text."""
    try:
        return written.decode(), b""
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return None
        return written[: error.start].decode(), written[error.start :]


def _goes_on(rest: str, cut: bytes) -> bool:
    return not cut or any(letter.encode().startswith(cut) for letter in (rest[0], rest[0].upper()))
