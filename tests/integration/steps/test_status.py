from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.llm.ledger import Caps, Cost, Ledger, account_path
from hypermix.report.status import StageCount, Status
from hypermix.steps import stale
from hypermix.steps.artefacts import STAGES, list_units
from hypermix.steps.spent import SPENT, read_spent
from hypermix.steps.status import look
from tests.integration.steps.chain import Chain
from tests.integration.steps.leftover import Leftover

TOTALS = {"prepare": 1, "subsample": 2, "augment": 5, "quality": 5, "train": 5, "evaluate": 5, "aggregate": 1}
ERROR = "none of 8 answers can be used"


@pytest.fixture
def left(done: Chain, tmp_path: Path) -> Leftover:
    return Leftover(done, tmp_path / "results")


def counts(status: Status, state: str) -> dict[str, int]:
    """Return the stages that have something in a state."""
    return {one.stage: getattr(one, state) for one in status.stages if getattr(one, state)}


# What is there.


def test_all_is_done(left: Leftover) -> None:
    status = look(left.config)
    assert counts(status, "done") == counts(status, "total") == TOTALS
    assert not status.stale
    assert not status.failed
    assert status.left is None
    assert status.unknown is None


def test_nothing_is_there(left: Leftover) -> None:
    status = look(left.with_settings(results=str(left.results / "elsewhere")))
    assert counts(status, "waiting") == TOTALS
    assert counts(status, "done") == counts(status, "stale") == {}
    assert status.unknown == "prepare"


