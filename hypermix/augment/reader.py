"""Reading texts out of an answer to a template: one kind of reader for each format.

What is read was written by a model and may hold anything. A reader never takes a part of a text for the format around
it where the format gives a way to tell, and takes time in proportion to the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import regex

from hypermix.augment.form import item_schema
from hypermix.augment.lexicon import Lexicon, item_lexicon
from hypermix.augment.parse import Parsed, Written, read_objects, without_thoughts
from hypermix.augment.prompt import STOP, show_word
from hypermix.errors import AugmentError
from hypermix.records import Example, Task
from hypermix.templates import one_line

_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "«": "»", "「": "」"}
_NUMBER = re.compile(r"^\s*+(?:\*\*)?(\d{1,3})[.):](?:\*\*)?(?!\d)\s*+(.*)$", re.DOTALL)
_FENCE = re.compile(r"`{3,}\w*$")
_OPENING_WORDS = 3
"""Of the line that a prompt leaves open, as many tell that a model writes such a line again; its label may differ."""

_PATTERN_SECONDS = 10.0
"""After which a pattern is given up: a user's own may take for ever on a text that is made for it."""

NO_ITEM = "no item"
UNLIKE_SCHEMA = "unlike the schema"


class Reader(Protocol):
    """Reads texts, and labels where they are written, from an answer."""

    @property
    def stop(self) -> Sequence[str]:
        """What ends an answer that goes on with a prompt."""

    def schema(self, count: int) -> Mapping[str, Any] | None:
        """Return the JSON schema of an answer of so many items; None if it is no JSON."""

    def read(self, answer: str, prompt: str) -> list[Parsed]:
        """Return the items of an answer, in their order.

        Args:
            answer: What the model wrote.
            prompt: What it went on with; empty if it answered a message.
        """

    def write(self, example: Example, count: int) -> str:
        """Return an answer that is read as so many items like this row."""


class Lines:
    """The part of a reader of plain text."""

    def schema(self, count: int) -> None:
        """There is none."""


@dataclass(frozen=True)
class LineReader(Lines):
    """One text, the first line that holds any.

    Attributes:
        quoted: Whether the prompt opens a quotation that the text closes.
    """

    quoted: bool = False

    @property
    def stop(self) -> Sequence[str]:
        """The end of the line."""
        return (STOP,)

    def read(self, answer: str, prompt: str) -> list[Parsed]:
        """Read the line; of a quotation, up to the quote that closes it.

        That is the last one before the prompt's own words come again, unless the quotes go in pairs and the line goes
        on: then it was not closed. Of an answer to a message, a fence is passed over, and so is a line that announces
        the text with a colon.
        """
        lines = [line for line in _lines(answer) if line and not _FENCE.match(line)]
        if not prompt and len(lines) > 1 and lines[0].endswith((":", "\N{FULLWIDTH COLON}")):
            lines = lines[1:]
        if not lines:
            return []
        text = self._before_next(lines[0], prompt) if self.quoted else lines[0]
        if self.quoted and (text.count('"') % 2 == 1 or text.endswith('"')):
            text = text.rpartition('"')[0].strip()
            return [_plain(text)]
        return [_plain(unquote(text))]

    def write(self, example: Example, count: int) -> str:  # noqa: ARG002 - an answer has one text
        """Return the text."""
        text = one_line(example.text).strip()
        return f'{text}"' if self.quoted else text

    def _before_next(self, text: str, prompt: str) -> str:
        """Return a text up to the quote after which the model writes the prompt's open line again."""
        words = prompt.rpartition("\n")[2].rstrip().removesuffix('"').split()[:_OPENING_WORDS]
        if not words:
            return text
        again = re.search(r'"\s*+' + r"\s++".join(map(re.escape, words)), text)
        return text if again is None else text[: again.start() + 1]


@dataclass(frozen=True)
class NumberedReader(Lines):
    """A list of texts, one a line, with numbers from 1 on. Other lines do not matter.

    Attributes:
        count: Most texts.
    """

    count: int

    @property
    def stop(self) -> Sequence[str]:
        """An empty line, or one item more."""
        return ("\n\n", f"\n{self.count + 1}.")

    def read(self, answer: str, prompt: str) -> list[Parsed]:
        """Read the lines whose numbers follow each other; the prompt may hold the first number."""
        opened = re.search(r"(?:^|\n)[ \t]*+(1[.):])[ \t]*+$", prompt[-20:])
        repeated = _NUMBER.match(answer)  # some models write it again
        begun = opened and not (repeated and int(repeated[1]) == 1)
        found: list[str] = []
        for line in _lines(f"1. {answer}" if begun else answer):
            numbered = _NUMBER.match(line)
            if numbered and int(numbered[1]) == len(found) + 1 and len(found) < self.count:
                found.append(unquote(numbered[2].strip()))
        return [_plain(text) for text in found]

    def write(self, example: Example, count: int) -> str:
        """Return a list of the same text."""
        text = one_line(example.text).strip()
        return "\n".join(f"{number}. {text}" for number in range(1, count + 1))


