from __future__ import annotations

import itertools

import pytest

from hypermix.report.status import Estimate
from hypermix.steps.pace import FEWEST, estimate


def times(*gaps: float, start: float = 1e9) -> list[float]:
    return list(itertools.accumulate(gaps, initial=start))


def test_one_stage_goes_on_at_its_pace() -> None:
    found = estimate({"train": times(10, 20, 30)}, {"train": 6})
    assert found == Estimate(120.0, 3, 60.0)


def test_what_is_done_takes_no_time() -> None:
    found = estimate({"prepare": [1.0], "train": times(10, 10, 10)}, {"prepare": 0, "train": 2})
    assert isinstance(found, Estimate)
    assert found.seconds == 20


def test_each_stage_has_its_share() -> None:
    train = times(*[10.0] * 5)
    evaluate = [time + 2 for time in train]
    found = estimate({"train": train, "evaluate": evaluate}, {"train": 5, "evaluate": 5})
    assert isinstance(found, Estimate)
    assert found.seconds == pytest.approx(50)
    alone = estimate({"train": train, "evaluate": evaluate}, {"train": 0, "evaluate": 5})
    assert isinstance(alone, Estimate)
    assert alone.seconds == pytest.approx(10)


def test_jobs_side_by_side_count_once() -> None:
    """Four jobs at a time of 40 seconds each: one ends every ten seconds."""
    lanes = [times(*[40.0] * 5, start=1e9 + 10 * lane) for lane in range(4)]
    found = estimate({"train": [time for lane in lanes for time in lane]}, {"train": 8})
    assert isinstance(found, Estimate)
    assert found.seconds == pytest.approx(80)


def test_a_night_between_two_runs_is_no_work() -> None:
    found = estimate({"train": times(10, 10, 10, 8 * 3600, 10, 10)}, {"train": 3})
    assert isinstance(found, Estimate)
    assert found.seconds == pytest.approx(30)
    assert found.jobs == 5


def test_long_jobs_are_no_breaks() -> None:
    found = estimate({"augment": times(7200, 7000, 7400)}, {"augment": 1})
    assert isinstance(found, Estimate)
    assert found.seconds == pytest.approx(7200)


def test_pace_is_that_of_the_latest() -> None:
    found = estimate({"train": times(*[100.0] * 200, *[1.0] * 100)}, {"train": 10})
    assert isinstance(found, Estimate)
    assert found.seconds == pytest.approx(10)


def test_too_little_is_known() -> None:
    few = times(*[10.0] * (FEWEST - 1))
    assert estimate({"train": few}, {"train": 1}) == "train"
    assert estimate({"train": times(1, 1, 1)}, {"train": 1, "evaluate": 1}) == "evaluate"
    assert estimate({}, {"train": 1}) == "train"


def test_nothing_is_left() -> None:
    assert estimate({}, {"train": 0}) == Estimate(0.0, 0, 0.0)


def test_all_at_one_time() -> None:
    assert estimate({"train": [5.0] * 10}, {"train": 3}) == Estimate(0.0, 9, 0.0)
