from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.errors import ArtefactError
from hypermix.report.console import COLUMNS, plain, summary_lines
from tests.report_data import make_comparisons, make_costs, make_runs, make_verdict


def verdict(**changes: Any) -> dict[str, Any]:
    return {**make_verdict(make_comparisons(make_runs())), **changes}


def test_headline_is_first_path_last() -> None:
    lines = summary_lines(verdict(), "results/aggregate/report.html")
    assert lines[0] == verdict()["headline"]
    assert lines[-1] == "Report: results/aggregate/report.html"


def test_cost_stands_before_the_path() -> None:
    lines = summary_lines(verdict(), "report.html", make_costs())
    assert lines[-2:] == [
        "Cost: At least 0.08 US dollars. What these cost is unknown: gpt3mix-lab.",
        "Report: report.html",
    ]


def test_no_cost_has_no_line() -> None:
    assert summary_lines(verdict(), "report.html", make_costs().head(1)) == summary_lines(verdict(), "report.html")


def test_each_verdict_has_one_line() -> None:
    lines = summary_lines(verdict(), "report.html")
    assert len(lines) == 1 + 2 + 1
    assert lines[1] == "  gpt3mix on rt/16s/minilm: cannot tell; points against none +2.6, duplicate +2.5"


def test_short_line_shows_the_interval() -> None:
    short = verdict()
    del short["verdicts"][0]["baselines"][1]
    line = summary_lines(short, "report.html")[1]
    assert line == "  gpt3mix on rt/16s/minilm: cannot tell; points against none +2.6 (+0.5 to +4.7)"


def test_lines_fit_the_terminal() -> None:
    long = verdict(headline="word " * 100)
    long["verdicts"][0]["augmenter"] = "a" * 150
    assert all(len(line) <= COLUMNS for line in summary_lines(long, "report.html"))


def test_long_path_stays_whole() -> None:
    path = "/".join(["folder"] * 40)
    assert summary_lines(verdict(), path)[-1] == f"Report: {path}"


def test_missing_difference_is_told() -> None:
    lacking = verdict()
    lacking["verdicts"][0]["baselines"][0].update(mean_difference=None, ci_low=None, ci_high=None)
    assert "none: no pair" in summary_lines(lacking, "report.html")[1]


def test_one_seed_has_no_interval() -> None:
    one = make_verdict(make_comparisons(make_runs(seeds=[1])))
    assert "(" not in summary_lines(one, "report.html")[1]


def test_nothing_to_compare_has_headline() -> None:
    empty = verdict(headline="Nothing to compare: no baseline.", outcome="nothing", verdicts=[])
    assert summary_lines(empty, "r.html") == ["Nothing to compare: no baseline.", "Report: r.html"]


def test_unknown_outcome_is_an_error() -> None:
    broken = verdict()
    broken["verdicts"][0]["outcome"] = "maybe"
    with pytest.raises(ArtefactError, match="unknown outcome 'maybe'"):
        summary_lines(broken, "report.html")


def test_escape_codes_are_taken_out() -> None:
    lines = summary_lines(verdict(headline="\x1b[31mred\x1b[0m\r\nnext\u202eback"), "report.html")
    assert lines[0] == "[31mred [0m next back"


@given(st.text())
def test_plain_text_is_always_printable(text: str) -> None:
    assert plain(text).isprintable() or any(not character.isprintable() for character in plain(text))
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in plain(text))
    assert plain(plain(text)) == plain(text)
