"""What `hypermix doctor` found, as text for a terminal of any width, with colors or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

from hypermix.report.console import NARROWEST, Page, plain

Level = Literal["ok", "warning", "to do"]
"""Green, yellow, red. The words stand beside the colors, so that nothing is lost without them."""

_STYLES: dict[Level, str] = {"ok": "green", "warning": "yellow", "to do": "bold red"}
_SHORTEST = 12


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        level: Whether something is to be done.
        about: What was looked at, such as ``llm luna``.
        told: What was found.
        todo: The one thing to do; empty where nothing is.
    """

    level: Level
    about: str
    told: str
    todo: str = ""


def read_error(about: str, error: Exception, level: Level = "to do") -> Finding:
    """Make a finding of an error, whose message ends with what to do behind the last semicolon.

    Args:
        about: What was looked at.
        error: One whose message is for the user.
        level: How bad it is.
    """
    told, _, todo = str(error).rpartition("; ")
    return Finding(level, about, told or todo, todo if told else "")


def checkup_text(findings: Sequence[Finding], width: int, *, color: bool = False) -> str:
    """Write findings for a terminal.

    Args:
        findings: In the order to show them.
        width: Columns of the terminal.
        color: Whether it shows colors.

    Returns:
        Lines that are at most so wide, and a last one that counts what is to be done. Control characters are taken
        out: what a server says must not move the cursor.
    """
    page = Page(max(width, NARROWEST), color=color)
    console = page.console
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", min_width=_SHORTEST, max_width=console.width // 3)
    table.add_column(overflow="fold", ratio=1)
    for finding in findings:
        told = plain(finding.told)
        if finding.todo:
            told = f"{told}\n-> {plain(finding.todo)}"
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), Text(plain(finding.about)), Text(told))
    console.print(table)
    console.print()
    console.print(Text(_summary(findings), overflow="fold"))
    return page.text()


def _summary(findings: Sequence[Finding]) -> str:
    levels = [finding.level for finding in findings]
    todo, warnings = levels.count("to do"), levels.count("warning")
    told = f"{warnings} warning{'s' * (warnings != 1)}"
    if todo:
        return f"{todo} to do before a run, {told}."
    return f"Nothing is to be done, {told}." if warnings else "Everything is fine."
