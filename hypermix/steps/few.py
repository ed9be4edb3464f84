"""Whether a draw has enough rows to be measured, told without what measuring needs."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from hypermix.augment.quality.catalog import LEAST


def has_few(synthetic: Path) -> bool:
    """Tell whether a draw has fewer rows than any measure of their texts needs."""
    return int(pq.read_metadata(synthetic).num_rows) < LEAST
