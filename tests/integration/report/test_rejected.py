from __future__ import annotations

from hypermix.report.page import render
from hypermix.report.rejected import rejected_rows
from tests.report_data import HOSTILE, make_rejected, make_report


def test_share_is_of_all_rows_that_were_made() -> None:
    row = rejected_rows(make_rejected())[0]
    assert (row["rows"], row["tries"], row["share"]) == ("70", "860", "8.1")
    assert (row["augmenter"], row["reason"]) == ("gpt3mix", "near copy of a synthetic row")


def test_report_shows_every_reason_and_runs_none() -> None:
    page = render(make_report())
    assert "near copy of a synthetic row" in page
    assert HOSTILE not in page


def test_without_refused_rows_there_is_no_table() -> None:
    assert "not used, by reason" in render(make_report())
    assert "not used, by reason" not in render(make_report(rejected=make_rejected().head(0)))
