"""The method `custom`: an augmenter of another package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material
from hypermix.errors import AugmentError
from hypermix.plugins import load_plugin

_NEEDED = ("n_rows", "attempts", "most_requests", "rehearse", "talk")


@AUGMENTERS.register("custom")
def build_custom(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make an augmenter by the factory of another package, which gets its own settings and the material.

    Raises:
        AugmentError: If no installed package has it, or what it makes is no augmenter.
    """
    name = settings["name"]
    made: Augmenter = load_plugin(name)(settings["settings"], material)
    lacking = [part for part in _NEEDED if not hasattr(made, part)]
    if lacking:
        raise AugmentError(
            f"the augmenter {name!r} lacks {', '.join(lacking)} of hypermix.augment.base.Augmenter; ask its makers"
        )
    return made
