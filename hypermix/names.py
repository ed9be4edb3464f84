"""Names that all parts agree on. Nothing heavy is imported here: Snakemake reads this at each start."""

from __future__ import annotations

KEY_NAMES = ("dataset", "subsample", "data_seed", "augmenter", "classifier", "trial")
"""The partition keys, in the order in which they stand in a path."""


def is_url(name: str) -> bool:
    """Tell whether a file's name is a URL, such as ``https://...`` or ``s3://...``, and no path."""
    return "://" in name
