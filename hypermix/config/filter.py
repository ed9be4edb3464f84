"""The settings of what follows the making of rows: filters, and other labels."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from hypermix.config.encoder import Encoder
from hypermix.config.setting import Name, Settings, setting
from hypermix.packages import package_name


class Filters(Settings):
    """Which rows are refused; each is made again, up to `attempts`, and stays in the results with its reason.

    A row without a text, or with spaces and invisible characters alone, is always refused.
    """

    copies: Literal["near", "exact", "keep"] | None = setting(
        None,
        "augment",
        "Refuse a row that is a copy of a prompt example, of a train row of the subsample or of another synthetic row: "
        "`near` copies too, `exact` ones alone (whatever the case, the spaces and the punctuation), or `keep` all. "
        "null is `near`, and `exact` for the methods that change a few words of a real row.",
    )
    leaks: Literal["near", "exact", "keep"] = setting(
        "near", "augment", "The same for a row that is a copy of any test row of the dataset."
    )
    similarity: float = setting(
        0.75,
        "augment",
        "The least similarity that is near: the words and pairs of adjacent words that two texts share, by all of both "
        "(docs/augmenters.md).",
        ge=0.5,
        le=1.0,
    )
    longest: float | None = setting(
        2.0,
        "augment",
        "Refuse a text with more characters than this many times those of the longest real row of the subsample; null "
        "takes any length.",
        unit="lengths of the longest real row",
        gt=0.0,
    )
    language: str | None = setting(
        None,
        "augment",
        "The code of the language of the texts, such as `en`: a row that is more likely than not in another one is "
        "refused, by the library py3langid. null does not ask.",
        pattern=r"^[a-z]{2,3}$",
    )
    least_mass: float = setting(
        0.0,
        "augment",
        "Refuse a row whose label words got less than this share of the probability; rows without such a share pass.",
        ge=0.0,
        le=1.0,
    )
    quota: float | None = setting(
        None,
        "augment",
        "Refuse a row of a class that has its share: of each round of as many rows as the subsample has, a class may "
        "fill this many equal shares. 1.0 makes the classes equal; null sets no bound.",
        unit="equal shares",
        ge=1.0,
    )


class Relabel(Settings):
    """Another label for each row, by someone who did not write it."""

    by: Literal["llm", "classifier"] = setting(
        ...,
        "augment",
        "`llm`: the language model of the augmenter is asked for the label of the text alone. `classifier`: a linear "
        "head on frozen embeddings that learns from the real rows of the subsample.",
    )
    then: Literal["replace", "drop"] = setting(
        "replace",
        "augment",
        "`replace`: the row gets the new label and soft label. `drop`: a row whose label differs is refused, and the "
        "others stay as they are.",
    )
    llm: Name | None = setting(
        None,
        "augment",
        "The language model, a key of `llms`, where the augmenter has none of its own.",
    )
    examples: int = setting(
        8, "augment", "Real rows that `by: llm` shows with their labels, at most.", unit="rows", ge=0
    )
    labels: Literal["soft", "hard"] = setting(
        "soft",
        "augment",
        "What `by: llm` gives: `soft` labels are the probabilities of the label words, `hard` is the word that was "
        "written, for endpoints that tell no log-probabilities.",
    )
    max_tokens: int = setting(
        10, "augment", "The longest answer with `by: llm`, `labels: hard` and `api: chat`.", unit="tokens", ge=1
    )
    model: Encoder = setting(
        "package:minilm-l6",
        "augment",
        "The encoder of `by: classifier`: `package:minilm-l6`, a folder, or a model id of the hub.",
        min_length=1,
    )
    revision: str | None = setting(
        None,
        "augment",
        "A commit, branch or tag of the encoder on the hub; null for its main branch.",
        min_length=1,
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.by == "classifier" and self.llm is not None:
            raise ValueError(f"llm: null beside by: classifier, which asks none; llm is {self.llm}")
        if self.revision is not None and package_name(self.model) is not None:
            raise ValueError(f"revision: null beside model: {self.model}, whose version is that of its package")
        return self
