"""The prompt of GPT3Mix (Yoo et al. 2021, section 3.1; its wording from the reference's code)."""

from __future__ import annotations

from collections.abc import Sequence

from hypermix.records import Example, Task
from hypermix.templates import one_line

STOP = "\n"
"""An item is one line: the completion ends where the line does."""


def render_prompt(examples: Sequence[Example], task: Task) -> str:
    """Write a description of the list, one line an example, and the opening of one more line.

    Args:
        examples: The rows to show, in order. Line breaks in a text become spaces, since an item is one line.
        task: The wording of the dataset.
    """
    lines = [render_item(example, task) for example in examples]
    return "\n".join([describe_list(task), "", *lines, f"{task.text_type.lower().capitalize()}:"])


def render_item(example: Example, task: Task) -> str:
    """Write one row as a line of the list."""
    text, word = one_line(example.text), show_word(task, example.label)
    return f"{task.text_type.lower().capitalize()}: {text} ({task.label_type.lower().capitalize()}: {word})"


def open_label(prompt: str, text: str, task: Task) -> str:
    """Go on with a prompt up to the label of a text.

    Args:
        prompt: What `render_prompt` wrote.
        text: The text whose label comes next.
        task: The wording of the dataset.
    """
    return f"{prompt} {one_line(text)} ({task.label_type.lower().capitalize()}:"


def describe_list(task: Task) -> str:
    """Say what the list holds and which labels there are."""
    words = [f"'{word.lower()}'" for word in dict.fromkeys(task.words.values())]
    listed = " or ".join([part for part in (", ".join(words[:-1]), words[-1]) if part])
    text_type, label_type = task.text_type.lower(), task.label_type.lower()
    return (
        f"Each item in the following list contains a {text_type} and the respective {label_type}. "
        f"{label_type.capitalize()} is one of {listed}."
    )


def show_word(task: Task, label: str) -> str:
    """Return the word of a label as prompts show it."""
    return task.words[label].lower().capitalize()
