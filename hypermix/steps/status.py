"""status: how far an experiment is, what was spent and what time is left, while it runs. Nothing is sent or written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypermix.config import experiment
from hypermix.config.augmenter import asked_llm
from hypermix.config.llm import HOSTED_APIS
from hypermix.config.model import Config
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance
from hypermix.llm.ledger import Caps, Ledger, account_path
from hypermix.report.forecast import Account
from hypermix.report.status import Estimate, Job, Spending, StageCount, Status
from hypermix.steps.artefacts import AGGREGATE_OUTPUTS, STAGES, Unit
from hypermix.steps.joblog import read_log
from hypermix.steps.pace import estimate
from hypermix.steps.spent import SPENDING, read_spent
from hypermix.steps.survey import State, Survey, finish_time, survey

AGGREGATE = "aggregate"


def look(config: Config) -> Status:
    """Tell how far an experiment is.

    Args:
        config: The config at hand.

    Raises:
        ConfigError: If the config leaves no run, or a template of it cannot be read.
        LlmError: If the account of what was spent cannot be read.
        ArtefactError: If a receipt cannot be read.
    """
    return tell(survey(config))


def tell(found: Survey) -> Status:
    """Tell how far an experiment is by what is there; see `look`.

    Args:
        found: What is there.

    Raises:
        LlmError: If the account of what was spent cannot be read.
        ArtefactError: If a receipt cannot be read.
    """
    counts = [_count(found, stage) for stage in STAGES]
    last, job = _look_at_aggregate(found)
    left = {one.stage: one.running + one.waiting - one.held for one in counts}
    told: Estimate | str | None = None
    if any(left.values()):
        told = estimate({stage: list(times.values()) for stage, times in found.finished.items()}, left)
    return Status(
        results=found.config.results,
        stages=[*counts, last],
        running=[*_list_jobs(found, "running"), *([job] if job and last.running else [])],
        failed=[*_list_jobs(found, "failed"), *([job] if job and last.failed else [])],
        stopped=list(_list_jobs(found, "stopped")),
        stale=found.stale,
        spending=_sum_spending(found),
        left=told if isinstance(told, Estimate) else None,
        unknown=told if isinstance(told, str) else None,
    )


def _count(found: Survey, stage: str) -> StageCount:
    states = list(found.states[stage].values())
    done, running, failed, stale = (states.count(state) for state in ("done", "running", "failed", "stale"))
    waiting = len(states) - done - running - failed
    return StageCount(stage, done, running, failed, waiting, stale, _count_held(found, stage))


def _count_held(found: Survey, stage: str) -> int:
    if not any("failed" in states.values() for states in found.states.values()):
        return 0
    units = found.units[stage].values()
    return sum(found.states[stage][unit.place] != "failed" and found.cause(unit) is not None for unit in units)


def _list_jobs(found: Survey, state: State) -> Iterator[Job]:
    for stage in STAGES:
        for unit in found.of_state(stage, state):
            yield describe_job(found, unit)


def describe_job(found: Survey, unit: Unit) -> Job:
    """Describe a job that has a log.

    Args:
        found: What is there.
        unit: What it makes, or would have made.
    """
    log = found.logs[unit.stage, unit.place]
    return Job(unit.stage, unit.keys, log.last if log.error is None else log.error, unit.log(found.config.results))


def _look_at_aggregate(found: Survey) -> tuple[StageCount, Job | None]:
    """Count the last stage, and describe its job if it runs or failed.

    It is done if its files are of this config, and newer than all that they are made from.
    """
    results = found.config.results
    outputs = [f"{results}/{AGGREGATE}/{name}" for name in AGGREGATE_OUTPUTS.values()]
    finished = finish_time(outputs)
    if finished is not None:
        newest = max((time for times in found.finished.values() for time in times.values()), default=0.0)
        complete = all(state == "done" for states in found.states.values() for state in states.values())
        fits = complete and newest <= finished and _is_of(found.config, Path(outputs[0]))
        return StageCount(AGGREGATE, done=int(fits), waiting=int(not fits), stale=int(not fits)), None
    path = f"{results}/logs/{AGGREGATE}.log"
    log = read_log(path)
    if log is None or not (log.running or log.error):
        return StageCount(AGGREGATE, waiting=1), None
    job = Job(AGGREGATE, {}, log.last if log.error is None else log.error, path)
    return StageCount(AGGREGATE, running=int(log.running), failed=int(not log.running)), job


def _is_of(config: Config, path: Path) -> bool:
    try:
        made: dict[str, Any] = read_provenance(path).get("slices", {})
    except ArtefactError:
        return False
    return bool(made.get(AGGREGATE) == json.loads(experiment.aggregate_slice(config)))


def _sum_spending(found: Survey) -> Spending:
    config = found.config
    asked = {name: asked_llm(augmenter) for name, augmenter in config.augmenters.items()}
    units = [unit for unit in found.of_state("augment", "done") if asked[str(unit.keys["augmenter"])] is not None]
    used = {asked[str(unit.keys["augmenter"])] for unit in found.units["augment"].values()} - {None}
    hosted = any(config.llms[str(name)].api in HOSTED_APIS for name in used)
    spent = [read_spent(unit.path(config.results, "receipt")) for unit in units]
    requests, replayed, unknown = (sum(int(one[name] or 0) for one in spent) for name in SPENDING[:-1])
    paid = [one["usd_paid"] for one in spent]
    known = [usd for usd in paid if usd is not None]
    return Spending(
        account=_open_account(config) if hosted else None,
        requests=requests,
        replayed=replayed,
        unknown=unknown,
        usd=math.fsum(known) if len(known) == len(paid) else None,
    )


def _open_account(config: Config) -> Account:
    spent = Ledger(account_path(config.cache, config.results), Caps()).spent()
    caps = {"usd": config.budget.usd, "requests": config.budget.requests, "tokens": config.budget.tokens}
    return Account(
        {name: cap for name, cap in caps.items() if cap is not None}, {name: getattr(spent, name) for name in caps}
    )
