"""How long the rest of an experiment takes, from the times at which its artefacts were finished.

The time between two artefacts that follow each other counts for the stage of the second. However many jobs run side by
side, these times add up to the time that passed; so each stage has its share of it, starts of processes included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median

from hypermix.report.status import Estimate

FEWEST = 3
"""Artefacts of a stage from which on its pace can be told."""

_LATEST = 100
"""Artefacts of a stage that its pace is told from."""

_BREAK = 600.0
_UNUSUAL = 20.0
"""A time longer than `_BREAK` seconds and so many times the stage's usual is a break between two runs."""


def estimate(finished: Mapping[str, Sequence[float]], left: Mapping[str, int]) -> Estimate | str:
    """Estimate the time that is left.

    Args:
        finished: For each stage when its artefacts were finished, in seconds since 1970.
        left: For each stage how many artefacts are still to make.

    Returns:
        The estimate with its basis, or the name of a stage of which too few artefacts are there to tell.
    """
    gaps = _gaps(finished)
    seconds, span, jobs = 0.0, 0.0, 0
    for stage, count in left.items():
        if count == 0:
            continue
        known = gaps.get(stage, [])[-_LATEST:]
        if len(known) < FEWEST:
            return stage
        longest = max(_BREAK, _UNUSUAL * median(known))
        kept = [gap for gap in known if gap <= longest]
        seconds += count * fmean(kept)
        span += sum(kept)
        jobs += len(kept)
    return Estimate(seconds, jobs, span)


def _gaps(finished: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return for each stage, by time, how long each artefact came after the one before it, of whatever stage."""
    events = sorted((time, stage) for stage, times in finished.items() for time in times)
    found: dict[str, list[float]] = {}
    for (before, _), (time, stage) in pairwise(events):
        found.setdefault(stage, []).append(time - before)
    return found
