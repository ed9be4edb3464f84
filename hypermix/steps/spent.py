"""What an augmentation spent, from the end of its receipt: a look costs a tenth of reading the table."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypermix.files import read_end, read_table
from hypermix.report.format import is_defined

SPENDING = ("requests_paid", "requests_replayed", "requests_unknown", "usd_paid")
"""The columns of a receipt that are told while an experiment runs; they stand in the metadata of the receipt too."""

SPENT = "spent"
"""Their name in the metadata."""

_TAIL_BYTES = 1 << 14
_FOUND = re.compile(rb'"' + SPENT.encode() + rb'":(\{[^{}]*\})')


def read_spent(receipt: Path) -> dict[str, float | None]:
    """Read what an augmentation spent.

    Args:
        receipt: Its receipt; one that does not tell it in its metadata is read as a table.

    Returns:
        The values of `SPENDING`; None for what is not known.

    Raises:
        ArtefactError: If it cannot be read.
    """
    try:
        found = _FOUND.findall(read_end(str(receipt), _TAIL_BYTES))
    except OSError:
        found = []  # the table's error is the user's
    if found:
        told: dict[str, float | None] = json.loads(found[-1])
        return told
    row = read_table(receipt, "receipt").iloc[0]
    return {name: float(row[name]) if is_defined(row[name]) else None for name in SPENDING}
