"""How far a training is: a bar on a terminal that no other job writes to, and plain lines everywhere else.

Bars of several jobs on one terminal would overwrite each other, and what a job prints would stand in the middle of
another's bar. Only Snakemake knows how many jobs may run at once, so the rule says whether this one is alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bar:
    """A bar of the steps of a training."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def step(self, step: int, loss: float) -> None:
        """Show that a step is done."""
        self._shown.update(self._task, completed=step, loss=f"loss {loss:.3f}")

    def tell(self, text: str) -> None:
        """Show what is known since the last validation."""
        self._shown.update(self._task, told=text)


@contextmanager
def show(total: int | None, alone: bool, console: Console | None = None) -> Iterator[Bar | None]:
    """Show a bar while the context lasts; it leaves nothing behind.

    Records of the log with the attribute `progress` stay away from the terminal meanwhile: the bar tells the same.

    Args:
        total: The last step; None if it is not known.
        alone: Whether no other job writes to the terminal.
        console: Where the bar goes; None for standard error.

    Yields:
        The bar; None where there is none.
    """
    console = console or Console(stderr=True)
    if not alone or not console.is_terminal or console.is_dumb_terminal:  # a dumb one cannot draw over a line
        yield None
        return
    columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    texts = (TextColumn("{task.fields[loss]}"), TextColumn("{task.fields[told]}"))
    terminals = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    with Progress(*columns, *texts, console=console, transient=True) as shown:
        for handler in terminals:
            handler.addFilter(_is_no_progress)
        try:
            yield Bar(shown, shown.add_task("", total=total, loss="", told=""))
        finally:
            for handler in terminals:
                handler.removeFilter(_is_no_progress)


def _is_no_progress(record: logging.LogRecord) -> bool:
    return not hasattr(record, "progress")
