"""The figures and tables of an experiment as files, beside the report that holds them too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hypermix.files import write_bytes
from hypermix.report.numbers import SHEETS
from hypermix.report.outputs import FIGURE_NAMES, TABLE_NAMES
from hypermix.report.pictures import Gallery, figure_file
from hypermix.report.sheet import Sheet, to_csv, to_latex, to_markdown

_WRITERS: Final[dict[str, Callable[[Sheet], str]]] = {"md": to_markdown, "tex": to_latex, "csv": to_csv}


def write_files(gallery: Gallery, outputs: Mapping[str, Path]) -> None:
    """Write figures and tables, each in each of its forms.

    Args:
        gallery: The experiment and its figures.
        outputs: Where each goes, by the names of `hypermix.report.outputs.file_outputs`; one that is not named is not
            written.

    Raises:
        ArtefactError: If the verdict has an unknown outcome.
    """
    for name in FIGURE_NAMES:
        if any(key.startswith(f"figure_{name}_") for key in outputs):
            drawing = figure_file(gallery, name)
            _write(outputs, f"figure_{name}_svg", drawing.svg_file(name).encode("utf-8"))
            _write(outputs, f"figure_{name}_pdf", drawing.pdf())
    for name in TABLE_NAMES:
        sheet = SHEETS[name](gallery.data)
        for kind, writer in _WRITERS.items():
            _write(outputs, f"table_{name}_{kind}", writer(sheet).encode("utf-8"))


def _write(outputs: Mapping[str, Path], name: str, content: bytes) -> None:
    if name in outputs:
        write_bytes(outputs[name], content)
