from __future__ import annotations

import pytest

from hypermix.report.why import Change, Group, Why, why_text

RATE = Change("classifiers.minilm.learning_rate", "5e-05", "1e-05")
NEW, GONE = Change("augmenters.new", None, "{}"), Change("only", "[]", None)


def text(*groups: Group, columns: int = 100, **more: object) -> str:
    return why_text(Why("results", 1300, groups, **more), columns)


def test_nothing_to_do_is_said() -> None:
    assert text() == "results: nothing would run; all 1 300 jobs are done with these settings.\n"


@pytest.mark.parametrize(
    ("group", "line"),
    [
        (
            Group("train", 120, "settings", changes=[RATE]),
            "train, 120 jobs: classifiers.minilm.learning_rate 5e-05 → 1e-05",
        ),
        (
            Group(
                "aggregate", 1, "settings", changes=[Change("augmenters.new", None, "{}"), Change("only", "[]", None)]
            ),
            "aggregate, 1 job: augmenters.new is new; only is gone",
        ),
        (Group("train", 2, "settings"), "train, 2 jobs: made without a record of its settings"),
        (Group("prepare", 1, "input", files=["a.csv"]), "prepare, 1 job: a.csv changed"),
        (
            Group("train", 5, "input", files=["a", "b", "c", "d", "e"]),
            "train, 5 jobs: a, b, c and 2 more changed",
        ),
        (Group("train", 1, "unfinished", files=["a.parquet"]), "train, 1 job: a.parquet was not finished"),
        (
            Group("augment", 3, "missing", {"augmenter": "new"}),
            "augment, 3 jobs (augmenter new): not made yet, or deleted",
        ),
        (
            Group("evaluate", 3, "after", {"data_seed": 4}, after=["train"]),
            "evaluate, 3 jobs (data seed 4): after train",
        ),
        (
            Group("aggregate", 1, "after", after=["quality", "evaluate"]),
            "aggregate, 1 job: after quality and evaluate",
        ),
    ],
)
def test_each_reason_is_a_line(group: Group, line: str) -> None:
    head, *rest = text(group, columns=200).splitlines()

    assert head.startswith(f"results: {group.jobs} of ")
    assert rest == [line]


def test_jobs_are_counted_by_stage() -> None:
    groups = [Group("train", 2, "settings"), Group("train", 3, "after"), Group("evaluate", 5, "after")]

    assert Why("results", 20, groups).jobs == {"train": 5, "evaluate": 5}
    assert text(*groups).startswith("results: 10 of ")


def test_hostile_and_long_values_stay_on_their_line() -> None:
    change = Change("augmenters.x.pattern", '"\x1b[2J\n' + "a" * 500 + '"', '"b"')
    told = text(Group("augment", 1, "settings", changes=[change]), columns=400)

    assert "\x1b" not in told
    assert "…" in told
    assert [len(line) < 160 for line in told.splitlines()] == [True, True]


def test_lines_fit_the_terminal() -> None:
    told = text(Group("train", 120, "settings", {"dataset": "mine"}, [RATE, RATE]), columns=50)

    assert max(len(line) for line in told.splitlines()) <= 50
    assert [line.startswith("  ") for line in told.splitlines()] == [False, False, True, True]


def test_damaged_files_are_told() -> None:
    assert text(damaged={"a.parquet": "a.parquet: cannot be read; delete it"}).splitlines()[-1] == (
        "a.parquet: cannot be read; delete it"
    )
