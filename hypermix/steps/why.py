"""why: why each job of an experiment would run, told from its files before anything runs. Nothing is written."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance
from hypermix.hashing import file_digest
from hypermix.report.why import Change, Group, Kind, Why
from hypermix.steps.artefacts import AGGREGATE_INPUTS, AGGREGATE_OUTPUTS, STAGES, Unit, list_units
from hypermix.steps.difference import name_changes
from hypermix.steps.engine import recorded_digest, unfinished_files
from hypermix.steps.provenance import artefact_name
from hypermix.steps.reads import Read, list_reads, made_by
from hypermix.steps.stale import Wanted

AGGREGATE = "aggregate"
_LAST = (AGGREGATE, "")

Id = tuple[str, str]
"""Stage and place of what a job makes."""


@dataclass(frozen=True)
class Reason:
    """Why one job would run; see `hypermix.report.why.Group`."""

    kind: Kind
    changes: tuple[Change, ...] = ()
    files: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def explain(config: Config) -> Why:
    """Tell why each job of an experiment would run.

    Args:
        config: The config at hand.

    Raises:
        ConfigError: If the config leaves no run, or a template of it cannot be read.
        AugmentError: If the package of an augmenter is not installed.
    """
    return _Look(config).tell()


class _Look:
    """A look at all files of an experiment; what follows from it is what snakemake does with its own records."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._wanted = Wanted(config)
        self._units: dict[Id, Unit] = {
            (stage, place): unit for stage, units in list_units(config).items() for place, unit in units.items()
        }
        self._reads = {one: list_reads(config, unit) for one, unit in self._units.items()}
        self._units[_LAST] = Unit(AGGREGATE, "", {})
        self._reads[_LAST] = self._read_last()
        self._readers: dict[Id, list[Id]] = {one: [] for one in self._units}
        for one, reads in self._reads.items():
            for maker in dict.fromkeys(read.maker for read in reads if read.maker is not None):
                self._readers[maker].append(one)
        self._times: dict[str, float | None] = {}
        self._born: dict[Id, float | None] = {}
        self._unfinished = unfinished_files()
        self._made: dict[Id, Mapping[str, Any]] = {}
        self._inherited: dict[Id, Reason] = {}
        self._damaged: dict[str, str] = {}

    def tell(self) -> Why:
        found: dict[Id, Reason] = {}
        for one in reversed(self._units):  # those that read it come first: a missing file is as old as theirs
            self._born[one] = self._find_birth(one)
        for one in self._units:
            reason = self._find_reason(one)
            if reason is not None:
                found[one] = reason
        run = self._spread(found)
        told = {one: run[one] for one in self._units if one in run}
        return Why(self._config.results, len(self._units), self._group(told), self._damaged)

    def _read_last(self) -> list[Read]:
        """List what `aggregate` reads; its tables name the files by their places."""
        reads = [
            made_by(self._config, stage, unit.keys, table)
            for stage, table in AGGREGATE_INPUTS.values()
            for (own, _), unit in self._units.items()
            if own == stage
        ]
        return [read._replace(name=artefact_name(Path(read.path))) for read in reads]

    def _files(self, one: Id) -> list[str]:
        if one == _LAST:
            return [f"{self._config.results}/{AGGREGATE}/{name}" for name in AGGREGATE_OUTPUTS.values()]
        return self._units[one].files(self._config.results)

    def _time(self, path: str) -> float | None:
        if path not in self._times:
            try:
                self._times[path] = os.stat(path).st_mtime  # noqa: PTH116 - there are many
            except OSError:
                self._times[path] = None
        return self._times[path]

    def _present(self, one: Id) -> list[str]:
        return [file for file in self._files(one) if self._time(file) is not None]

    def _find_birth(self, one: Id) -> float | None:
        """Return when the oldest file of a job was written; of one without any, that of the first that reads it."""
        times = [time for file in self._files(one) if (time := self._time(file)) is not None]
        if times:
            return min(times)
        return next((born for reader in self._readers[one] if (born := self._born[reader]) is not None), None)

    def _find_reason(self, one: Id) -> Reason | None:
        """Return why a job runs, whatever others do."""
        present = self._present(one)
        begun = tuple(file for file in present if file in self._unfinished)
        if begun:
            return Reason("unfinished", files=begun)
        if one == _LAST and len(present) < len(AGGREGATE_OUTPUTS):
            return Reason("missing")
        reason = self._compare(one)
        if reason is not None:
            return reason
        changed = tuple(read.path for read in self._reads[one] if self._is_changed(one, read))
        return Reason("input", files=changed) if changed else None

    def _compare(self, one: Id) -> Reason | None:
        """Compare the settings that files were made with; what stages before have otherwise is kept for later."""
        keys, wanted = self._units[one].keys, self._slices(one)
        stale = self._find_stale(one, wanted)
        if not stale:
            return None
        slices = self._read_made(one).get("slices", {})
        changes = {stage: self._name(stage, keys, slices.get(stage), wanted[stage]) for stage in stale}
        own = changes.pop(one[0], None)
        if own is not None:
            return Reason("settings", own)
        self._inherited[one] = Reason("settings", tuple(change for part in changes.values() for change in part))
        return None

    def _find_stale(self, one: Id, wanted: Mapping[str, Any]) -> list[str]:
        file = next((file for file in self._present(one) if file.endswith(".parquet")), None)
        if file is None:
            return []
        try:
            if one == _LAST:
                return [stage for stage in wanted if self._read_made(one)["slices"].get(stage) != wanted[stage]]
            return self._wanted.stale_stages(file, self._units[one].keys, Path(file).stem)
        except ArtefactError as error:
            self._damaged[file] = str(error)
            return []

    def _read_made(self, one: Id) -> Mapping[str, Any]:
        """Return what the files of a job tell of their making; nothing if there are none, or they are damaged."""
        if one not in self._made:
            self._made[one] = {}
            for file in self._present(one):
                if file.endswith(".parquet") and file not in self._damaged:
                    self._made[one] = read_provenance(Path(file))
                    break
        return self._made[one]

    def _slices(self, one: Id) -> dict[str, Any]:
        if one == _LAST:
            return {AGGREGATE: json.loads(experiment.aggregate_slice(self._config))}
        return self._wanted.slices(self._units[one].keys, next(iter(STAGES[one[0]].tables)))

    def _name(self, stage: str, keys: Mapping[str, Any], old: Any, new: Any) -> tuple[Change, ...]:
        if stage == "match":
            keys = {**keys, "augmenter": experiment.matched(self._config, str(keys["classifier"]))}
        return tuple(name_changes(stage, keys, old, new))

    def _is_changed(self, one: Id, read: Read) -> bool:
        """Tell whether an input is newer than what was made from it, and not the same."""
        born, time = self._born[one], self._time(read.path)
        if born is None or time is None or time <= born:
            return False
        known = self._read_made(one).get("inputs", {}).get(read.name) or recorded_digest(self._files(one), read.path)
        return known is None or file_digest(Path(read.path)) != known

    def _spread(self, found: Mapping[Id, Reason]) -> dict[Id, Reason]:
        """Find all jobs that run: what lacks for a job that runs, and what is made from what it makes."""
        start = {**self._inherited, **found}
        run = dict(start)
        queue = deque(start)
        while queue:
            one = queue.popleft()
            for read in self._reads[one]:
                if read.maker is not None and read.maker not in run and self._time(read.path) is None:
                    run[read.maker] = Reason("missing")
                    queue.append(read.maker)
            for reader in self._readers[one]:
                if reader not in run:
                    run[reader] = Reason("after")
                    queue.append(reader)
        return {one: self._settle(one, reason, run) for one, reason in run.items()}

    def _settle(self, one: Id, reason: Reason, run: Mapping[Id, Reason]) -> Reason:
        """Tell a job that runs since others do by them, unless it is not there yet or has settings of its own."""
        if not self._present(one):
            return Reason("missing")
        before = {read.maker[0] for read in self._reads[one] if read.maker is not None and read.maker in run}
        derived = reason.kind in {"after", "input"} or reason == self._inherited.get(one)
        return Reason("after", after=_last_of(before)) if before and derived else reason

    def _group(self, run: Mapping[Id, Reason]) -> list[Group]:
        groups: dict[tuple[str, Kind, Any], list[Id]] = {}
        for one, reason in run.items():
            # Each has files of its own; those that changed alike are one group.
            alike = (len(reason.files), reason.changes, reason.after)
            groups.setdefault((one[0], reason.kind, alike), []).append(one)
        told = [self._describe_group(members, run) for members in groups.values()]
        return _without_repeated(told)

    def _describe_group(self, members: list[Id], run: Mapping[Id, Reason]) -> Group:
        reason, stage = run[members[0]], members[0][0]
        files = tuple(dict.fromkeys(file for one in members for file in run[one].files))
        keys = [self._units[one].keys for one in members]
        everyone = [unit.keys for (own, _), unit in self._units.items() if own == stage]
        shared = {
            name: value
            for name, value in keys[0].items()
            if all(key[name] == value for key in keys) and any(key[name] != value for key in everyone)
        }
        return Group(stage, len(members), reason.kind, shared, reason.changes, files, reason.after)


def _without_repeated(groups: list[Group]) -> list[Group]:
    """Leave out of the last group, which sees the whole config, what others told before."""
    if not groups or groups[-1].stage != AGGREGATE or groups[-1].kind != "settings" or len(groups) == 1:
        return groups
    last, told = groups[-1], {change.key for group in groups[:-1] for change in group.changes}
    left = tuple(change for change in last.changes if change.key not in told)
    if left:
        return [*groups[:-1], Group(last.stage, last.jobs, "settings", last.shared, left)]
    return [
        *groups[:-1],
        Group(last.stage, last.jobs, "after", last.shared, after=_last_of({group.stage for group in groups[:-1]})),
    ]


def _last_of(stages: set[str]) -> tuple[str, ...]:
    """Leave out the stages that others of them come after."""
    earlier = {stage for one in stages for stage in _stages_before(one)}
    return tuple(stage for stage in STAGES if stage in stages - earlier)


def _stages_before(stage: str) -> Iterator[str]:
    needs = STAGES[stage].needs
    if needs is not None:
        yield needs
        yield from _stages_before(needs)
