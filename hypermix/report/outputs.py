"""The names of the files beside the report. This module imports nothing heavy: the workflow reads it at each start."""

from __future__ import annotations

from typing import Final

FIGURE_NAMES: Final = ("accuracy", "differences", "sizes", "curves", "costs")
"""The figures, in the order of the page."""

TABLE_NAMES: Final = ("accuracy", "differences", "costs", "quality")
"""The tables."""

_FIGURE_KINDS = ("svg", "pdf")
_TABLE_KINDS = ("md", "tex", "csv")


def file_outputs() -> dict[str, str]:
    """Return the path of each file inside the folder of aggregated results, by the name of its output."""
    figures = {f"figure_{name}_{kind}": f"figures/{name}.{kind}" for name in FIGURE_NAMES for kind in _FIGURE_KINDS}
    tables = {f"table_{name}_{kind}": f"tables/{name}.{kind}" for name in TABLE_NAMES for kind in _TABLE_KINDS}
    return {**figures, **tables}
