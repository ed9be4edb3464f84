"""The way from a file's bytes to its clean rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hypermix.data.file import open_file
from hypermix.data.rows import Columns, clean_batches
from hypermix.errors import DataError

SETTINGS = {"format": None, "encoding": "utf-8", "separator": None, "quoting": "csv"}
COLUMNS = Columns(["text"], "label")


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Any]]:
    """Return a function that writes a file and returns its clean rows: text, label and the group if asked."""

    def write_and_read(name: str, content: str | bytes, columns: Columns = COLUMNS, **settings: Any) -> list[Any]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        batches = clean_batches(open_file(path, name, {**SETTINGS, **settings}, columns), columns)
        width = 2 if columns.group is None else 3
        return [tuple(row.values())[:width] for batch in batches for row in batch.to_pylist()]

    return write_and_read


@pytest.fixture
def refused(read: Callable[..., list[Any]]) -> Callable[..., str]:
    """Return a function that writes a file which cannot be read and returns the error, one line that names the file."""

    def message(name: str, content: str | bytes, columns: Columns = COLUMNS, **settings: Any) -> str:
        with pytest.raises(DataError) as caught:
            read(name, content, columns, **settings)
        assert str(caught.value).isprintable()
        assert str(caught.value).startswith(f"{name}: ")
        return str(caught.value).removeprefix(f"{name}: ")

    return message
