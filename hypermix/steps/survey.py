"""What of an experiment is there, from its files alone: any time, also while it runs."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Literal

from hypermix.config.model import Config
from hypermix.errors import ArtefactError
from hypermix.steps.artefacts import STAGES, Unit, list_units
from hypermix.steps.joblog import JobLog, read_log
from hypermix.steps.stale import Wanted

State = Literal["done", "running", "failed", "stale", "stopped", "waiting"]

_UNFINISHED: tuple[State, ...] = ("stale", "stopped", "waiting")


@dataclass
class Survey:
    """What is there.

    Attributes:
        config: The config that it is held against.
        units: For each stage its units by their places.
        states: For each stage the state of each unit, by its place.
        finished: For each stage when its units were finished, in seconds since 1970, by their places.
        logs: What the logs of those that run, failed or were stopped tell, by stage and place.
        stale: Files that do not fit the config, each with what is wrong.
    """

    config: Config
    units: dict[str, dict[str, Unit]]
    states: dict[str, dict[str, State]] = field(default_factory=dict)
    finished: dict[str, dict[str, float]] = field(default_factory=dict)
    logs: dict[tuple[str, str], JobLog] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)

    def of_state(self, stage: str, state: State) -> list[Unit]:
        """Return the units of a stage that are in a state, in the order of the config."""
        return [unit for place, unit in self.units[stage].items() if self.states[stage][place] == state]

    def cause(self, unit: Unit) -> Unit | None:
        """Return what failed so that a unit cannot be made, itself or what it is made from; None if nothing did."""
        state = self.states[unit.stage][unit.place]
        if state == "failed":
            return unit
        if state not in _UNFINISHED:
            return None
        causes = (self.cause(self.units[stage][place]) for stage, place in unit.parents)
        return next((cause for cause in causes if cause is not None), None)


def survey(config: Config) -> Survey:
    """Look what of an experiment is there.

    Args:
        config: The config at hand.

    Returns:
        The state of everything that the experiment is made of, `aggregate` left out.

    Raises:
        ConfigError: If the config leaves no run, or a template of it cannot be read.
    """
    found = Survey(config, list_units(config))
    for stage, units in found.units.items():
        found.states[stage] = dict.fromkeys(units, "waiting")
        found.finished[stage] = {}
        for unit in units.values():
            _look(found, unit)
    _check(found)
    return found


def _look(found: Survey, unit: Unit) -> None:
    """Tell from the files and the log of a unit how it stands, whatever its settings were."""
    finished = finish_time(unit.files(found.config.results))
    if finished is None:
        log = read_log(unit.log(found.config.results))
        # A job may have ended between the two looks.
        finished = None if log is None else finish_time(unit.files(found.config.results))
        if log is not None and finished is None:
            found.logs[unit.stage, unit.place] = log
            found.states[unit.stage][unit.place] = _state_of(log)
    if finished is not None:
        found.states[unit.stage][unit.place] = "done"
        found.finished[unit.stage][unit.place] = finished


def _state_of(log: JobLog) -> State:
    if log.running:
        return "running"
    return "stopped" if log.error is None else "failed"


def finish_time(files: list[str]) -> float | None:
    """Return when the last of some files was written; None if one is missing."""
    try:
        return max([os.stat(file).st_mtime for file in files])  # noqa: PTH116 - paths would take as long as the looks
    except OSError:
        return None


def _check(found: Survey) -> None:
    """Find what was made with other settings.

    A file tells the settings of all stages before it too. So what is older than a current file that was made from it is
    current, and is not read.
    """
    wanted = Wanted(found.config)
    vouched: dict[str, set[str]] = {stage: set() for stage in STAGES}
    for stage in reversed(STAGES):
        stale = []
        for place, finished in found.finished[stage].items():
            unit = found.units[stage][place]
            wrong = None if place in vouched[stage] else _find_wrong(wanted, unit, found.config.results)
            if wrong is not None:
                stale.append(place)
                found.stale[unit.files(found.config.results)[0]] = wrong
                continue
            for origin, source in unit.parents:
                if found.finished[origin].get(source, math.inf) <= finished:
                    vouched[origin].add(source)
        for place in stale:
            found.states[stage][place] = "stale"
            del found.finished[stage][place]


def _find_wrong(wanted: Wanted, unit: Unit, results: str) -> str | None:
    try:
        stages = wanted.stale_stages(unit.files(results)[0], unit.keys, next(iter(unit.tables)))
    except ArtefactError as error:
        return str(error)
    return f"made with other settings of {', '.join(stages)}" if stages else None
