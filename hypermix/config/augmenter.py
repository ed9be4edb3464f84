"""The settings of the augmenters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from hypermix.config.filter import Filters, Relabel
from hypermix.config.setting import Name, Settings, setting


class Augmenter(Settings):
    """What every augmenter has."""

    draw: Literal["trial", "data_seed"] = setting(
        "trial",
        "augment",
        "`trial` makes new rows for each trial; with `data_seed` the trials of a data seed share them.",
    )


class Sifted(Augmenter):
    """What every augmenter has whose rows may be refused or get another label.

    Attributes:
        COPIES: What `filters.copies` is where it is null.
    """

    COPIES: ClassVar[Literal["near", "exact", "keep"]] = "near"

    filters: Filters = setting(Filters(), "augment", "Which rows are refused, see below.")
    relabel: Relabel | None = setting(
        None, "augment", "Who gives each row another label, see below; null keeps the label that the method gives."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_copies(cls, given: Any) -> Any:
        """Resolve the default, so that what rows depend on stands in the slice."""
        filters = given.get("filters", {}) if isinstance(given, Mapping) else None
        if not isinstance(filters, Mapping) or filters.get("copies") is not None:
            return given
        return {**given, "filters": {**filters, "copies": cls.COPIES}}

    @model_validator(mode="after")
    def _check_relabel(self) -> Self:
        own = getattr(self, "llm", None)
        if self.relabel is None or self.relabel.by != "llm":
            return self
        if own is None and self.relabel.llm is None:
            raise ValueError("relabel.llm, a key of llms, beside relabel.by: llm, since the method asks none itself")
        if own is not None and self.relabel.llm not in {None, own}:
            raise ValueError(f"relabel.llm: null, or {own} as the augmenter has; it is {self.relabel.llm}")
        return self


class Making(Sifted):
    """What every augmenter of ours has that makes new rows, which may fail."""

    multiplier: float = setting(1.0, "augment", "Synthetic rows for each real row.", unit="rows a row", gt=0.0)
    attempts: int = setting(3, "augment", "How often a row is tried until it can be used.", ge=1, le=100)


def asked_llm(augmenter: Augmenter) -> str | None:
    """Return the name of the language model that an augmenter asks for rows or for labels; None if it asks none."""
    own: str | None = getattr(augmenter, "llm", None)
    relabel: Relabel | None = getattr(augmenter, "relabel", None)
    return own if own is not None or relabel is None else relabel.llm


class NoAugmentation(Augmenter):
    """The control without synthetic rows."""

    method: Literal["none"] = setting(..., "augment", "The kind of augmenter.")


class Duplicate(Augmenter):
    """Real rows repeated: the control with as many rows, and so as many steps an epoch."""

    method: Literal["duplicate"] = setting(..., "augment", "The kind of augmenter.")
    multiplier: float = setting(1.0, "augment", "Synthetic rows for each real row.", unit="rows a row", gt=0.0)


class Shuffle(Augmenter):
    """Real rows repeated with wrong labels: the lower bound."""

    method: Literal["shuffle"] = setting(..., "augment", "The kind of augmenter.")
    multiplier: float = setting(1.0, "augment", "Synthetic rows for each real row.", unit="rows a row", gt=0.0)


class Real(Augmenter):
    """Further real rows of train that the subsample left out: the upper bound."""

    method: Literal["real"] = setting(..., "augment", "The kind of augmenter.")
    multiplier: float = setting(1.0, "augment", "Further rows for each real row.", unit="rows a row", gt=0.0)


class Gpt3Mix(Making):
    """New rows by a language model that continues a list of real ones (Yoo et al. 2021, section 3)."""

    method: Literal["gpt3mix"] = setting(..., "augment", "The kind of augmenter.")
    llm: Name = setting(..., "augment", "The name of the language model, a key of `llms`.")
    examples: int = setting(2, "augment", "Real rows in a prompt (k in the paper).", unit="rows", ge=1)
    labels: Literal["soft", "hard"] = setting(
        "soft",
        "augment",
        "`soft` labels are the probabilities of the label words; `hard` is the word that was written.",
    )
    label_source: Literal["logprobs", "scoring", "classify", "decisions", "vote", "hard"] | None = setting(
        None,
        "augment",
        "Where soft labels come from. `logprobs`: the probabilities at the label word of the generated row. `scoring`: "
        "those of every label word after the text, by `transformers`, and by `completions` where the endpoint tells "
        "those of a prompt. `classify`: a second request that asks for the label alone. `decisions`: OpenAI's "
        "Decisions endpoint, beside `chat`. `vote`: `votes` draws of the label. `hard`: nowhere, beside "
        "`labels: hard`. null: `logprobs` for soft labels, `hard` for hard ones.",
    )
    votes: int = setting(20, "augment", "Draws of the label with `label_source: vote`.", ge=2, le=128)
    sampling: Literal["uniform", "balanced", "closest", "furthest"] = setting(
        "uniform",
        "augment",
        "How the rows of a prompt are drawn, always without replacement. `uniform`: from all labels alike. "
        "`balanced`: as many of each label; if the labels do not divide them, the rest are of labels that are drawn. "
        "`closest`, `furthest`: one alike, the others by the softmax of the similarity of their sentence embeddings to "
        "it, or of its negative.",
    )
    max_tokens: int = setting(100, "augment", "The longest answer.", unit="tokens", ge=1)
    temperature: float = setting(1.0, "augment", "Sampling temperature.", ge=0.0, le=2.0)
    top_p: float = setting(1.0, "augment", "Share of the probability that tokens are sampled from.", gt=0.0, le=1.0)
    frequency_penalty: float = setting(
        0.01, "augment", "Penalty on tokens that the answer already has.", ge=-2.0, le=2.0
    )

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        wanted = "hard" if self.label_source == "hard" else "soft"
        if self.label_source is not None and self.labels != wanted:
            raise ValueError(f"labels: {wanted} beside label_source: {self.label_source}; labels is {self.labels}")
        return self
