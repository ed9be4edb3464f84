"""The whole checkup: all lines in their order, looked at side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path

from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.errors import HypermixError
from hypermix.report.checkup import Finding
from hypermix.steps.doctor import machine
from hypermix.steps.doctor.models import Asked, asked_llms, check_budget, check_llm
from hypermix.steps.doctor.sources import check_classifier, check_dataset, check_helpers

_AT_ONCE = 32
_NOWHERE = {"results": "results", "cache": "cache"}
"""The folders where the config does not tell them."""

_Job = Callable[[], list[Finding]]


def examine(load: Callable[[], Config], *, again: bool = False, today: date | None = None) -> list[Finding]:
    """Look at all that a run needs.

    Hosted language models that the runs ask get one cheap request each, whose answer is remembered. Nothing else is
    sent that costs, and nothing is downloaded.

    Args:
        load: Reads the config.
        again: Whether hosted language models are asked anew what they take.
        today: The day; that of the clock if None.
    """
    config, mistakes = None, ""
    try:
        config = load()
        asked, keys = asked_llms(config), experiment.runs(config)
    except HypermixError as error:
        mistakes = str(error)
    if config is None or mistakes:
        return [*_run(_machine_jobs(_NOWHERE)), *_tell_mistakes(mistakes)]
    folders = {name: str(getattr(config, name)) for name in _NOWHERE}
    used = {
        name: list(dict.fromkeys(str(key[name]) for key in keys)) for name in ("dataset", "classifier", "augmenter")
    }
    jobs: list[_Job] = [
        *_machine_jobs(folders),
        lambda: [Finding("ok", "config", f"is fine: {len(keys)} runs")],
        *(partial(_one, partial(check_dataset, config, name)) for name in used["dataset"]),
        *(partial(_one, partial(check_classifier, config, name)) for name in used["classifier"]),
        partial(check_helpers, config, used["augmenter"]),
        *_model_jobs(config, asked, again=again, today=today or date.today()),
    ]
    with _quiet():
        return [*_run(jobs), check_budget(config, asked)]


def _machine_jobs(folders: dict[str, str]) -> list[_Job]:
    checks: list[Callable[[], Finding]] = [machine.check_python, machine.check_packages, machine.check_torch]
    checks += [partial(machine.check_folder, what, Path(folder)) for what, folder in folders.items()]
    return [partial(_one, check) for check in checks]


def _model_jobs(config: Config, asked: list[Asked], *, again: bool, today: date) -> list[_Job]:
    return [partial(check_llm, config, one, again=again, today=today) for one in asked]


def _one(check: Callable[[], Finding]) -> list[Finding]:
    return [check()]


def _run(jobs: list[_Job]) -> list[Finding]:
    """Do all at once, since most of them wait for other machines, and keep their order."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as pool:
        return [finding for found in pool.map(lambda job: job(), jobs) for finding in found]


def _tell_mistakes(message: str) -> Iterator[Finding]:
    """Give each mistake of the config a line of its own; the first line of several only counts them."""
    first, *more = message.splitlines()
    for line in more or [first]:
        yield Finding("to do", "config", line.strip(), "mend this in the config; the rest is looked at then")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep log lines from the terminal: the lines of the checkup say it all."""
    logger, silent = logging.getLogger("hypermix"), logging.NullHandler()
    logger.addHandler(silent)
    try:
        yield
    finally:
        logger.removeHandler(silent)
