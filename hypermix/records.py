"""What travels between stages in memory. Frozen; files have their own schemas in `hypermix.tables`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        logprob: Natural logarithm of its probability; NaN for the first token of an echoed prompt, which has none.
        top: The likeliest tokens at this position and their log-probabilities, likeliest first.
    """

    text: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...]


COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
DECISIONS = "/v1/decisions"
"""The APIs that a request may be for, by OpenAI's names, whatever the base URL of the endpoint is."""


@dataclass(frozen=True)
class Abilities:
    """What an endpoint takes: known for a model that runs here, found out by a probe for others.

    Attributes:
        chat: Whether rows are asked for by messages, and not by a prompt to go on with.
        logprobs: How many likely tokens it tells at each position; 0 if it tells no log-probabilities.
        echo: Whether it tells the log-probabilities of the tokens of a prompt.
        n: Whether it takes `n`, several draws for one prompt.
        stop: Whether it takes `stop`.
        seed: Whether it takes `seed`.
        sampling: Whether it takes `temperature` and `top_p`.
        penalties: Whether it takes `frequency_penalty`.
        structured: Whether it takes a JSON schema for the answer.
        max_tokens: The name of its limit of the answer's length.
        prompts: Whether it takes a list of prompts; nothing here sends one, since each row is a request of its own.
        effort: Whether it takes `reasoning_effort`, which a user may set.
    """

    chat: bool = False
    logprobs: int = 20
    echo: bool = False
    n: bool = True
    stop: bool = True
    seed: bool = True
    sampling: bool = True
    penalties: bool = True
    structured: bool = False
    max_tokens: str = "max_tokens"
    prompts: bool = False
    effort: bool = False


@dataclass(frozen=True)
class Request:
    """One question to a language model.

    Attributes:
        path: The API that is asked: `COMPLETIONS`, `CHAT` or `DECISIONS`.
        body: What is sent, except the model's name: prompt or messages, and sampling settings.
        sample: Which draw this is, so that equal bodies can be asked more than once.
        shared: Whether several rows of a draw are made from the answer, so that each asks for it.
    """

    path: str
    body: Mapping[str, Any]
    sample: str
    shared: bool = False


@dataclass(frozen=True)
class Choice:
    """One of the answers to a request.

    Attributes:
        text: The generated text, without the stop sequence; with `echo` the prompt before it.
        finish_reason: ``stop``, ``length``, ``content_filter``, ``refusal`` or what else the server says.
        tokens: The tokens of the text with log-probabilities; empty where the server gave none.
    """

    text: str
    finish_reason: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Completion:
    """What a language model answered, read from what the store holds.

    Attributes:
        key: The request key under which the raw answer is stored.
        choices: At least one, in the order of their indexes; for a decision one without tokens.
        probabilities: What a decision gave each of its values; empty for other requests and for a refusal.
    """

    key: str
    choices: tuple[Choice, ...]
    probabilities: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].text

    @property
    def finish_reason(self) -> str:
        """Why the first choice ended."""
        return self.choices[0].finish_reason

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the first choice."""
        return self.choices[0].tokens


@dataclass(frozen=True)
class SyntheticRow:
    """One row that an augmenter made or failed to make.

    Attributes:
        index: Which synthetic row of the draw this is.
        text: The text; None if there is none.
        label: The label; None if there is none.
        soft_label: A probability for each label in label order; None if there is none.
        label_source: How the soft label was had: ``real``, or a `label_source` of the config such as ``logprobs``.
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
