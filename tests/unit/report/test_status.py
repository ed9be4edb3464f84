from __future__ import annotations

import pytest

from hypermix.report.forecast import Account
from hypermix.report.status import Estimate, Job, Spending, StageCount, Status, duration, status_text

STAGES = [
    StageCount("prepare", done=1),
    StageCount("train", done=4, running=2, failed=1, waiting=3, stale=1, held=1),
    StageCount("evaluate", done=4, waiting=6, held=1),
]


def job(told: str = "", number: int = 1) -> Job:
    return Job("train", {"dataset": "rt", "trial": number}, told, f"results/logs/train/{number}.log")


def text(status: Status, width: int = 100) -> str:
    found = status_text(status, width)
    assert all(len(line) <= width for line in found.splitlines())
    assert "\x1b" not in found
    return found


def flat(status: Status, width: int = 100) -> str:
    return " ".join(text(status, width).split())


def test_counts_stand_in_columns() -> None:
    lines = [line.split() for line in text(Status("results", STAGES)).splitlines()]
    assert ["stage", "done", "running", "failed", "waiting", "of"] in lines
    assert ["train", "4", "2", "1", "3", "10"] in lines
    assert "results: 4 of 10 runs are done." in flat(Status("results", STAGES))


def test_failed_jobs_are_named_with_error_and_log() -> None:
    told = flat(Status("results", STAGES, failed=[job("there is no room; make some")]), 200)
    assert "Failed: train rt 1: there is no room; make some (log: results/logs/train/1.log)" in told
    assert "2 artefacts wait for what failed." in told


def test_running_jobs_are_named_with_their_last_words() -> None:
    told = flat(Status("results", STAGES, running=[job("step 30, loss 0.412"), job(number=2)]))
    assert "Running: train rt 1: step 30, loss 0.412" in told
    assert "Running: train rt 2" in told
    assert "No job runs" not in told


def test_long_lists_are_cut() -> None:
    status = Status("results", STAGES, failed=[job("no room", number) for number in range(40)])
    told = flat(status)
    assert told.count("Failed: ") == 5
    assert "and 35 more; --json names all" in told


def test_stale_files_are_named() -> None:
    told = flat(Status("results", STAGES, stale={"results/a.parquet": "made with other settings of train"}), 200)
    assert "1 file does not fit the config" in told
    assert "results/a.parquet: made with other settings of train" in told


def test_hostile_texts_cannot_move_the_cursor() -> None:
    status = Status("re\x1b[2Jsults", STAGES, failed=[job("\x1b[31mred\r\nline\x07" + "x" * 10_000)], stopped=[job()])
    told = text(status, 60)
    assert "\r" not in told
    assert "\x07" not in told
    assert len(told) < 4000


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_width_will_do(width: int) -> None:
    status = Status(
        "results",
        STAGES,
        failed=[job("there is no room")],
        spending=Spending(Account({"usd": 2.0}, {"usd": 0.5, "requests": 12, "tokens": 30_000}), 12, 3, 1, 0.5),
        left=Estimate(5000.0, 30, 600.0),
    )
    assert "evaluate" in text(status, width)


def test_money_is_held_against_the_budget() -> None:
    account = Account({"usd": 2.0}, {"usd": 0.75, "requests": 1200, "tokens": 30_000})
    told = flat(Status("results", STAGES, spending=Spending(account, 1100, 50, 2, 0.7)), 200)
    assert "0.75 of 2.00 US dollars, 1 200 requests, 30 000 tokens" in told
    assert "1 100 requests sent, 50 answers taken from the store, 2 perhaps paid and lost, 0.70 US dollars paid" in told


def test_unknown_price_is_no_zero() -> None:
    account = Account({}, {"usd": 0.0, "requests": 3, "tokens": 40})
    told = flat(Status("results", STAGES, spending=Spending(account, 3, 0, 0, None)), 200)
    assert "an unknown price paid" in told


def test_models_that_run_here_cost_nothing() -> None:
    told = flat(Status("results", STAGES, spending=Spending(None, 30, 0)))
    assert "30 requests sent" in told
    assert "dollars" not in told


def test_time_left_is_an_estimate_with_its_basis() -> None:
    told = flat(Status("results", STAGES, running=[job()], left=Estimate(8000.0, 120, 840.0)), 200)
    assert "Time left: about 2 h 13 min; an estimate from the pace of the last 120 artefacts, made in 14 min." in told
    idle = flat(Status("results", STAGES, left=Estimate(8000.0, 120, 840.0)), 200)
    assert "about 2 h 13 min once snakemake runs again" in idle


def test_unknown_pace_is_said() -> None:
    assert "cannot be told before some more jobs of train have ended" in flat(Status("r", STAGES, unknown="train"))
    assert "Time left" not in flat(Status("r", STAGES))


def test_colors_stand_beside_words() -> None:
    status = Status("results", STAGES, failed=[job("no room")])
    assert "\x1b[" in status_text(status, 100, color=True)
    assert "failed" in status_text(status, 100, color=False)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3500, "58 min"),
        (3599, "1 h 0 min"),
        (3600, "1 h 0 min"),
        (86_300, "23 h 58 min"),
        (86_399, "1 d 0 h"),
        (90_000, "1 d 1 h"),
        (1e7, "115 d 18 h"),
    ],
)
def test_durations_have_two_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told
