"""How far an experiment is, as text for a terminal of any width, with colors or without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from hypermix.report.console import NARROWEST, Page, plain
from hypermix.report.forecast import Account
from hypermix.report.format import count, dollars, shortened

_ROOMY = 60
"""Columns of a terminal from which on the table has its last column, the sum of the others."""

_SHOWN = 5
"""Jobs and files that are named; the machine-readable form names all."""

_LONGEST = 300
"""Characters of an error that are shown."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STYLES = {"done": "green", "running": "cyan", "failed": "bold red", "waiting": ""}


@dataclass(frozen=True)
class StageCount:
    """How many artefacts of a stage are done, running, failed and waiting; together they are all.

    Attributes:
        stage: Its name.
        done: Those that are there, made with the settings of the config.
        running: Those whose jobs are at work.
        failed: Those whose last job ended with an error.
        waiting: All others.
        stale: The waiting ones of which there is a file that was made with other settings, or is damaged.
        held: The waiting ones that need an artefact that failed.
    """

    stage: str
    done: int = 0
    running: int = 0
    failed: int = 0
    waiting: int = 0
    stale: int = 0
    held: int = 0

    @property
    def total(self) -> int:
        """All artefacts of the stage."""
        return self.done + self.running + self.failed + self.waiting


@dataclass(frozen=True)
class Job:
    """A job that is named.

    Attributes:
        stage: Its stage.
        keys: What it makes.
        told: What it said last, or its error.
        log: Its log.
    """

    stage: str
    keys: Mapping[str, str | int]
    told: str
    log: str

    @property
    def name(self) -> str:
        """Stage and keys in one text, as they stand on the terminal while it runs."""
        return " ".join([self.stage, *(str(value) for value in self.keys.values())])


@dataclass(frozen=True)
class Estimate:
    """The time that is left, with what it rests on.

    Attributes:
        seconds: The time.
        jobs: How many artefacts it was told from.
        span: In how many seconds these were made.
    """

    seconds: float
    jobs: int
    span: float


@dataclass(frozen=True)
class Spending:
    """What language models were asked so far.

    Attributes:
        account: The caps that are set and what is spent of them, requests under way included; None if no hosted model
            is asked.
        requests: Requests of finished augmentations that were sent.
        replayed: Their answers that were stored before.
        unknown: Requests of theirs whose answers are lost.
        usd: What was paid for them; None if a price is not known.
    """

    account: Account | None = None
    requests: int = 0
    replayed: int = 0
    unknown: int = 0
    usd: float | None = 0.0


@dataclass(frozen=True)
class Status:
    """How far an experiment is.

    Attributes:
        results: Its folder.
        stages: The stages in the order in which they run, `aggregate` last.
        running: The jobs at work.
        failed: The jobs whose last try ended with an error.
        stopped: The jobs that ended without a result and without an error, such as those of a run that was killed.
        stale: Files that were made with other settings than the config's, or are damaged, each with what is wrong.
        spending: What language models were asked.
        left: The time that is left; None if it cannot be told.
        unknown: The stage whose pace is not known, so that no time is told.
    """

    results: str
    stages: Sequence[StageCount]
    running: Sequence[Job] = ()
    failed: Sequence[Job] = ()
    stopped: Sequence[Job] = ()
    stale: Mapping[str, str] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending)
    left: Estimate | None = None
    unknown: str | None = None

    def stage(self, name: str) -> StageCount:
        """Return the counts of a stage."""
        return next(one for one in self.stages if one.stage == name)


def status_text(status: Status, width: int, *, color: bool = False) -> str:
    """Write how far an experiment is for a terminal.

    Args:
        status: What is told.
        width: Columns of the terminal.
        color: Whether it shows colors.

    Returns:
        Lines that are at most so wide. Control characters are taken out: an error may hold what a server said.
    """
    page = Page(max(width, NARROWEST), color=color)
    console = page.console
    runs = status.stage("evaluate")
    console.print(_line(f"{status.results}: {count(runs.done)} of {count(runs.total)} runs are done."))
    console.print()
    console.print(_table(status.stages, console.width))
    for lines in (_tell_jobs(status), _tell_stale(status), _tell_spending(status.spending), _tell_left(status)):
        told = list(lines)
        if told:
            console.print()
        for line in told:
            console.print(line)
    return page.text()


def _line(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style, overflow="fold")


