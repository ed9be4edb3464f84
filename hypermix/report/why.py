"""Why jobs would run, as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hypermix.report.console import NARROWEST, plain
from hypermix.report.format import count, shortened

Kind = Literal["missing", "settings", "input", "unfinished", "after"]
"""Why jobs run: their files are not there, settings changed, inputs changed, they were not brought to an end, or what
they are made from is made anew."""

_LONGEST_VALUE = 60
_SHOWN = 3
_INDENT = "  "


@dataclass(frozen=True)
class Change:
    """A setting that changed.

    Attributes:
        key: Its key in the config.
        old: The value that files were made with, as JSON; None if there was none.
        new: The value of the config, as JSON; None if there is none any more.
    """

    key: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Group:
    """Jobs of one stage that would run for the same reason.

    Attributes:
        stage: The stage.
        jobs: How many they are.
        kind: The kind of reason.
        shared: The keys that they share and that not all jobs of the stage have.
        changes: What settings changed.
        files: What files changed, or were not finished.
        after: The stages before it that run first.
    """

    stage: str
    jobs: int
    kind: Kind
    shared: Mapping[str, str | int] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    files: Sequence[str] = ()
    after: Sequence[str] = ()


@dataclass(frozen=True)
class Why:
    """Why the jobs of an experiment would run.

    Attributes:
        results: The folder of results.
        total: How many jobs the experiment has.
        groups: The jobs that would run, by stage and reason.
        damaged: Files that cannot be read, which no run makes again by itself, each with what is wrong.
    """

    results: str
    total: int
    groups: Sequence[Group]
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def jobs(self) -> dict[str, int]:
        """How many jobs of each stage would run."""
        stages = dict.fromkeys(group.stage for group in self.groups)
        return {stage: sum(group.jobs for group in self.groups if group.stage == stage) for stage in stages}


def why_text(why: Why, columns: int) -> str:
    """Write why jobs would run.

    Args:
        why: What is told.
        columns: The width of the terminal.
    """
    width = max(columns, NARROWEST)
    return "".join(
        f"{line}\n"
        for text in _texts(why)
        for line in textwrap.wrap(plain(text), width, subsequent_indent=_INDENT, break_on_hyphens=False)
    )


def _texts(why: Why) -> Iterator[str]:
    jobs = sum(group.jobs for group in why.groups)
    if not jobs:
        yield f"{why.results}: nothing would run; all {count(why.total)} jobs are done with these settings."
    else:
        yield f"{why.results}: {count(jobs)} of {count(why.total)} jobs would run."
    for group in why.groups:
        shared = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in group.shared.items())
        number = f"{count(group.jobs)} {'job' if group.jobs == 1 else 'jobs'}"
        yield f"{group.stage}, {number}{f' ({shared})' if shared else ''}: {_reason(group)}"
    yield from why.damaged.values()


def _reason(group: Group) -> str:
    if group.kind == "missing":
        return "not made yet, or deleted"
    if group.kind == "after":
        return f"after {' and '.join(group.after)}"
    if group.kind == "settings":
        return "; ".join(map(_word, group.changes)) or "made without a record of its settings"
    told = ", ".join(group.files[:_SHOWN])
    more = f" and {count(len(group.files) - _SHOWN)} more" if len(group.files) > _SHOWN else ""
    return f"{told}{more} {'changed' if group.kind == 'input' else 'was not finished'}"


def _word(change: Change) -> str:
    if change.old is None:
        return f"{change.key} is new"
    if change.new is None:
        return f"{change.key} is gone"
    return f"{change.key} {shortened(change.old, _LONGEST_VALUE)} → {shortened(change.new, _LONGEST_VALUE)}"
