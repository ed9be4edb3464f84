"""Several paraphrases of a row in one call, with its label, as AugGPT (Dai et al. 2023, arXiv 2302.13007) asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.augment.desk import Desk
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.reader import NumberedReader
from hypermix.augment.sampling import in_turn
from hypermix.augment.texts import Failure, Plain, Texts, Wanted, packaged_template


@dataclass(frozen=True)
class EachRow(Plain):
    """Composes a call for each row in turn."""

    def compose(self, desk: Desk, call: Slot) -> Dialogue[Wanted | Failure]:
        """Take the row whose turn it is."""
        yield from ()
        examples = desk.material.examples
        example = examples[in_turn(desk.material.seed, "rows", len(examples), call.row)]
        return Wanted({"example": desk.show([example])[0]}, [example], example.label, "example")


@AUGMENTERS.register("paraphrase")
def build_paraphrase(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter that paraphrases rows."""
    desk = Desk(material, settings)
    return Texts(desk, EachRow(), packaged_template("paraphrase"), NumberedReader(settings["per_call"]))
