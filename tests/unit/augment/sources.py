"""A row whose label has a source, and what an augmenter asks and makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypermix.augment.base import Augmenter, Material, Slot
from hypermix.augment.gpt3mix import build_gpt3mix
from hypermix.records import Abilities, Completion, Request, SyntheticRow, Task
from tests.unit.augment import playing
from tests.unit.augment.speaker import EXAMPLES, SENTIMENT, SETTINGS, answered

SLOT = Slot(3, 1)
ITEM = '{"text": "a fine film", "label": "Positive"}'
ROW = answered(" a fine film (Sentiment: Positive)", key="the row")


def build(source: str, task: Task = SENTIMENT, changes: Mapping[str, Any] | None = None, **abilities: Any) -> Augmenter:
    material = Material(EXAMPLES, task, 7, Abilities(**abilities))
    return build_gpt3mix({**SETTINGS, "label_source": source, **(changes or {})}, material)


def plan(augmenter: Augmenter, *answers: Completion) -> list[Request]:
    return playing.plan(augmenter, SLOT, answers)


def harvest(augmenter: Augmenter, *answers: Completion) -> SyntheticRow:
    return playing.harvest(augmenter, SLOT, answers)


def rejected(row: SyntheticRow) -> str | None:
    assert (row.soft_label, row.label_source, row.label_mass, row.text) == (None, None, None, row.text)
    return row.reason