def test_what_is_missing_waits(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove([left.chain.metrics(key), left.chain.trained(key)["history"]])
    status = look(left.config)
    assert status.stage("train") == StageCount("train", done=4, waiting=1)
    assert status.stage("evaluate") == StageCount("evaluate", done=4, waiting=1)
    assert status.stage("augment").done == 5


def test_added_runs_make_the_report_wait(left: Leftover) -> None:
    status = look(left.with_settings(seeds={"data": [11, 12, 13]}))
    assert status.stage("evaluate") == StageCount("evaluate", done=5, waiting=3)
    assert status.stage("aggregate") == StageCount("aggregate", waiting=1, stale=1)


def test_a_newer_run_makes_the_report_wait(left: Leftover) -> None:
    os.utime(left.chain.metrics(left.chain.key("mix")))
    assert look(left.config).stage("aggregate").waiting == 1


def test_units_are_what_the_chain_makes(done: Chain) -> None:
    found = {Path(file) for units in list_units(done.config).values() for u in units.values() for file in u.files(".")}
    trees = sorted({folder for stage in STAGES.values() for folder in stage.tables.values()})
    there = {path.relative_to(done.results) for tree in trees for path in (done.results / tree).rglob("*.parquet")}
    assert found == there


# Jobs.


def test_failed_job_is_named_with_its_error_and_what_it_holds_up(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove_augmentation(key)
    log = left.fail("augment", key, ERROR)
    status = look(left.config)
    assert status.stage("augment") == StageCount("augment", done=4, failed=1)
    for stage in ("quality", "train", "evaluate"):
        assert status.stage(stage) == StageCount(stage, done=4, waiting=1, held=1)
    assert [(job.stage, job.told, Path(job.log)) for job in status.failed] == [("augment", ERROR, log)]
    assert status.failed[0].name == "augment toy 2s 11 mix 7"
    assert status.left is None or status.left.seconds == 0


def test_old_error_is_forgotten_when_the_job_is_done(left: Leftover) -> None:
    left.fail("augment", left.chain.key("mix"), ERROR)
    assert look(left.config).failed == []


def test_running_job_is_told_with_its_last_words(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove_augmentation(key)
    with left.log("augment", key, "12:00:00 4 of 8 rows\n").open("r+", encoding="utf-8") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        status = look(left.config)
    assert status.stage("augment") == StageCount("augment", done=4, running=1)
    assert [(job.name, job.told) for job in status.running] == [("augment toy 2s 11 mix 7", "4 of 8 rows")]
    assert counts(status, "held") == {}


def test_stopped_job_waits(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove_augmentation(key)
    left.log("augment", key, "12:00:00 4 of 8 rows\n")
    status = look(left.config)
    assert status.stage("augment") == StageCount("augment", done=4, waiting=1)
    assert [job.name for job in status.stopped] == ["augment toy 2s 11 mix 7"]


def test_failed_report_is_told(left: Leftover) -> None:
    left.remove([left.results / "aggregate" / "report.html"])
    (left.results / "logs").mkdir()
    (left.results / "logs" / "aggregate.log").write_text("12:00:00 failed: no room\n", encoding="utf-8")
    status = look(left.config)
    assert status.stage("aggregate") == StageCount("aggregate", failed=1)
    assert [job.told for job in status.failed] == ["no room"]


# Other settings.


@pytest.mark.parametrize(
    ("overlay", "stages"),
    [
        ({"classifiers": {"tiny": {"max_steps": 13}}}, {"train": 5, "evaluate": 5}),
        ({"augmenters": {"mix": {"examples": 2}}}, {"augment": 1, "quality": 1, "train": 1, "evaluate": 1}),
        ({"subsample": {"validation": "3s"}}, {"subsample": 2, "augment": 5, "quality": 5, "train": 5, "evaluate": 5}),
        ({"quality": {"judge_rows": 123}}, {"quality": 5}),
    ],
)
def test_two_configs_in_one_folder_are_told_apart(
    left: Leftover, overlay: dict[str, Any], stages: dict[str, int]
) -> None:
    """They share all keys and differ in one setting."""
    status = look(left.with_settings(**overlay))
    assert counts(status, "stale") == {**stages, "aggregate": 1}
    assert {name: number for name, number in counts(status, "waiting").items() if name != "aggregate"} == stages
    assert len(status.stale) == sum(stages.values())
    assert all("other settings" in wrong for wrong in status.stale.values())


def test_older_file_of_other_settings_is_seen(left: Leftover) -> None:
    """A file that is older than what stands beside it is not taken for its origin, if that is of other settings too."""
    config = left.with_settings(augmenters={"mix": {"examples": 2}})
    mixed = left.chain.augmented(left.chain.key("mix"))["synthetic"]
    os.utime(mixed, (1e9, 1e9))
    assert str(mixed) in look(config).stale


def test_newer_file_is_looked_at_itself(left: Leftover) -> None:
    """Runs that were made before an augmentation changed vouch for the old one alone."""
    path = left.chain.augmented(left.chain.key("duplicate"))["synthetic"]
    rows = tables.from_columns("synthetic", read_table(path, "synthetic"))
    write_table(path, rows, {"slices": {"augment": {"other": True}}})
    assert list(look(left.config).stale) == [str(path)]


def test_damaged_file_is_named(left: Leftover) -> None:
    path = left.chain.metrics(left.chain.key("mix"))
    path.write_bytes(b"PAR1 not a table PAR1")
    status = look(left.config)
    assert "cannot be read" in status.stale[str(path)]
    assert status.stage("evaluate") == StageCount("evaluate", done=4, waiting=1, stale=1)


def test_current_files_are_not_parsed(left: Leftover, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheap look must be enough for what is current, or a large study takes minutes."""

    def refuse(path: Path) -> None:
        raise ArtefactError(f"{path}: was parsed")

    monkeypatch.setattr(stale, "read_provenance", refuse)
    status = look(left.config)
    assert status.stale == {}
    assert status.stage("evaluate").done == 5


# Money and time.


def test_requests_are_those_of_the_receipts(left: Leftover) -> None:
    receipt = read_table(left.chain.augmented(left.chain.key("mix"))["receipt"], "receipt").iloc[0]
    spending = look(left.config).spending
    assert (spending.requests, spending.replayed) == (receipt["requests_paid"], receipt["requests_replayed"])
    assert spending.requests + spending.replayed > 0
    assert spending.usd == 0
    assert spending.account is None  # it runs here


def test_account_of_a_hosted_model_is_held_against_the_budget(left: Leftover, tmp_path: Path) -> None:
    hosted = {
        "api": "completions",
        "model": "tiny",
        "base_url": "http://127.0.0.1:9/v1",
        "price": {"input": 1.0, "output": 2.0, "as_of": "2026-01-01"},
    }
    config = left.with_settings(
        llms={"far": hosted}, augmenters={"mix": {"llm": "far"}}, budget={"usd": 2.0}, cache=str(tmp_path)
    )
    ledger = Ledger(account_path(config.cache, config.results), Caps())
    ledger.settle(ledger.reserve(0.75, 900), Cost(0.5, 800))
    ledger.reserve(0.25, 100)
    account = look(config).spending.account
    assert account is not None
    assert account.caps == {"usd": 2.0}
    assert account.spent == {"usd": 0.75, "requests": 2, "tokens": 900}


def test_time_left_is_told_from_the_pace(left: Leftover) -> None:
    """Everything was made 30 seconds after the one before it; all of train and evaluate of one draw is left."""
    moment = 1.7e9
    for units in list_units(left.config).values():
        for unit in units.values():
            moment += 30
            for file in unit.files(left.config.results):
                os.utime(file, (moment, moment))
    key = left.chain.key("mix")
    left.remove([left.chain.metrics(key), *left.chain.trained(key).values()])
    status = look(left.config)
    assert status.left is not None
    assert status.left.seconds == pytest.approx(60, abs=10)
    fresh = left.with_settings(seeds={"data": [11, 12, 13]})
    assert look(fresh).unknown == "subsample"  # of which too few are there


# The command stays light.


def test_starts_without_heavy_packages() -> None:
    heavy = ("torch", "snakemake", "openai", "transformers", "matplotlib", "scipy")
    code = f"import sys, hypermix.cli, hypermix.steps.status; print([n for n in {heavy} if n in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("usd", [None, 0.25])
def test_receipt_without_the_short_form_is_read_as_a_table(left: Leftover, usd: float | None) -> None:
    path = left.chain.augmented(left.chain.key("mix"))["receipt"]
    quick = read_spent(path)
    row = read_table(path, "receipt").assign(usd_paid=usd)
    provenance = {name: part for name, part in read_provenance(path).items() if name != SPENT}
    write_table(path, tables.from_columns("receipt", row), provenance)
    assert read_spent(path) == {**quick, "usd_paid": usd}
    assert look(left.config).spending.usd == usd


def test_damaged_receipt_is_named(left: Leftover) -> None:
    path = left.chain.augmented(left.chain.key("mix"))["receipt"]
    path.write_bytes(b"nothing")
    with pytest.raises(ArtefactError, match=r"receipt\.parquet: cannot be read"):
        look(left.config)
