"""All kinds of augmenters that a config may name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hypermix.config.augmenter import Duplicate, Gpt3Mix, NoAugmentation, Real, Shuffle
from hypermix.config.augmenter_llm import Conditional, Paraphrase, Template

AnyAugmenter = Annotated[
    NoAugmentation | Duplicate | Shuffle | Real | Gpt3Mix | Template | Paraphrase | Conditional,
    Field(discriminator="method"),
]
