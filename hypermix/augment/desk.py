"""Where requests are written: what all methods have in common that ask for texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import Material, count_rows
from hypermix.augment.prompt import show_word
from hypermix.errors import AugmentError
from hypermix.records import CHAT, COMPLETIONS, Abilities, Choice, Example, Request, Task
from hypermix.seeding import child_seed
from hypermix.templates import Prompt, ShownExample, ShownLabel, one_line, render

_ENDED = {"length": "cut off", "content_filter": "filtered", "refusal": "refused"}
"""Why an answer has no usable end, where it tells."""


@dataclass(frozen=True)
class Asked:
    """A prompt and how its answer ends.

    Attributes:
        prompt: What is said.
        stop: What ends the answer.
        tokens: The longest answer.
        more: Further parts of the request.
    """

    prompt: Prompt
    stop: Sequence[str]
    tokens: int
    more: Mapping[str, Any]


@dataclass(frozen=True)
class Desk:
    """Writes requests.

    Attributes:
        material: What the draw is made from.
        settings: The settings of the augmenter.
    """

    material: Material
    settings: Mapping[str, Any]

    @property
    def abilities(self) -> Abilities:
        """What the endpoint takes."""
        return self.material.abilities or Abilities()

    @property
    def task(self) -> Task:
        """The wording of the dataset."""
        return self.material.task

    @property
    def n_rows(self) -> int:
        """How many rows are wanted: the multiple of the real rows, rounded."""
        return count_rows(len(self.material.examples), self.settings["multiplier"])

    @property
    def attempts(self) -> int:
        """How often a row is tried."""
        return int(self.settings["attempts"])

    def render(self, template: str, values: Mapping[str, Any]) -> Prompt:
        """Fill a template in, with what all templates may use.

        Raises:
            AugmentError: If it cannot be filled in.
        """
        common = {
            "labels": tuple(self.show_label(label) for label in self.task.labels),
            "text_type": self.task.text_type,
            "label_type": self.task.label_type,
            "chat": self.abilities.chat,
        }
        return render(template, {**common, **values})

    def show_label(self, label: str) -> ShownLabel:
        """Return a label as templates see it."""
        return ShownLabel(label, show_word(self.task, label))

    def show(self, examples: Sequence[Example]) -> tuple[ShownExample, ...]:
        """Return rows as templates see them."""
        return tuple(
            ShownExample(one_line(example.text), example.label, show_word(self.task, example.label))
            for example in examples
        )

    def ask(self, asked: Asked, place: Sequence[int | str], *, shared: bool = False) -> Request:
        """Return a request; its sampling depends on the seed and its place alone.

        Args:
            asked: What is asked.
            place: Which request of the draw this is.
            shared: Whether several rows are made from its answer.
        """
        takes, text = self.abilities, asked.prompt.text
        if takes.chat:
            system = [{"role": "system", "content": asked.prompt.system}] if asked.prompt.system else []
            body: dict[str, Any] = {"messages": [*system, {"role": "user", "content": text.strip()}]}
        else:
            body = {"prompt": text}
        body[takes.max_tokens] = asked.tokens
        if asked.stop and takes.stop:
            body["stop"] = list(asked.stop)
        if takes.seed:
            # One name for all methods: what is asked alike is answered alike.
            body["seed"] = child_seed(self.material.seed, ("gpt3mix", "sampling", *place), bits=31)
        if takes.sampling:
            body |= {name: self.settings[name] for name in ("temperature", "top_p")}
        if takes.penalties:
            body["frequency_penalty"] = self.settings["frequency_penalty"]
        sample = "-".join(map(str, (self.material.seed, *place)))
        return Request(CHAT if takes.chat else COMPLETIONS, {**body, **asked.more}, sample, shared)


def cut(text: str, stop: Sequence[str]) -> str:
    """Return a text up to the first stop, for endpoints that take none."""
    ends = [place for end in stop if (place := text.find(end)) >= 0]
    return text[: min(ends)] if ends else text


def tell_end(choice: Choice) -> str | None:
    """Return why an answer has no usable end; None if it ended by itself."""
    return _ENDED.get(choice.finish_reason)


def refuse_labels(named: Sequence[str], task: Task, where: str) -> None:
    """Refuse labels that the dataset lacks.

    Raises:
        AugmentError: If there are any.
    """
    unknown = [label for label in named if label not in task.labels]
    if unknown:
        raise AugmentError(f"{where} names the labels {unknown}, which the dataset lacks; it has {list(task.labels)}")
