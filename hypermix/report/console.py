"""The verdict as plain lines for a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping
from typing import Any

from hypermix.report.format import interval, is_defined, points, shortened
from hypermix.report.outcome import find_outcome

COLUMNS = 100
"""The widest line that is written, in characters; only the path of the report may be longer."""


def summary_lines(verdict: Mapping[str, Any], report_path: str) -> list[str]:
    """Write the verdict for a terminal.

    Args:
        verdict: What `hypermix.stats` judged: ``headline`` and ``verdicts``.
        report_path: Where the HTML report stands.

    Returns:
        The headline, one line for each verdict, and where the report is. Control characters are taken out, so that no
        name or text can move the cursor or change colors.

    Raises:
        ArtefactError: If the verdict has an unknown outcome.
    """
    headline = textwrap.wrap(plain(verdict["headline"]), COLUMNS) or [""]
    lines = [_verdict_line(entry) for entry in verdict["verdicts"]]
    return [*headline, *lines, f"Report: {plain(report_path)}"]


def plain(text: str) -> str:
    """Replace control, format and line-breaking characters by spaces and join runs of white space."""
    safe = (
        " " if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character for character in text
    )
    return " ".join("".join(safe).split())


def _verdict_line(entry: Mapping[str, Any]) -> str:
    where = "/".join(str(entry[key]) for key in ("dataset", "subsample", "classifier"))
    word = find_outcome(entry["outcome"]).word.lower()
    against = "; ".join(_against(baseline) for baseline in entry["baselines"])
    return shortened(plain(f"  {entry['augmenter']} on {where}: {word}. {against}").rstrip(". "), COLUMNS - 2).join(
        ("  ", "")
    )


def _against(entry: Mapping[str, Any]) -> str:
    if not is_defined(entry["mean_difference"]):
        return f"{entry['baseline']}: no pair"
    bounds = f" ({interval(entry['ci_low'], entry['ci_high'], signed=True)})" if is_defined(entry["ci_low"]) else ""
    return f"{points(entry['mean_difference'])} points{bounds} against {entry['baseline']}"