def _table(stages: Sequence[StageCount], width: int) -> Table:
    roomy = width >= _ROOMY
    table = Table(box=None, pad_edge=False, padding=(0, 2 if roomy else 1, 0, 0))
    table.add_column("stage", no_wrap=True)
    for name in (*_STYLES, *(["of"] if roomy else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for one in stages:
        counts = {name: getattr(one, name) for name in _STYLES}
        cells = [Text(plain(count(number)), _STYLES[name] if number else "") for name, number in counts.items()]
        table.add_row(Text(one.stage), *cells, *([Text(plain(count(one.total)))] if roomy else []))
    return table


def _tell_jobs(status: Status) -> Iterator[Text]:
    yield from _named("Running", status.running, "cyan")
    yield from _named("Failed", status.failed, "bold red", logs=True)
    held = sum(one.held for one in status.stages)
    if held:
        yield _line(f"{count(held)} artefacts wait for what failed. Run snakemake again when it is mended.")
    if status.stopped:
        number = len(status.stopped)
        jobs = "1 job was" if number == 1 else f"{count(number)} jobs were"
        yield _line(f"{jobs} stopped before the end; what was asked is stored. The next run of snakemake goes on.")
    waiting = any(one.waiting for one in status.stages)
    if waiting and not status.running:
        yield _line("No job runs at this moment.")


def _named(title: str, jobs: Sequence[Job], style: str, logs: bool = False) -> Iterator[Text]:
    for job in jobs[:_SHOWN]:
        told = shortened(plain(job.told), _LONGEST)
        where = f" (log: {job.log})" if logs else ""
        text = f"{job.name}{f': {told}' if told else ''}{where}"
        yield Text.assemble((f"{title}: ", style), plain(text), overflow="fold")
    if len(jobs) > _SHOWN:
        yield _line(f"and {count(len(jobs) - _SHOWN)} more; --json names all")


def _tell_stale(status: Status) -> Iterator[Text]:
    if not status.stale:
        return
    number = len(status.stale)
    files = "1 file does" if number == 1 else f"{count(number)} files do"
    yield _line(f"{files} not fit the config and will be made again; as artefacts they count as waiting:")
    for path, wrong in list(status.stale.items())[:_SHOWN]:
        yield _line(f"- {path}: {shortened(plain(wrong), _LONGEST)}")
    if number > _SHOWN:
        yield _line(f"and {count(number - _SHOWN)} more; --json names all")


def _tell_spending(spending: Spending) -> Iterator[Text]:
    asked = spending.requests + spending.replayed
    if spending.account is not None:
        yield _line(f"Spent, with what requests under way can cost at most: {_against_caps(spending.account)}.")
    if asked or spending.unknown:
        paid = "" if spending.account is None else f", {_price(spending.usd)} paid"
        lost = f", {count(spending.unknown)} perhaps paid and lost" if spending.unknown else ""
        yield _line(
            f"Finished augmentations: {count(spending.requests)} requests sent, {count(spending.replayed)} answers "
            f"taken from the store{lost}{paid}."
        )


def _price(usd: float | None) -> str:
    return "an unknown price" if usd is None else f"{dollars(usd)} US dollars"


def _against_caps(account: Account) -> str:
    words = {"usd": ("US dollars", dollars), "requests": ("requests", count), "tokens": ("tokens", count)}
    told = []
    for name, (unit, write) in words.items():
        cap = f" of {write(account.caps[name])}" if name in account.caps else ""
        told.append(f"{write(account.spent[name])}{cap} {unit}")
    return ", ".join(told)


def _tell_left(status: Status) -> Iterator[Text]:
    if status.left is not None:
        when = "" if status.running else " once snakemake runs again"
        basis = f"the pace of the last {count(status.left.jobs)} artefacts, made in {duration(status.left.span)}"
        yield _line(f"Time left: about {duration(status.left.seconds)}{when}; an estimate from {basis}.")
    elif status.unknown is not None:
        yield _line(f"Time left: cannot be told before some more jobs of {status.unknown} have ended.")


def duration(seconds: float) -> str:
    """Write a time as a person says it, with two units at most, such as ``2 h 10 min``."""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / _MINUTE)
    if minutes < _HOUR // _MINUTE:
        return f"{minutes} min"
    if minutes * _MINUTE < _DAY:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / _HOUR)
    return f"{hours // 24} d {hours % 24} h"
