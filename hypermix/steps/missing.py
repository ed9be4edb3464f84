"""What a partial report lacks: which runs, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypermix.report.format import count, shortened
from hypermix.steps.artefacts import Unit
from hypermix.steps.survey import Survey

_CELL = ("dataset", "subsample", "augmenter", "classifier")
BESIDE = "missing.json beside this file"
"""What names all that a report lacks."""

_SHOWN_CELLS = 12
_SHOWN_SEEDS = 8
_SHOWN_ERRORS = 5
_SHOWN_FILES = 3
_LONGEST = 400


def list_missing(found: Survey) -> list[dict[str, Any]]:
    """List the runs that are not done.

    Args:
        found: What is there.

    Returns:
        For each run its keys, the first ``stage`` of it that is not done, the ``state`` of that, and for what failed
        its ``error`` and its ``log``, else None.
    """
    return [_describe(found, unit) for unit in _missing(found)]


def tell_missing(found: Survey, rest: str = BESIDE) -> list[str]:
    """Tell what a report of what is there lacks.

    Args:
        found: What is there.
        rest: What names all where a list is cut.

    Returns:
        A sentence each: how many runs are there, the settings with missing runs, what failed and why, and which files
        were left out since they were made with other settings.
    """
    runs, missing = found.units["evaluate"], _missing(found)
    if not missing:
        return [f"Made while the experiment ran: all {count(len(runs))} runs are there.", *_tell_stale(found)]
    return [
        f"This report is partial: {count(len(runs) - len(missing))} of {count(len(runs))} runs are there, and all "
        "numbers are of these alone.",
        *_shortened(list(_tell_cells(found, missing)), _SHOWN_CELLS, "settings with missing runs", rest),
        *tell_errors(found, rest),
        *_tell_stale(found),
    ]


def _missing(found: Survey) -> list[Unit]:
    states = found.states["evaluate"]
    return [unit for place, unit in found.units["evaluate"].items() if states[place] != "done"]


def _describe(found: Survey, unit: Unit) -> dict[str, Any]:
    first = found.cause(unit) or _first_unfinished(found, unit)
    log = found.logs.get((first.stage, first.place))
    failed = log is not None and log.error is not None
    return {
        **unit.keys,
        "stage": first.stage,
        "state": found.states[first.stage][first.place],
        "error": log.error if log is not None and failed else None,
        "log": first.log(found.config.results) if failed else None,
    }


def _first_unfinished(found: Survey, unit: Unit) -> Unit:
    for stage, place in unit.parents:
        if found.states[stage][place] != "done":
            return _first_unfinished(found, found.units[stage][place])
    return unit


def _tell_cells(found: Survey, missing: list[Unit]) -> Iterator[str]:
    lacking: dict[tuple[str, ...], list[Unit]] = {}
    for unit in missing:
        lacking.setdefault(_cell(unit), []).append(unit)
    sizes: dict[tuple[str, ...], int] = {}
    for unit in found.units["evaluate"].values():
        sizes[_cell(unit)] = sizes.get(_cell(unit), 0) + 1
    for cell, units in lacking.items():
        number = len(units)
        some = f"{count(number)} of {count(sizes[cell])} runs {'is' if number == 1 else 'are'} missing"
        whole = f"all {count(number)} runs are missing" if number > 1 else "its one run is missing"
        seeds = ", ".join(f"{unit.keys['data_seed']}/{unit.keys['trial']}" for unit in units[:_SHOWN_SEEDS])
        more = f" and {count(number - _SHOWN_SEEDS)} more" if number > _SHOWN_SEEDS else ""
        which = "" if number == sizes[cell] else f" (data seed/trial {seeds}{more})"
        yield f"{', '.join(cell)}: {whole if number == sizes[cell] else some}{which}."


def _cell(unit: Unit) -> tuple[str, ...]:
    return tuple(str(unit.keys[name]) for name in _CELL)


def tell_errors(found: Survey, rest: str = BESIDE) -> list[str]:
    """Tell each error once, however many jobs ended with it; of many errors the first.

    Args:
        found: What is there.
        rest: What names the others.
    """
    return _shortened(list(_tell_errors(found)), _SHOWN_ERRORS, "errors", rest)


def _tell_errors(found: Survey) -> Iterator[str]:
    jobs: dict[tuple[str, str], list[Unit]] = {}
    for (stage, place), log in found.logs.items():
        if log.error is not None:
            jobs.setdefault((stage, log.error), []).append(found.units[stage][place])
    for (stage, error), units in jobs.items():
        first = " ".join(str(value) for value in units[0].keys.values())
        more = f" and {count(len(units) - 1)} more" if len(units) > 1 else ""
        yield f"{stage} failed for {first}{more}: {shortened(' '.join(error.split()), _LONGEST)}"


def _tell_stale(found: Survey) -> Iterator[str]:
    if found.stale:
        listed = ", ".join(f"{path} ({wrong})" for path, wrong in list(found.stale.items())[:_SHOWN_FILES])
        more = f" and {count(len(found.stale) - _SHOWN_FILES)} more" if len(found.stale) > _SHOWN_FILES else ""
        yield f"Left out, since they do not fit the config: {listed}{more}."


def _shortened(sentences: list[str], most: int, what: str, rest: str) -> list[str]:
    if len(sentences) <= most:
        return sentences
    return [*sentences[:most], f"And {count(len(sentences) - most)} more {what}; {rest} names all."]
