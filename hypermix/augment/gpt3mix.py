"""GPT3Mix: rows that a language model writes after a list of real ones (Yoo et al. 2021, section 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hypermix.augment.base import AUGMENTERS, Augmenter, Slot, count_rows, one_hot
from hypermix.augment.parse import SoftLabel, parse_row, score_labels
from hypermix.augment.prompt import STOP, render_prompt
from hypermix.errors import AugmentError
from hypermix.records import Completion, Example, Request, SyntheticRow, Task
from hypermix.seeding import child_generator, child_seed

TOP_LOGPROBS = 20
"""Likely tokens asked for at each position: the most that today's endpoints give (the paper had 100)."""


@dataclass(frozen=True)
class Gpt3Mix:
    """Asks for one row a prompt of k rows, drawn from all classes alike.

    Attributes:
        task: The wording of the dataset.
        examples: Rows in a prompt, k.
        multiplier: Synthetic rows for each real row.
        labels: Whether labels are the model's probabilities or the word that it wrote.
        request: The settings that go into a request as they are.
        attempts: How often a row is tried.
    """

    task: Task
    examples: int
    multiplier: float
    labels: Literal["soft", "hard"]
    request: Mapping[str, Any]
    attempts: int

    def n_rows(self, n_examples: int) -> int:
        """Return the multiple of the real rows, rounded."""
        return count_rows(n_examples, self.multiplier)

    def plan(self, examples: Sequence[Example], seed: int, slots: Sequence[Slot]) -> list[Request]:
        """Return a request for each slot; rows and sampling seed depend on (seed, row, attempt) alone.

        Raises:
            AugmentError: If a prompt needs more rows than there are.
        """
        if self.examples > len(examples):
            raise AugmentError(
                f"a prompt of {self.examples} examples needs as many rows, the subsample has {len(examples)}; "
                "lower the augmenter's examples or raise the subsample"
            )
        return [self._ask(examples, seed, slot) for slot in slots]

    def harvest(
        self, examples: Sequence[Example], seed: int, slots: Sequence[Slot], completions: Sequence[Completion]
    ) -> list[SyntheticRow]:
        """Return the row that each answer holds; a row that cannot be used says why."""
        return [
            self._read(slot, tuple(example.id for example in self._show(examples, seed, slot)), completion)
            for slot, completion in zip(slots, completions, strict=True)
        ]

    def _show(self, examples: Sequence[Example], seed: int, slot: Slot) -> list[Example]:
        return child_generator(seed, ("gpt3mix", "examples", *slot)).sample(list(examples), self.examples)

    def _ask(self, examples: Sequence[Example], seed: int, slot: Slot) -> Request:
        body = {
            "prompt": render_prompt(self._show(examples, seed, slot), self.task),
            "stop": [STOP],
            "seed": child_seed(seed, ("gpt3mix", "sampling", *slot), bits=31),
            **self.request,
        }
        if self.labels == "soft":
            body["logprobs"] = TOP_LOGPROBS
        return Request(body, f"{seed}-{slot.row}-{slot.attempt}")

    def _read(self, slot: Slot, shown: tuple[str, ...], completion: Completion) -> SyntheticRow:
        parsed = parse_row(completion.text, self.task)
        reason = parsed.reason
        if reason == "no label" and completion.finish_reason == "length":
            reason = "cut off"
        soft = None
        if reason is None and parsed.word_at is not None and parsed.label is not None:
            soft = self._label(completion, parsed.word_at, parsed.label)
            reason = None if soft else "no label probabilities"
        return SyntheticRow(
            index=slot.row,
            text=parsed.text,
            label=parsed.label,
            soft_label=soft.probabilities if soft else None,
            label_source={"soft": "logprobs", "hard": "hard"}[self.labels] if soft else None,
            label_mass=soft.mass if soft and self.labels == "soft" else None,
            source_ids=shown,
            request_key=completion.key,
            reason=reason,
        )

    def _label(self, completion: Completion, word_at: int, label: str) -> SoftLabel | None:
        if self.labels == "hard":
            return SoftLabel(one_hot(label, self.task.labels), 1.0)
        return score_labels(completion.tokens, word_at, self.task)


@AUGMENTERS.register("gpt3mix")
def build_gpt3mix(settings: Mapping[str, Any], task: Task) -> Augmenter:
    """Make the augmenter from its settings.

    Raises:
        AugmentError: If a label word cannot stand in a prompt, or two labels share one.
    """
    unfit = [word for word in task.words.values() if re.search(r"[()\r\n]", word)]
    if unfit:
        raise AugmentError(f"{unfit} cannot stand in a prompt; give these labels words without brackets in label_words")
    words: dict[str, str] = {}
    for label, word in task.words.items():
        folded = word.strip().casefold()
        if folded in words:
            raise AugmentError(
                f"the labels {words[folded]!r} and {label!r} share the label word {word!r}; give each its own "
                "with the dataset's label_words"
            )
        words[folded] = label
    return Gpt3Mix(
        task=task,
        examples=settings["examples"],
        multiplier=settings["multiplier"],
        labels=settings["labels"],
        request={name: settings[name] for name in ("max_tokens", "temperature", "top_p", "frequency_penalty")},
        attempts=settings["attempts"],
    )
