"""The rows that were made and not used, in words: how many, and why."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hypermix.report.format import count, percent

COLUMNS = ("augmenter", "reason", "rows", "tries")
"""The columns of what is shown, a row an augmenter and reason; ``tries`` are all rows that the augmenter made."""


def rejected_rows(rejected: pd.DataFrame) -> list[dict[str, Any]]:
    """Word how many rows of each augmenter were not used, by reason, in the order of the frame.

    Args:
        rejected: See `COLUMNS`.
    """
    return [
        {
            "augmenter": record["augmenter"],
            "reason": record["reason"],
            "rows": count(record["rows"]),
            "tries": count(record["tries"]),
            "share": percent(record["rows"] / record["tries"]),
        }
        for record in rejected.to_dict("records")
    ]
