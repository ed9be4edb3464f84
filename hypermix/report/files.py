"""The figures and tables of an experiment as files, beside the report that holds them too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from hypermix.disk import writable
from hypermix.files import write_bytes
from hypermix.report.drawing import Drawing
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
        ArtefactError: If the verdict has an unknown outcome, or the disk is full or the folder not to be written.
    """
    for name in FIGURE_NAMES:
        if any(key.startswith(f"figure_{name}_") for key in outputs):
            drawing = figure_file(gallery, name)
            _write(outputs, f"figure_{name}_svg", partial(_draw_svg, drawing, name))
            _write(outputs, f"figure_{name}_pdf", drawing.pdf)
    for name in TABLE_NAMES:
        sheet = SHEETS[name](gallery.data)
        for kind, writer in _WRITERS.items():
            _write(outputs, f"table_{name}_{kind}", partial(_word, writer, sheet))


def _draw_svg(drawing: Drawing, name: str) -> bytes:
    return drawing.svg_file(name).encode("utf-8")


def _word(writer: Callable[[Sheet], str], sheet: Sheet) -> bytes:
    return writer(sheet).encode("utf-8")


def _write(outputs: Mapping[str, Path], name: str, make: Callable[[], bytes]) -> None:
    """Write a file if it is named; a PDF that nobody wants is not drawn."""
    if name in outputs:
        content = make()
        with writable(outputs[name]):
            write_bytes(outputs[name], content)
