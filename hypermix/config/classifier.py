"""The settings of classifiers. A new method is a class here or in a file beside it, and a member of `AnyClassifier`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hypermix.config.encoder import CustomClassifier, Learning, Probe, SetFit
from hypermix.config.recipe import HYPERMIX, MIXINGS, PAPER, RECIPES, fill
from hypermix.config.setting import Name, setting


def _recipe(name: str, doc: str, **more: Any) -> Any:
    """Declare a setting whose default comes from the recipe; the one shown is that of `hypermix`."""
    return setting(HYPERMIX[name], "train", doc, **more)


class Trained(Learning):
    """What the methods that train the whole encoder have."""

    recipe: Literal["hypermix", "mosbach", "zhang"] = setting(
        "hypermix",
        "aggregate",
        "Where settings come from that are not given: `hypermix` is the reference's recipe, `mosbach` and `zhang` are "
        "those of Mosbach et al. 2021 and Zhang et al. 2021 (docs/training.md). What it fills in is what training "
        "depends on, not its name.",
    )
    learning_rate: float = _recipe("learning_rate", "Highest learning rate of AdamW.", gt=0.0, le=1.0)
    epsilon: float = _recipe("epsilon", "Epsilon of AdamW.", gt=0.0, le=1.0)
    weight_decay: float = _recipe("weight_decay", "Weight decay of AdamW, for matrices alone.", ge=0.0)
    clip: float | None = _recipe("clip", "Largest norm of the gradient; null for any.", gt=0.0)
    batch_size: int = _recipe("batch_size", "Rows a step.", unit="rows", ge=1)
    schedule: Literal["constant", "linear"] = _recipe(
        "schedule",
        "The learning rate after the warm-up: `constant`, or `linear` down to 0 at the end that `epochs` or "
        "`max_steps` sets.",
    )
    warmup: float = _recipe(
        "warmup", "Share of the steps, up to that end, in which the learning rate rises from 0.", ge=0.0, lt=1.0
    )
    epochs: int | None = _recipe(
        "epochs", "Epochs after which training stops; null for no such end.", unit="epochs", ge=1
    )
    max_steps: int | None = _recipe(
        "max_steps", "Steps after which training stops; null for no such end.", unit="steps", ge=1
    )
    patience: int | None = _recipe(
        "patience", "Training stops when the best validation accuracy is older than this; null for no early stop.", ge=1
    )
    patience_unit: Literal["epochs", "steps"] = _recipe("patience_unit", "What `patience` counts.")
    min_steps: int = setting(0, "train", "Steps before which training does not stop early.", unit="steps", ge=0)
    keep: Literal["best", "last"] = _recipe(
        "keep", "Which weights predict: those of the best validation accuracy, the first of equal ones, or the last."
    )
    validate_every: int | None = _recipe(
        "validate_every",
        "Steps between validations; null validates after each epoch, as the reference does.",
        unit="steps",
        ge=1,
    )
    match: Name | None = setting(
        None,
        "train",
        "An augmenter: an epoch has as many steps with every augmenter as with this one, so that `epochs`, `patience`, "
        "the schedule and the validations come at equal steps. null: an epoch is a pass over a run's own rows.",
    )
    reinit_layers: int = _recipe(
        "reinit_layers",
        "Top layers of the encoder that start from fresh weights, with the pooler. 0 keeps all of them.",
        unit="layers",
        ge=0,
    )
    reinit_of: int | None = _recipe(
        "reinit_of",
        "Layers of the encoder that `reinit_layers` is meant for; for one of another depth it is scaled, up to whole "
        "layers. null takes the number as it is.",
        unit="layers",
        ge=1,
    )
    max_length: int = _recipe("max_length", "Tokens after which a text is cut.", unit="tokens", ge=8)

    @model_validator(mode="before")
    @classmethod
    def _fill_recipe(cls, given: Any) -> Any:
        return fill(given, "recipe", RECIPES)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        wanted = list(self._misfits())
        if wanted:
            raise ValueError("; and ".join(wanted))
        return self

    def _misfits(self) -> Iterator[str]:
        """Yield what is wanted of settings that do not fit each other."""
        if self.max_steps is not None and self.min_steps > self.max_steps:
            yield f"min_steps of at most max_steps; they are {self.min_steps} and {self.max_steps}"
        end = self.epochs is not None or self.max_steps is not None
        if not end and self.patience is None:
            yield "an end of training: patience, epochs or max_steps; all three are null"
        if not end and (self.schedule != "constant" or self.warmup > 0):
            yield f"epochs or max_steps beside schedule: {self.schedule} and warmup: {self.warmup}; both are null"
        if self.reinit_of is not None and self.reinit_layers > self.reinit_of:
            yield f"reinit_layers of at most reinit_of; they are {self.reinit_layers} and {self.reinit_of}"


class Finetune(Trained):
    """Fine-tuning of an encoder with soft cross-entropy. Defaults are those of the recipe `hypermix`."""

    method: Literal["finetune"] = setting(..., "train", "The kind of classifier.")


class Tmix(Trained):
    """Fine-tuning on rows whose hidden states and targets are mixed in pairs (TMix, Chen et al. 2020).

    Defaults are those of the recipe `hypermix` and of the mixing `hypermix`.
    """

    method: Literal["tmix"] = setting(..., "train", "The kind of classifier.")
    mixing: Literal["hypermix", "mixtext"] = setting(
        "hypermix",
        "aggregate",
        "Where the settings of the mixing come from that are not given: `hypermix` is the paper's, `mixtext` that of "
        "MixText (docs/training.md). What it fills in is what training depends on, not its name.",
    )
    alpha: float = setting(
        PAPER["alpha"], "train", "Shares are drawn from Beta(alpha, alpha); large ones are near a half.", gt=0.0
    )
    layers: list[Annotated[int, Field(ge=1)]] = setting(
        PAPER["layers"],
        "train",
        "The layers, counted from 1, after one of which a batch is mixed; drawn for each batch.",
        min_length=1,
    )
    layers_of: int = setting(
        PAPER["layers_of"],
        "train",
        "Layers of the encoder that `layers` are meant for; for one of another depth they are scaled: 7, 9 and 12 of "
        "12 are 4, 5 and 6 of 6.",
        unit="layers",
        ge=1,
    )
    share_of: Literal["row", "batch"] = setting(
        PAPER["share_of"], "train", "What a share is drawn for: each row, or a whole batch."
    )
    larger: bool = setting(
        PAPER["larger"], "train", "Whether a row's own part is the larger of the share and its complement."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_mixing(cls, given: Any) -> Any:
        return fill(given, "mixing", MIXINGS)

    def _misfits(self) -> Iterator[str]:
        yield from super()._misfits()
        if max(self.layers) > self.layers_of:
            yield f"layers from 1 to layers_of; they are {self.layers} of {self.layers_of}"
        if len(set(self.layers)) < len(self.layers):
            yield f"layers that each stand there once; they are {self.layers}"


AnyClassifier = Annotated[Finetune | Tmix | Probe | SetFit | CustomClassifier, Field(discriminator="method")]
"""A named classifier; `method` tells them apart."""
