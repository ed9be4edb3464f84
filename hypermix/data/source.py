"""From the settings of a dataset to its rows, whatever the source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypermix.data.file import open_files
from hypermix.data.hub import open_hub
from hypermix.data.packaged import open_packaged
from hypermix.data.raw import RawData
from hypermix.data.rows import Columns


def wanted_columns(settings: Mapping[str, Any]) -> Columns:
    """Return which columns a dataset's rows are made from."""
    if settings["source"] == "packaged":
        return Columns(["text"], "label")
    return Columns(settings["text"], settings["label"], settings["group"], settings["labels"])


def open_source(settings: Mapping[str, Any], cache: Path) -> RawData:
    """Open the splits of a dataset.

    Args:
        settings: What `prepare` sees of the dataset.
        cache: The folder for what is fetched.

    Raises:
        DataError: If the source cannot be had.
    """
    if settings["source"] == "packaged":
        return open_packaged(cache / "downloads")
    if settings["source"] == "file":
        return open_files(settings, wanted_columns(settings), cache)
    return open_hub(settings)
