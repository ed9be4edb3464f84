"""What travels between stages in memory. Frozen; files have their own schemas in `hypermix.tables`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """One labeled row."""

    id: str
    text: str
    label: str


@dataclass(frozen=True)
class Task:
    """How a dataset is worded in a prompt.

    Attributes:
        text_type: What a text is, such as ``movie review``.
        label_type: What a label is, such as ``sentiment``.
        words: The label word (verbalizer) of each label, in label order (sorted label names).
    """

    text_type: str
    label_type: str
    words: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """The label names, sorted: the order of all probabilities."""
        return tuple(self.words)


@dataclass(frozen=True)
class Token:
    """One generated token.

    Attributes:
        text: Its characters, from its bytes where the server tells them.
        logprob: Natural logarithm of its probability.
        top: The likeliest tokens at this position and their log-probabilities, likeliest first.
    """

    text: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...]


@dataclass(frozen=True)
class Request:
    """One question to a language model.

    Attributes:
        body: What is sent, except the model's name: prompt and sampling settings.
        sample: Which draw this is, so that equal bodies can be asked more than once.
    """

    body: Mapping[str, Any]
    sample: str


@dataclass(frozen=True)
class Completion:
    """One answer of a language model, read from what the store holds.

    Attributes:
        key: The request key under which the raw answer is stored.
        text: The generated text, without the stop sequence.
        finish_reason: ``stop``, ``length`` or what else the server says.
        tokens: The generated tokens with log-probabilities; empty where the server gave none.
    """

    key: str
    text: str
    finish_reason: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class SyntheticRow:
    """One row that an augmenter made or failed to make.

    Attributes:
        index: Which synthetic row of the draw this is.
        text: The text; None if there is none.
        label: The label; None if there is none.
        soft_label: A probability for each label in label order; None if there is none.
        label_source: How the soft label was had: ``real``, ``logprobs`` or ``hard``.
        label_mass: Share of the probability at the label's position that lay on label words, 0 to 1.
        source_ids: The rows that the prompt showed, or the row that was copied.
        request_key: The stored answer behind this row; None if no language model was asked.
        reason: Why the row is not used; None if it is.
    """

    index: int
    text: str | None
    label: str | None
    soft_label: tuple[float, ...] | None
    label_source: str | None
    label_mass: float | None
    source_ids: tuple[str, ...]
    request_key: str | None
    reason: str | None

    @property
    def kept(self) -> bool:
        """Whether the row is trained on."""
        return self.reason is None
