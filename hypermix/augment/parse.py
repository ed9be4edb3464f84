"""Reading a row out of an answer, in both forms: pure, so a mistake here costs no request.

What is read was written by a model and may hold anything. All patterns here take time in proportion to its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hypermix.augment.lexicon import Lexicon, item_lexicon
from hypermix.augment.prompt import STOP
from hypermix.records import Task
from hypermix.templates import one_line


@dataclass(frozen=True)
class Place:
    """Where a label word was written, in UTF-8 bytes of the answer.

    Attributes:
        start: Where its bracket or its key begins.
        opened: Where the word may begin: right after the colon or the opening quote.
        end: Where the word ends.
    """

    start: int
    opened: int
    end: int


@dataclass(frozen=True)
class Parsed:
    """What an answer says.

    Attributes:
        text: The text of the row; None if none could be read.
        label: Its label; None if none could be read.
        place: Where the label word stands; None without a usable row.
        reason: Why there is no row: ``no label``, ``no item``, ``unknown label`` or ``empty text``; None if there is.
        label_first: Whether the label was written before the text, so that it does not follow from it.
    """

    text: str | None
    label: str | None
    place: Place | None
    reason: str | None
    label_first: bool = False


def parse_line(completion: str, task: Task) -> Parsed:
    """Read text and label from a completion such as `` a fine film (Sentiment: Positive)``.

    It is read from the right: the last bracket of the label's form closes the text, which may hold another one. Where
    an endpoint takes no stop sequence, the line ends where it would.

    Args:
        completion: What the model wrote after the opening of an item.
        task: The wording of the dataset.
    """
    line = completion.split(STOP, 1)[0]
    pattern = re.compile(rf"\(\s*+{re.escape(task.label_type)}\s*+:([^()]*+)\)", re.IGNORECASE)
    found = None
    for found in pattern.finditer(line):  # noqa: B007 - the last one is wanted
        pass
    if found is None:
        return Parsed(line.strip() or None, None, None, "no label")
    place = _place(line, found.start(), found.start(1), found.end(1))
    return _judge(line[: found.start()].strip(), item_lexicon(task).find(found[1]), place)


_STRING = r'"(?:[^"\\]++|\\.)*+"'
_PAIR = re.compile(
    rf"\s*+(?P<key>{_STRING})\s*+:\s*+(?P<value>{_STRING}|-?\d[\d.eE+-]*+|true|false|null)\s*+(?P<next>[,}}])",
    re.DOTALL,
)
_MOST_BRACES = 100
_THINKING, _THOUGHT = "<think>", "</think>"


def parse_object(content: str, task: Task) -> Parsed:
    """Read text and label from JSON such as ``{"text": "a fine film", "label": "Positive"}``.

    The first object with both keys counts; a code fence or words around it do not matter, nor do other keys. A key
    inside of the text is escaped there, so it cannot be taken for one of the object. Line breaks in the text become
    spaces.

    Args:
        content: What the model answered.
        task: The wording of the dataset.
    """
    for pairs, _, _ in _objects(content):
        if {"text", "label"} <= pairs.keys():
            return _read_pairs(content, pairs, task)
    return Parsed(one_line(content).strip() or None, None, None, "no item")


@dataclass(frozen=True)
class Written:
    """A flat JSON object of an answer.

    Attributes:
        values: Its values by case folded key. A key inside of a value is escaped there, so it cannot be taken for one.
        source: How it is written.
    """

    values: dict[str, str]
    source: str


def read_objects(content: str) -> list[Written]:
    """Read the flat JSON objects of an answer, in their order; words, fences and lists around them do not matter.

    Args:
        content: What the model answered.
    """
    return [
        Written({key: value[0] for key, value in pairs.items()}, content[start:end])
        for pairs, start, end in _objects(content)
    ]


def without_thoughts(content: str) -> str:
    """Return an answer without the thoughts that some models write before it; nothing if it is all thoughts."""
    return content[_past_thoughts(content) :]


def _past_thoughts(content: str) -> int:
    """Return where the answer begins after its thoughts; its end if they were cut off."""
    closed = content.rfind(_THOUGHT)
    if closed >= 0:
        return closed + len(_THOUGHT)
    return len(content) if content.lstrip().startswith(_THINKING) else 0


_Pairs = dict[str, tuple[str, int, int, int]]


def _objects(content: str) -> Iterator[tuple[_Pairs, int, int]]:
    """Yield each object, and where it begins and ends."""
    position = _past_thoughts(content)
    for _ in range(_MOST_BRACES):
        position = content.find("{", position) + 1
        if not position:
            return
        found = _read_object(content, position)
        if found is not None:
            pairs, end = found
            yield pairs, position - 1, end
            position = end


def _read_object(content: str, position: int) -> tuple[_Pairs, int] | None:
    """Return the value of each key, where both stand, and where the object ends; None if this is no flat object."""
    pairs: _Pairs = {}
    while (pair := _PAIR.match(content, position)) is not None:
        key, value = _read_string(pair["key"]), _read_string(pair["value"])
        if key is None or value is None:
            return None
        pairs[key.casefold()] = value, pair.start("key"), pair.start("value"), pair.end("value")
        position = pair.end()
        if pair["next"] == "}":
            return pairs, position
    return None


def _read_string(raw: str) -> str | None:
    if not raw.startswith('"'):
        return raw
    try:
        text: str = json.loads(raw, strict=False)
    except ValueError:
        return None
    # Half of a surrogate pair may be escaped in JSON, and no file can hold it.
    return text.encode("utf-8", "replace").decode("utf-8")


def _read_pairs(content: str, pairs: _Pairs, task: Task) -> Parsed:
    text, text_at, _, _ = pairs["text"]
    word, key_at, start, end = pairs["label"]
    quote = content[start] == '"'
    place = _place(content, key_at, start + quote, end - quote)
    label = Lexicon(item_lexicon(task).spellings, "").find(word)
    return _judge(one_line(text).strip(), label, place, label_first=key_at < text_at)


def _judge(text: str, label: str | None, place: Place, *, label_first: bool = False) -> Parsed:
    if label is None:
        return Parsed(text or None, None, None, "unknown label", label_first)
    if not text:
        return Parsed(None, label, None, "empty text", label_first)
    return Parsed(text, label, place, None, label_first)


def _place(content: str, start: int, opened: int, end: int) -> Place:
    before = len(content[:start].encode("utf-8", "surrogatepass"))
    head = len(content[start:opened].encode("utf-8", "surrogatepass"))
    return Place(
        before, before + head, before + head + len(content[opened:end].rstrip().encode("utf-8", "surrogatepass"))
    )
