from __future__ import annotations

import math
from typing import Any

import pytest

from hypermix.report.data import ReportData
from hypermix.report.numbers import SHEETS, accuracy_sheet, cost_sheet, difference_sheet, quality_sheet
from hypermix.report.sheet import Cell, Sheet, to_csv, to_latex, to_markdown
from tests.report_data import make_comparisons, make_costs, make_quality, make_report, make_runs, make_spending


def lines(sheet: Sheet) -> list[dict[str, Cell]]:
    names = [column.name for column in sheet.columns]
    return [dict(zip(names, row, strict=True)) for group in sheet.groups for row in group]


def significant(**changes: Any) -> ReportData:
    comparisons = make_comparisons(make_runs())
    comparisons["p_adjusted"] = [0.01 if name == "gpt3mix" else 0.4 for name in comparisons["augmenter"]]
    return make_report(comparisons=comparisons, **changes)


def test_the_best_accuracy_is_bold_in_each_group() -> None:
    data = make_report(runs=make_runs(datasets=["rt", "ag"]))
    for group in accuracy_sheet(data).groups:
        means = [float(row[4].text) for row in group]
        assert [row[4].best for row in group] == [mean == max(means) for mean in means]


def test_equal_as_rounded_is_equally_good() -> None:
    data = make_report()
    data.summary.loc[data.summary["metric"] == "accuracy", "mean"] = [0.70101, 0.70099, 0.6, 0.5]
    assert [row["accuracy, %"].best for row in lines(accuracy_sheet(data))] == [True, True, False, False]


def test_the_least_log_loss_is_bold() -> None:
    found = lines(accuracy_sheet(make_report()))
    losses = [float(line["log loss"].text) for line in found]
    assert [line["log loss"].best for line in found] == [loss == min(losses) for loss in losses]


def test_one_method_is_not_the_best_of_one() -> None:
    nothing = make_comparisons(make_runs()).head(0)
    (line,) = lines(accuracy_sheet(make_report(runs=make_runs(augmenters=["none"]), comparisons=nothing)))
    assert not line["accuracy, %"].best


def test_a_mark_has_its_note_with_test_and_family() -> None:
    data = significant()
    for sheet, column in ((accuracy_sheet(data), "accuracy, %"), (difference_sheet(data), "difference, points")):
        marked = {line["augmenter"].text for line in lines(sheet) if line[column].mark}
        assert marked == {"gpt3mix"}
        (note,) = [note for note in sheet.notes if note.startswith("*")]
        assert "exact sign-flip test" in note
        assert "family of all 5 comparisons of accuracy" in note


def test_bounds_are_told_as_a_family_of_their_own() -> None:
    (note,) = [note for note in difference_sheet(significant(bounds=["eda"])).notes if note.startswith("*")]
    assert "family of all 3 comparisons" in note
    assert "eda apart as a family of its own" in note


def test_without_significance_there_is_no_mark() -> None:
    data = make_report()
    for sheet in (accuracy_sheet(data), difference_sheet(data)):
        assert not [line for line in lines(sheet) for cell in line.values() if cell.mark]
        assert not [note for note in sheet.notes if note.startswith("*")]


def test_numbers_are_those_of_the_report() -> None:
    data = make_report()
    row = data.comparisons.iloc[0]
    found = lines(difference_sheet(data))[0]
    assert found["difference, points"].text == f"{100 * row['mean_difference']:+.1f}"
    assert found["p"].text == "0.25"


def test_one_seed_has_no_interval() -> None:
    runs = make_runs(seeds=[1])
    found = lines(difference_sheet(make_report(runs=runs, comparisons=make_comparisons(runs))))[0]
    assert [found[name].text for name in ("95 % interval", "p", "effect size")] == ["not defined"] * 3


def test_costs_have_a_row_an_augmenter() -> None:
    found = lines(cost_sheet(make_report()))
    assert [line["augmenter"].text for line in found] == list(make_costs()["augmenter"])
    assert found[2]["US dollars"].text == "unknown"


def test_quality_has_a_column_an_augmenter() -> None:
    quality = make_quality(settings=[("rt", "16s"), ("rt", "32s")])
    sheet = quality_sheet(make_report(quality=quality))
    assert [column.name for column in sheet.columns[3:]] == ["gpt3mix", "eda", "duplicate"]
    assert len(sheet.groups) == 2


@pytest.mark.parametrize("name", list(SHEETS))
def test_an_empty_experiment_has_tables_too(name: str) -> None:
    full = make_report()
    empty = {key: getattr(full, key).head(0) for key in ("runs", "summary", "comparisons", "costs", "quality")}
    sheet = SHEETS[name](make_report(**empty, spending=make_spending().head(0)))
    assert not sheet.groups
    for form in (to_markdown, to_latex, to_csv):
        assert form(sheet)


def test_a_metric_that_is_nan_is_not_defined() -> None:
    data = make_report()
    data.summary.loc[data.summary["metric"] == "log_loss", ["mean", "sd", "ci_low", "ci_high"]] = math.nan
    assert {line["log loss"].text for line in lines(accuracy_sheet(data))} == {"not defined"}
