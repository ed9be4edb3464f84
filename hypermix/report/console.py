"""Text for a terminal, and the verdict as plain lines for one."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pandas as pd
from rich.console import Console

from hypermix.report.cost import cost_line
from hypermix.report.format import interval, is_defined, points, shortened
from hypermix.report.outcome import find_outcome

COLUMNS = 100
"""The widest line that is written, in characters; only the path of the report may be longer."""

NARROWEST = 40
"""A narrower terminal is written to as one of so many columns."""

_INDENT = "  "


class Page:
    """Text that is laid out for a terminal and not written to it yet.

    Args:
        width: Columns of the terminal.
        color: Whether it shows colors.
    """

    def __init__(self, width: int, *, color: bool = False) -> None:
        self._out = StringIO()
        self.console = Console(
            file=self._out,
            width=width,
            color_system="standard" if color else None,
            force_terminal=color,
            no_color=not color,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    def text(self) -> str:
        """Return what the console printed, without spaces at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._out.getvalue().splitlines()) + "\n"


def summary_lines(verdict: Mapping[str, Any], report_path: str, costs: pd.DataFrame | None = None) -> list[str]:
    """Write the verdict for a terminal.

    Args:
        verdict: What `hypermix.stats` judged: ``headline`` and ``verdicts``.
        report_path: Where the HTML report stands.
        costs: The table ``costs``.

    Returns:
        The headline, one line for each verdict, what language models cost unless that is nothing, and where the report
        is. A line shows intervals if it has room.
        Control characters are taken out, so that no name or text can move the cursor or change colors.

    Raises:
        ArtefactError: If the verdict has an unknown outcome.
    """
    headline = textwrap.wrap(plain(verdict["headline"]), COLUMNS) or [""]
    lines = [_verdict_line(entry) for entry in verdict["verdicts"]]
    spent = None if costs is None else cost_line(costs)
    told = textwrap.wrap(plain(spent), COLUMNS) if spent else []
    return [*headline, *lines, *told, f"Report: {plain(report_path)}"]


def plain(text: str) -> str:
    """Replace control, format and line-breaking characters by spaces and join runs of white space."""
    safe = (
        " " if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character for character in text
    )
    return " ".join("".join(safe).split())


def _verdict_line(entry: Mapping[str, Any]) -> str:
    where = "/".join(str(entry[key]) for key in ("dataset", "subsample", "classifier"))
    start = f"{entry['augmenter']} on {where}: {find_outcome(entry['outcome']).word.lower()}"
    room = COLUMNS - len(_INDENT)
    for bounds in (True, False):
        against = ", ".join(_against(baseline, bounds) for baseline in entry["baselines"])
        line = plain(f"{start}; points against {against}" if against else start)
        if len(line) <= room:
            break
    return _INDENT + shortened(line, room)


def _against(entry: Mapping[str, Any], bounds: bool) -> str:
    if not is_defined(entry["mean_difference"]):
        return f"{entry['baseline']}: no pair"
    shown = bounds and is_defined(entry["ci_low"])
    within = f" ({interval(entry['ci_low'], entry['ci_high'], signed=True)})" if shown else ""
    return f"{entry['baseline']} {points(entry['mean_difference'])}{within}"
