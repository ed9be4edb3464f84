"""Prompt templates: Jinja in a sandbox, which reads no files, knows no time and draws no lots."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hypermix.errors import AugmentError, accepted

_FAULTS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What an expression of a template can raise."""


@dataclass(frozen=True)
class Prompt:
    """What a template says.

    Attributes:
        text: The prompt to go on with, or the user's message.
        system: The message of the system before it; empty if there is none.
    """

    text: str
    system: str = ""


@dataclass(frozen=True)
class ShownLabel:
    """A label as templates see it.

    Attributes:
        name: Its name in the data.
        word: Its label word.
    """

    name: str
    word: str


@dataclass(frozen=True)
class ShownExample:
    """A row as templates see it.

    Attributes:
        text: Its text in one line.
        label: The name of its label.
        word: The word of its label.
    """

    text: str
    label: str
    word: str


VARIABLES: Mapping[str, Any] = {
    "examples": (ShownExample("a fine film", "pos", "Positive"), ShownExample("a dull film", "neg", "Negative")),
    "labels": (ShownLabel("neg", "Negative"), ShownLabel("pos", "Positive")),
    "text_type": "movie review",
    "label_type": "sentiment",
    "count": 2,
    "chat": False,
}
"""What each template may use, with stand-ins."""

ASKED: Mapping[str, Any] = {"label": ShownLabel("pos", "Positive")}
"""What a template may use too where a label is asked for."""


def render(text: str, values: Mapping[str, Any]) -> Prompt:
    """Fill a template in.

    Args:
        text: The template.
        values: Its variables. They are data: nothing in them is taken for a part of the template.

    Raises:
        AugmentError: If it is no template, or asks for what is not there.
    """
    try:
        module = _compile(text).make_module(dict(values))
    except _FAULTS as error:
        raise AugmentError(f"the prompt template cannot be filled in: {_word(error, text)}; mend it") from error
    return Prompt(str(module), str(getattr(module, "system", "")).strip())


def find_fault(text: str, more: Mapping[str, Any] | None = None) -> str | None:
    """Return what is wrong with a template; None if it can be filled in.

    It is filled in with stand-ins, so that a wrong attribute is found as well as a wrong name.

    Args:
        text: The template.
        more: Stand-ins for what it may use beside `VARIABLES`.
    """
    known = {**VARIABLES, **(more or {})}
    try:
        tree = _environment().parse(text)
        used = sorted(meta.find_undeclared_variables(tree))
    except TemplateSyntaxError as error:
        return _word(error, text)
    joined = next(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)), None)
    if joined is not None:
        return f"line {joined.lineno}: a template reads no other files; write it in one"
    for name in used:
        if name not in known:
            return f"{_line_of(tree, name)}unknown variable {name!r}; {accepted(name, known)}"
    for chat in (False, True):
        try:
            _compile(text).make_module({**known, "chat": chat})
        except _FAULTS as error:
            return _word(error, text)
    return None


def one_line(text: str) -> str:
    """Return a text as one line: line breaks become spaces."""
    return " ".join(text.splitlines())


@lru_cache(maxsize=32)
def _compile(text: str) -> Template:
    return _environment().from_string(text)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    found = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # What draws lots would make a row depend on more than its seed.
    found.filters.pop("random")
    found.globals.pop("lipsum")
    # Jinja's own escapes characters for HTML.
    found.filters |= {"tojson": lambda value: json.dumps(value, ensure_ascii=False), "one_line": one_line}
    return found


def _word(error: Exception, text: str) -> str:
    if isinstance(error, TemplateSyntaxError):
        return f"line {error.lineno}: {error.message}"
    template = _compile(text)
    lines = [
        template.get_corresponding_lineno(number)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == (template.filename or "<template>")
    ]
    told = str(error).replace("hypermix.templates.", "") or type(error).__name__
    return f"line {lines[-1]}: {told}" if lines else told


def _line_of(tree: nodes.Template, name: str) -> str:
    found: Iterable[nodes.Name] = tree.find_all(nodes.Name)
    lines = [one.lineno for one in found if one.name == name]
    return f"line {min(lines)}: " if lines else ""
