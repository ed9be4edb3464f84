"""A text as its words and what stands between them, in any script, so that words can be changed and the rest stays."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_JOINERS = "'’-\u200c\u200d"
"""What may stand inside a word, between two letters: apostrophe, hyphen, and the joiners of Persian and Hindi."""

_IDEOGRAPHS = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Kana and Han: written without spaces, so that each character counts as a word."""

_WORD = re.compile("IM*|L[LM]*(?:JL[LM]*)*")
"""A word, by the kinds of its characters: ideograph, letter or digit, mark, joiner."""

_LEADING = re.compile(r".*\s", re.DOTALL)
_DOUBLE_SPACE = re.compile(r"(\s)\s+")


@dataclass
class Words:
    """A text that can be changed word by word.

    Attributes:
        words: Its words.
        gaps: What stands before the first word, between two, and after the last: one more than words.
    """

    words: list[str]
    gaps: list[str]

    @classmethod
    def of(cls, text: str) -> Words:
        """Cut a text; `str` puts it together again as it was."""
        words, gaps, end = [], [], 0
        for found in _WORD.finditer("".join(map(_kind, text))):
            start, stop = found.span()
            words.append(text[start:stop])
            gaps.append(text[end:start])
            end = stop
        return cls(words, [*gaps, text[end:]])

    def __len__(self) -> int:
        """Return the number of words."""
        return len(self.words)

    def __str__(self) -> str:
        """Return the text."""
        return "".join(gap + word for gap, word in zip(self.gaps, [*self.words, ""], strict=True))

    def replace(self, place: int, word: str) -> None:
        """Put another word in a word's place, written large where that one was."""
        self.words[place] = _recase(word, self.words[place])

    def insert(self, place: int, word: str) -> None:
        """Put a word before the one at a place, or behind the last one."""
        neighbor = self.words[min(place, len(self.words) - 1)]
        space = "" if _is_ideograph(word[0]) and _is_ideograph(neighbor[0]) else " "
        self.words.insert(place, word)
        # Before a word it takes that word's gap; behind the last one it stands before the closing punctuation.
        self.gaps.insert(place if place == len(self.words) - 1 else place + 1, space)

    def swap(self, first: int, second: int) -> None:
        """Exchange two words; punctuation stays where it is."""
        self.words[first], self.words[second] = self.words[second], self.words[first]

    def delete(self, place: int) -> None:
        """Take a word out, and the space that it leaves double."""
        del self.words[place]
        before, after = self.gaps[place : place + 2]
        if place == 0:
            gap = before + _LEADING.sub("", after)
        elif not after[:1].isspace():
            gap = before.rstrip() + after
        else:
            gap = _DOUBLE_SPACE.sub(r"\1", before + after)
        self.gaps[place : place + 2] = [gap]

    def span(self, place: int) -> tuple[int, int]:
        """Return where a word begins and ends in the text."""
        start = sum(map(len, self.gaps[: place + 1])) + sum(map(len, self.words[:place]))
        return start, start + len(self.words[place])


def _kind(character: str) -> str:
    if _is_ideograph(character):
        return "I"
    if character in _JOINERS:
        return "J"
    return {"L": "L", "N": "L", "M": "M"}.get(unicodedata.category(character)[0], ".")


def _is_ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _IDEOGRAPHS)


def _recase(word: str, like: str) -> str:
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
