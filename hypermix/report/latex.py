"""LaTeX of texts that others wrote: what they hold is shown, and does nothing."""

from __future__ import annotations

import unicodedata
from typing import Final

_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # by number: the default font encoding has no name for it
    "[": "{[}",  # after a line break it would begin the break's height
    "]": "{]}",
    "*": "{*}",  # after a line break it would forbid a page break
    "\u202f": r"\,",
    "\u00a0": "~",
    "–": "--",
    "…": r"\ldots{}",
    "’": "'",
    "“": "``",
    "”": "''",
    "·": r"\textperiodcentered{}",
    "†": r"\textdagger{}",
}


def escaped(text: object) -> str:
    """Write a text on one line so that LaTeX shows it as it is: no command, no group, no comment, no formula."""
    return "".join(_sign(sign) for sign in str(text))


def _sign(sign: str) -> str:
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    return " " if unicodedata.category(sign)[0] in "CZ" else sign
