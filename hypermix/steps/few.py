"""quality of a draw with few rows: nothing of their texts is measured, so it needs no torch and starts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hypermix.augment.quality.catalog import LEAST

SHARED = ("hypermix.steps.quality",)
"""What a keeper of its own imports, without what measuring needs."""


def has_few(synthetic: Path) -> bool:
    """Tell whether a draw has fewer rows than any measure of their texts needs."""
    return int(pq.read_metadata(synthetic).num_rows) < LEAST


def run(**arguments: Any) -> None:
    """Do what `hypermix.steps.quality.run` does."""
    from hypermix.steps import quality

    quality.run(**arguments)
