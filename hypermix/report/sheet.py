"""A table of numbers that are words already, as Markdown, as LaTeX and as CSV: the same cells three times."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hypermix.report import latex, markdown
from hypermix.report.format import NOT_DEFINED, UNKNOWN

_LONGEST_NOTE = 2000
_THIN_SPACE = "\u202f"
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")
_NO_NUMBER = {NOT_DEFINED, UNKNOWN}


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: Its header.
        keys: Its headers in CSV, one for each part of its cells.
        number: Whether it is aligned to the right.
    """

    name: str
    keys: tuple[str, ...]
    number: bool = True


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        parts: One text, or both ends of an interval.
        best: Whether it is the best of its group; it is bold then.
        mark: What points to a note; empty for nothing.
    """

    parts: tuple[str, ...]
    best: bool = False
    mark: str = ""

    @property
    def text(self) -> str:
        """What a reader sees, without its mark."""
        return self.parts[0] if NOT_DEFINED in self.parts else " to ".join(self.parts)


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        title: What it shows, for its caption.
        columns: The columns.
        groups: Rows that belong together, such as those of one dataset and size; cells in the order of the columns.
        notes: What stands below it, a sentence an entry.
    """

    title: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[tuple[Cell, ...], ...], ...]
    notes: tuple[str, ...] = ()


def to_markdown(sheet: Sheet) -> str:
    """Write a sheet as Markdown with a table; texts are shown as they are."""

    def shown(cell: Cell) -> str:
        text = markdown.escaped(cell.text)
        return (f"**{text}**" if cell.best else text) + markdown.escaped(cell.mark)

    lines = [markdown.escaped(sheet.title, _LONGEST_NOTE), ""]
    header = [markdown.escaped(column.name) for column in sheet.columns]
    lines += [_line(header), _line(["---:" if column.number else ":---" for column in sheet.columns])]
    lines += [_line([shown(cell) for cell in row]) for group in sheet.groups for row in group]
    for note in sheet.notes:
        lines += ["", markdown.escaped(note, _LONGEST_NOTE)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def to_latex(sheet: Sheet) -> str:
    """Write a sheet as a LaTeX table for the packages booktabs and graphicx; texts are shown as they are."""

    def shown(cell: Cell, column: Column) -> str:
        text = latex.escaped(cell.text)
        if column.number:
            text = _MINUS.sub("$-$", text)
        mark = rf"\textsuperscript{{{latex.escaped(cell.mark)}}}" if cell.mark else ""
        return (rf"\textbf{{{text}}}" if cell.best else text) + mark

    align = "".join("r" if column.number else "l" for column in sheet.columns)
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex.escaped(sheet.title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",  # only a table that is too wide shrinks
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        _row([latex.escaped(column.name) for column in sheet.columns]),
        *_body(sheet, shown),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    lines += [rf"\par\smallskip{{\footnotesize {latex.escaped(note)}\par}}" for note in sheet.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _body(sheet: Sheet, shown: Callable[[Cell, Column], str]) -> Iterator[str]:
    for group in sheet.groups:
        yield r"\midrule"
        for row in group:
            yield _row([shown(cell, column) for cell, column in zip(row, sheet.columns, strict=True)])


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


CSV_MARK: Final = "mark"
"""The column of CSV files that holds the marks of a row's cells."""


def to_csv(sheet: Sheet) -> str:
    """Write a sheet as CSV: the same rounded numbers, a column a part, empty where a number does not exist."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    marked = any(cell.mark for group in sheet.groups for row in group for cell in row)
    writer.writerow([key for column in sheet.columns for key in column.keys] + [CSV_MARK] * marked)
    for row in (row for group in sheet.groups for row in group):
        parts = [_plain(part) for cell in row for part in cell.parts]
        writer.writerow(parts + ["".join(cell.mark for cell in row)] * marked)
    return stream.getvalue()


def _plain(part: str) -> str:
    text = "" if part in _NO_NUMBER else part.replace(_THIN_SPACE, "")
    # Control characters would end a line for some readers; no file can hold a lone surrogate.
    return "".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in text)
