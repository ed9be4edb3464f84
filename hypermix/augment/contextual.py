"""Words replaced by what a masked language model expects there (Kobayashi 2018, without its label condition)."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.derived import Source, derive
from hypermix.augment.eda import count_changes
from hypermix.augment.tools import Fill
from hypermix.augment.words import Words
from hypermix.errors import AugmentError
from hypermix.seeding import child_generator


@AUGMENTERS.register("contextual")
def build_contextual(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter.

    Args:
        settings: ``multiplier``, ``attempts``, the ``share`` of words that are replaced, and ``most`` of them.
        material: Its tools fill masks.

    Raises:
        AugmentError: If nothing fills masks.
    """
    fill = material.tools.fill
    if fill is None:
        raise AugmentError("contextual asks a masked language model, and none is at hand; give the material its tools")

    def change(source: Source, slot: Slot) -> str | None:
        words = Words.of(source.example.text)
        if not words:
            return None
        draw = child_generator(material.seed, ("contextual", *slot))
        count = min(count_changes(settings["share"], len(words)), settings["most"])
        # One after the other: each is drawn in the sight of those before it.
        for place in draw.sample(range(len(words)), min(count, len(words))):
            found = _draw(words, place, fill, draw)
            if found is not None:
                words.replace(place, found)
        return str(words)

    return derive(material, settings, change)


def _draw(words: Words, place: int, fill: Fill, draw: Random) -> str | None:
    """Draw another word for a place by its probability; None if there is none."""
    now = words.words[place]
    likely = [
        (word, weight)
        for word, weight in fill(str(words), *words.span(place))
        if Words.of(word).words == [word] and word.casefold() != now.casefold()
    ]
    if not likely or sum(weight for _, weight in likely) <= 0:
        return None
    return draw.choices([word for word, _ in likely], [weight for _, weight in likely])[0]
