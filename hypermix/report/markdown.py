"""Markdown of texts that others wrote: what they hold is shown, and does nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from hypermix.report.format import shortened

_LONGEST = 200
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$]|:(?=//))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: object, length: int = _LONGEST) -> str:
    """Write a text on one line so that Markdown shows it as it is: no markup, no HTML, no link, no new block.

    Args:
        text: Any text, such as a label of a data file.
        length: Characters after which its middle is left out.
    """
    visible = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in str(text))
    line = shortened(" ".join(visible.split()), length)
    line = "".join(_ENTITIES.get(sign, sign) for sign in line)
    line = re.sub(r"(?i)\b(www)\.", r"\1\\.", _SPECIAL.sub(r"\\\1", line))  # else a bare address becomes a link
    # At the start of a line these would begin a list or underline a title.
    return re.sub(r"^([0-9]*)([-+=]|(?<=[0-9])[.)](?=\s|$))", r"\1\\\2", line)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table.

    Args:
        header: The columns; the first is aligned to the left, the others to the right.
        rows: Cells that are Markdown already: texts of others must be `escaped`.
    """
    yield _line(header)
    yield _line([":---", *["---:"] * (len(header) - 1)])
    for row in rows:
        yield _line(row)


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"