@dataclass(frozen=True)
class ObjectReader:
    """JSON objects, each a row; what stands around them does not matter.

    Attributes:
        task: The wording of the dataset.
        text: The key of the text.
        label: The key of the label; None if no label is written.
        given: The user's own JSON schema of an object, which each has to fit; None for that of the keys.
    """

    task: Task
    text: str = "text"
    label: str | None = None
    given: Mapping[str, Any] | None = None

    @property
    def stop(self) -> Sequence[str]:
        """Nothing: an object ends with its bracket."""
        return ()

    def schema(self, count: int) -> Mapping[str, Any]:
        """Return the schema of an object, or of a list of them, which has to stand in one."""
        words = [] if self.label is None else [show_word(self.task, label) for label in self.task.labels]
        one = self.given or item_schema(words, self.text, self.label or "")
        if count == 1:
            return one
        items = {"type": "array", "items": dict(one)}
        return {"type": "object", "properties": {"items": items}, "required": ["items"], "additionalProperties": False}

    def read(self, answer: str, prompt: str) -> list[Parsed]:  # noqa: ARG002 - an object has its bracket
        """Read the objects that have the keys."""
        return [self._item(found) for found in read_objects(answer) if self.text.casefold() in found.values]

    def write(self, example: Example, count: int) -> str:
        """Return objects, one a line."""
        pairs = {self.text: example.text}
        if self.label is not None:
            pairs[self.label] = show_word(self.task, example.label)
        return "\n".join([json.dumps(pairs, ensure_ascii=False)] * count)

    def _item(self, found: Written) -> Parsed:
        text = one_line(found.values[self.text.casefold()]).strip()
        if self.given is not None and not fits_schema(self.given, found.source):
            return Parsed(text or None, None, None, UNLIKE_SCHEMA)
        if self.label is None:
            return _plain(text)
        return _labeled(self.task, text, found.values.get(self.label.casefold()))


@dataclass(frozen=True)
class PatternReader(Lines):
    """Lines that fit a regular expression with the groups `text` and, where labels are written, `label`.

    Attributes:
        task: The wording of the dataset.
        pattern: The expression. It is searched in each line.
    """

    task: Task
    pattern: str

    @property
    def stop(self) -> Sequence[str]:
        """The end of the line."""
        return (STOP,)

    def read(self, answer: str, prompt: str) -> list[Parsed]:  # noqa: ARG002 - the pattern tells
        """Read the lines that fit.

        Raises:
            AugmentError: If the pattern takes too long; a row that depends on the time would not come again.
        """
        expression, found = regex.compile(self.pattern, regex.IGNORECASE), []
        try:
            for line in _lines(answer):
                fit = expression.search(line, timeout=_PATTERN_SECONDS)
                if fit is not None:
                    groups = fit.groupdict()
                    text = (groups["text"] or "").strip()
                    found.append(_labeled(self.task, text, groups["label"]) if "label" in groups else _plain(text))
        except TimeoutError:
            raise AugmentError(
                f"the pattern {self.pattern!r} takes longer than {_PATTERN_SECONDS:g} seconds on an answer; write it "
                "so that no two parts of it can match the same text; stored answers cost nothing again"
            ) from None
        return found

    def write(self, example: Example, count: int) -> str:
        """Return the text and its label, which are about as long as a line that fits."""
        return "\n".join([f"{one_line(example.text)} {show_word(self.task, example.label)}"] * count)


@dataclass(frozen=True)
class StepReader(Lines):
    """The text of one step of a line of thought.

    Attributes:
        step: Its number.
    """

    step: int

    @property
    def stop(self) -> Sequence[str]:
        """An empty line, or the next step."""
        return ("\n\n", f"\n{self.step + 1}.")

    def read(self, answer: str, prompt: str) -> list[Parsed]:
        """Read the last line with the step's number, or the line after it if nothing else stands there."""
        del prompt
        lines = [line for line in _lines(answer) if line]
        numbered = {place: match for place, line in enumerate(lines) if (match := _NUMBER.match(line))}
        places = [place for place, match in numbered.items() if int(match[1]) == self.step]
        if not places:
            return []
        place = places[-1]
        text = numbered[place][2].strip()
        if not text and place + 1 < len(lines) and place + 1 not in numbered:
            text = lines[place + 1]
        return [_plain(unquote(text))]

    def write(self, example: Example, count: int) -> str:  # noqa: ARG002 - an answer has one text
        """Return as many lines as there are steps; those before take about as long as the text."""
        text = one_line(example.text).strip()
        return "\n".join(f"{number}. {text}" for number in range(1, self.step + 1))


def fits_schema(schema: Mapping[str, Any], source: str) -> bool:
    """Tell whether an object fits a JSON schema, which has no references to others."""
    from jsonschema import Draft202012Validator  # only where a config has a schema

    try:
        value = json.loads(source, strict=False)
    except ValueError:
        return False
    return bool(Draft202012Validator(dict(schema)).is_valid(value))


def unquote(text: str) -> str:
    """Take the quotes away that a model put around a whole text; those of a text with others inside are its own."""
    closing = _QUOTES.get(text[:1])
    inner = text[1:-1]
    if len(text) < 2 or closing is None or text[-1] != closing or text[0] in inner or closing in inner:
        return text
    return inner.strip()


def _lines(answer: str) -> list[str]:
    """Split an answer where its format does, at line feeds; other breaks are a part of a text and become spaces."""
    return [one_line(line).strip() for line in without_thoughts(answer).split("\n")]


def _plain(text: str) -> Parsed:
    return Parsed(text or None, None, None, None if text else "empty text")


def _labeled(task: Task, text: str, word: str | None) -> Parsed:
    label = None if word is None else Lexicon(item_lexicon(task).spellings, "").find(word)
    if label is None:
        return Parsed(text or None, None, None, "unknown label")
    return Parsed(text or None, label, None, None if text else "empty text")
