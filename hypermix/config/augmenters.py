"""All kinds of augmenters that a config may name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hypermix.config.augmenter import Duplicate, Gpt3Mix, NoAugmentation, Real, Shuffle
from hypermix.config.augmenter_llm import (
    Attributed,
    Conditional,
    Cotam,
    Custom,
    Paraphrase,
    PromptMix,
    Template,
)
from hypermix.config.augmenter_offline import Backtranslate, Contextual, Eda

AnyAugmenter = Annotated[
    NoAugmentation
    | Duplicate
    | Shuffle
    | Real
    | Eda
    | Contextual
    | Backtranslate
    | Gpt3Mix
    | Paraphrase
    | Conditional
    | Attributed
    | PromptMix
    | Cotam
    | Template
    | Custom,
    Field(discriminator="method"),
]
