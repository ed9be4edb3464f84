"""Texts translated into another language and back (Sennrich et al. 2016; as augmentation Yu et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.derived import Derived, Source
from hypermix.errors import AugmentError
from hypermix.seeding import child_seed


@AUGMENTERS.register("backtranslate")
def build_backtranslate(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter.

    Args:
        settings: ``multiplier`` and ``attempts``.
        material: Its tools translate.

    Raises:
        AugmentError: If nothing translates.
    """
    translate = material.tools.translate
    if translate is None:
        raise AugmentError("backtranslate asks translation models, and none are at hand; give the material its tools")

    def change(source: Source, slot: Slot) -> str | None:
        return translate(source.example.text, child_seed(material.seed, ("backtranslate", *slot), bits=63)) or None

    return Derived(material, settings["multiplier"], settings["attempts"], change)
