"""The settings of the classifiers that start from an encoder, whichever method trains them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from hypermix.config.setting import Settings, package_check, setting
from hypermix.packages import ENCODERS, package_name
from hypermix.plugins import check_plugin

Encoder = Annotated[str, package_check(ENCODERS)]
"""The name of an encoder."""


class Encoding(Settings):
    """The encoder, and where it computes."""

    method: str = setting(..., "train", "The kind of classifier.")
    model: Encoder = setting(
        "package:minilm-l6",
        "train",
        "`package:minilm-l6` (all-MiniLM-L6-v2, which a package carries), a folder, or a model id of the hub. Weights "
        "are read from safetensors only.",
        min_length=1,
    )
    revision: str | None = setting(
        None,
        "train",
        "A commit, branch or tag of the hub; null for its main branch. With a commit every run has the same weights, "
        "and the hub is asked once.",
        min_length=1,
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto",
        "train",
        "Where it computes: `auto` takes a GPU if there is one. Other devices give other last bits, so a change "
        "trains again; another machine under `auto` does not.",
    )

    @model_validator(mode="after")
    def _check_revision(self) -> Self:
        if self.revision is not None and package_name(self.model) is not None:
            raise ValueError(f"revision: null beside model: {self.model}, whose version is that of its package")
        return self


class Learning(Encoding):
    """What is learned of the rows, and in which numbers, for the methods that learn soft labels."""

    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "train",
        "The numbers of matrix products: `auto` takes bfloat16 on a GPU that has it, else float32. Weights and losses "
        "are float32 always.",
    )
    targets: Literal["soft", "hard", "sharpened"] = setting(
        "soft",
        "train",
        "What is learned of a soft label: `soft` all of it, `hard` its likeliest label alone, `sharpened` its "
        "probabilities to the power of 1 / `sharpen`.",
    )
    sharpen: float = setting(
        0.5, "train", "The temperature of `targets: sharpened`; towards 0 it is `hard`, 1 is `soft`.", gt=0.0, le=1.0
    )
    label_smoothing: float = setting(
        0.0, "train", "Share of every target that is spread over all labels alike.", ge=0.0, lt=1.0
    )
    synthetic_weight: float = setting(
        1.0,
        "train",
        "Weight of a synthetic row's loss against a real one's. For 0 leave the rows out: `method: none`.",
        gt=0.0,
    )
    max_length: int = setting(512, "train", "Tokens after which a text is cut.", unit="tokens", ge=8)


class Probe(Learning):
    """A linear head on frozen embeddings: the fast baseline. Nothing of the encoder is trained."""

    method: Literal["probe"] = setting(..., "train", "The kind of classifier.")
    penalties: list[Annotated[float, Field(gt=0.0)]] = setting(
        [10.0, 1.0, 0.1, 0.01],
        "train",
        "Strengths of the L2 penalty to try, against the sum of the rows' losses; the best validation accuracy "
        "decides, of equal ones the first. Without validation rows the one in the middle is taken.",
        min_length=1,
    )

    @model_validator(mode="after")
    def _check_penalties(self) -> Self:
        if len(set(self.penalties)) < len(self.penalties):
            raise ValueError(f"penalties that each stand there once; they are {self.penalties}")
        return self


class SetFit(Encoding):
    """SetFit (Tunstall et al. 2022) by its library, an optional extra: pairs of rows, then a logistic regression.

    It takes no soft labels: each row has its likeliest one. Defaults are the library's, but for `iterations`.
    """

    method: Literal["setfit"] = setting(..., "train", "The kind of classifier.")
    iterations: int | None = setting(
        20,
        "train",
        "Pairs of one label, and as many of two labels, for each row, as in the library's `SetFitTrainer`; null takes "
        "all pairs of rows, which is its newer default and grows with the square of the rows.",
        ge=1,
    )
    epochs: int = setting(1, "train", "Passes over the pairs.", unit="epochs", ge=1)
    batch_size: int = setting(16, "train", "Pairs a step.", unit="pairs", ge=1)
    learning_rate: float = setting(2e-5, "train", "Highest learning rate of AdamW.", gt=0.0, le=1.0)
    max_length: int = setting(256, "train", "Tokens after which a text is cut.", unit="tokens", ge=8)


def _check_plugin(name: str) -> str:
    return check_plugin(name, "classifier")


class CustomClassifier(Encoding):
    """A classifier of an installed package, by its entry point in the group `hypermix.classifiers`."""

    method: Literal["custom"] = setting(..., "train", "The kind of classifier.")
    name: Annotated[str, AfterValidator(_check_plugin)] = setting(..., "train", "The name of its entry point.")
    settings: dict[str, JsonValue] = setting({}, "train", "Its own settings.")
