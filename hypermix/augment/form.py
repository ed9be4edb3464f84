"""The two forms of a request: a prompt to go on with (the paper's), and messages to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hypermix.augment.lexicon import Lexicon, fold, item_lexicon, json_lexicon, letter_lexicon
from hypermix.augment.parse import Parsed, parse_line, parse_object
from hypermix.augment.prompt import STOP, describe_list, open_label, render_item, render_prompt, show_word
from hypermix.records import CHAT, COMPLETIONS, Abilities, Example, Task
from hypermix.templates import one_line

MOST_LETTERS = 26
"""Labels that a letter each can stand for."""

MOST_LOGPROBS = 20
"""Likely tokens asked for at each position: the most that today's endpoints give (the paper had 100)."""


class Form(Protocol):
    """How rows and labels are asked for, and how the answers are read. All bodies lack the sampling settings."""

    @property
    def path(self) -> str:
        """The API that is asked."""

    @property
    def item_words(self) -> Lexicon:
        """The label words as they stand in a row that was written."""

    @property
    def label_words(self) -> Lexicon:
        """The label words as they are written where the label alone is asked for."""

    @property
    def logprobs(self) -> Mapping[str, Any]:
        """What asks for log-probabilities."""

    def ask_item(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the body that asks for a row."""

    def ask_label(self, examples: Sequence[Example], text: str, longest: int) -> dict[str, Any]:
        """Return the body that asks for the label of a text in at most so many tokens."""

    def write_item(self, example: Example) -> str:
        """Return the answer that `parse` reads as this row."""

    def parse(self, text: str) -> Parsed:
        """Read the row that was written."""

    def read_label(self, text: str) -> str | None:
        """Read the label that was asked for alone; None if it is none."""


@dataclass(frozen=True)
class CompletionsForm:
    """A list that the model goes on with, one line an item."""

    task: Task
    abilities: Abilities
    path: str = COMPLETIONS

    @property
    def item_words(self) -> Lexicon:
        """Words that a bracket closes."""
        return item_lexicon(self.task)

    @property
    def label_words(self) -> Lexicon:
        """The same: the label is asked for by opening its bracket."""
        return item_lexicon(self.task)

    @property
    def logprobs(self) -> Mapping[str, Any]:
        """The number of likely tokens."""
        return {"logprobs": min(MOST_LOGPROBS, self.abilities.logprobs)}

    def ask_item(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the list with one more item opened."""
        return {"prompt": render_prompt(examples, self.task), **self._stop()}

    def ask_label(self, examples: Sequence[Example], text: str, longest: int) -> dict[str, Any]:  # noqa: ARG002
        """Return the list with the text as one more item, whose label is opened."""
        prompt = open_label(render_prompt(examples, self.task), text, self.task)
        # A token has a byte at least; the word has a space before it and a bracket after it.
        most = max(len(word.encode()) for word in self.task.words.values()) + 2
        return {"prompt": prompt, self.abilities.max_tokens: most, **self._stop()}

    def write_item(self, example: Example) -> str:
        """Return what stands behind the opening of an item."""
        return render_item(example, self.task).removeprefix(f"{self.task.text_type.lower().capitalize()}:")

    def parse(self, text: str) -> Parsed:
        """Read a line of the list."""
        return parse_line(text, self.task)

    def read_label(self, text: str) -> str | None:
        """Read the word before the bracket or the end of the line."""
        word, bracket, _ = text.split(STOP, 1)[0].partition(self.label_words.closing)
        standing = self.label_words.judge((word + bracket).encode("utf-8", "surrogatepass"))
        return standing.label

    def _stop(self) -> dict[str, Any]:
        return {"stop": [STOP]} if self.abilities.stop else {}


@dataclass(frozen=True)
class ChatForm:
    """Instructions and examples in messages; a row is answered as JSON, a label as a letter.

    A text may hold any characters there, as JSON escapes them. Nothing can make such a model go on with the beginning
    of a word, so what a beginning leads to is known for the word that was written, and where a schema leaves no choice.
    """

    task: Task
    abilities: Abilities
    path: str = CHAT

    @property
    def item_words(self) -> Lexicon:
        """Words in JSON, which a quote closes."""
        return json_lexicon(self.task, enforced=self.abilities.structured)

    @property
    def label_words(self) -> Lexicon:
        """Letters: each is one token in any vocabulary."""
        return letter_lexicon(self.task)

    @property
    def logprobs(self) -> Mapping[str, Any]:
        """The switch and the number of likely tokens."""
        return {"logprobs": True, "top_logprobs": min(MOST_LOGPROBS, self.abilities.logprobs)}

    def ask_item(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the messages that ask for a row, with a schema where the endpoint takes one."""
        text_type, label_type = self.task.text_type.lower(), self.task.label_type.lower()
        words = [show_word(self.task, label) for label in self.task.labels]
        listed = ", ".join(json.dumps(word, ensure_ascii=False) for word in words)
        system = (
            f"{describe_list(self.task)} The user shows items, one JSON object a line. Write one new item for the "
            'list: answer with one JSON object {"text": ..., "label": ...} and nothing else. '
            f'"text" is a new {text_type} in the manner of the others, "label" is its {label_type}: one of {listed}.'
        )
        body: dict[str, Any] = {"messages": [_say("system", system), _say("user", show_items(examples, self.task))]}
        if self.abilities.structured:
            body["response_format"] = response_format(item_schema(words))
        return body

    def ask_label(self, examples: Sequence[Example], text: str, longest: int) -> dict[str, Any]:
        """Return the messages that ask for the letter of a text's label, after examples of it."""
        letters = {label: chr(ord("A") + place) for place, label in enumerate(self.task.labels)}
        options = "\n".join(f"{letter}: {show_word(self.task, label)}" for label, letter in letters.items())
        system = (
            f"The user shows one {self.task.text_type.lower()} at a time. Answer with the letter of its "
            f"{self.task.label_type.lower()} and nothing else.\n{options}"
        )
        messages = [_say("system", system)]
        for example in examples:
            messages += [_say("user", one_line(example.text)), _say("assistant", letters[example.label])]
        return {"messages": [*messages, _say("user", text)], self.abilities.max_tokens: longest}

    def write_item(self, example: Example) -> str:
        """Return a JSON object."""
        return show_items([example], self.task)

    def parse(self, text: str) -> Parsed:
        """Read a JSON object."""
        return parse_object(text, self.task)

    def read_label(self, text: str) -> str | None:
        """Read a letter."""
        return self.label_words.find(fold(text).rstrip(".):"))


def show_items(examples: Sequence[Example], task: Task) -> str:
    """Write rows as JSON objects, one a line.

    Args:
        examples: The rows, in the order to show them.
        task: The wording of the dataset.
    """
    rows = [{"text": one_line(example.text), "label": show_word(task, example.label)} for example in examples]
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def _say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def item_schema(words: Sequence[str], text: str = "text", label: str = "label") -> dict[str, Any]:
    """Return the JSON schema of a row.

    Args:
        words: The label words; without any the row has no label.
        text: The key of the text.
        label: The key of the label.
    """
    # Endpoints write the keys in the order of the properties: the label must follow from the text.
    properties: dict[str, Any] = {text: {"type": "string"}}
    if words:
        properties[label] = {"type": "string", "enum": list(words)}
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a request that holds an answer to a JSON schema."""
    return {"type": "json_schema", "json_schema": {"name": "item", "strict": True, "schema": dict(schema)}}
