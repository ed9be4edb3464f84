"""The tables that papers need: accuracy, differences, costs and quality, rounded as in the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from hypermix.report import cost
from hypermix.report.data import ReportData
from hypermix.report.figure import METRIC, group_settings
from hypermix.report.format import NOT_DEFINED, UNKNOWN, count, decimal, is_defined, p_value, percent, points
from hypermix.report.quality import quality_groups
from hypermix.report.sheet import Cell, Column, Sheet

_SIGNIFICANT = "*"
_SETTING = (
    Column("dataset", ("dataset",), number=False),
    Column("size", ("subsample",), number=False),
    Column("classifier", ("classifier",), number=False),
)
_AUGMENTER = Column("augmenter", ("augmenter",), number=False)


def _texts(*texts: str) -> tuple[Cell, ...]:
    return tuple(Cell((text,)) for text in texts)


def accuracy_sheet(data: ReportData) -> Sheet:
    """Return accuracy by dataset, size, classifier and augmenter, with macro F1 and log loss."""
    level = f"{100 * data.verdict['level']:g} %"
    columns = (
        *_SETTING,
        _AUGMENTER,
        Column("accuracy, %", ("accuracy_percent",)),
        Column(f"{level} interval", ("ci_low_percent", "ci_high_percent")),
        Column("sd", ("sd_percent",)),
        Column("data seeds", ("n_seeds",)),
        Column("runs", ("n_runs",)),
        Column("macro F1, %", ("macro_f1_percent",)),
        Column("log loss", ("log_loss",)),
    )
    first = data.baselines[0] if data.baselines else None
    marked = _significant(data, first)
    groups = tuple(_accuracy_group(setting, rows, marked) for setting, rows in group_settings(data.summary))
    notes = [f"Mean over data seeds, each the mean over its trials; Student's t interval of {level} over data seeds."]
    notes.append("Bold: the best of its dataset, size and classifier, as rounded.")
    if marked:
        notes.append(_note_of_test(data, f"differs from {first}", first))
    return Sheet("Accuracy by method", columns, groups, tuple(notes))


def _accuracy_group(
    setting: tuple[str, str, str], rows: pd.DataFrame, marked: set[tuple[str, ...]]
) -> tuple[tuple[Cell, ...], ...]:
    found = {(row["augmenter"], row["metric"]): row for row in rows.to_dict("records")}
    lines = []
    for name in dict.fromkeys(rows["augmenter"]):
        here = {metric: found.get((name, metric), {}) for metric in (METRIC, "macro_f1", "log_loss")}
        one = here[METRIC]
        lines.append(
            (
                *_texts(*setting, str(name)),
                Cell((percent(one.get("mean")),), mark=_SIGNIFICANT if (*setting, name) in marked else ""),
                Cell((percent(one.get("ci_low")), percent(one.get("ci_high")))),
                *_texts(percent(one.get("sd")), count(one.get("n_seeds")), count(one.get("n_runs"))),
                *_texts(percent(here["macro_f1"].get("mean")), decimal(here["log_loss"].get("mean"))),
            )
        )
    return _with_best(lines, {4: max, 9: max, 10: min})


def _with_best(
    lines: Sequence[tuple[Cell, ...]], places: Mapping[int, Callable[[list[float]], float]]
) -> tuple[tuple[Cell, ...], ...]:
    """Make the best cells of columns bold; cells that read alike are equally good."""
    best = {}
    for place, choose in places.items():
        values = [float(line[place].text) for line in lines if _is_number(line[place].text)]
        best[place] = choose(values) if len(values) > 1 else None
    return tuple(
        tuple(
            Cell(cell.parts, _is_number(cell.text) and float(cell.text) == best[place], cell.mark)
            if place in best
            else cell
            for place, cell in enumerate(line)
        )
        for line in lines
    )


def _is_number(text: str) -> bool:
    return text not in {NOT_DEFINED, UNKNOWN}


def _judged(data: ReportData) -> pd.DataFrame:
    return data.comparisons[data.comparisons["metric"] == METRIC]


def _significant(data: ReportData, baseline: str | None) -> set[tuple[str, ...]]:
    table = _judged(data)
    table = table[(table["baseline"] == baseline) & (table["p_adjusted"] <= data.verdict["alpha"])]
    keys = ["dataset", "subsample", "classifier", "augmenter"]
    return {tuple(str(part) for part in row) for row in table[keys].itertuples(index=False)}


def _note_of_test(data: ReportData, what: str, baseline: str | None = None) -> str:
    """Say by which test, in which family, a mark was earned."""
    table = _judged(data)
    tested = table[table["p_value"].notna()]
    shown = tested if baseline is None else tested[tested["baseline"] == baseline]
    tests = " or ".join(dict.fromkeys(str(test) for test in shown["test"]))
    family = int((~tested["augmenter"].isin(list(data.bounds))).sum())
    note = (
        f"{_SIGNIFICANT} {what}: adjusted p at most {data.verdict['alpha']:g} ({tests} test, paired by data seed; "
        f"Holm's correction over the family of all {count(family)} comparisons of {METRIC} in this experiment"
    )
    apart = [name for name in data.bounds if (tested["augmenter"] == name).any()]
    if not apart:
        return f"{note})."
    return f"{note}, {', '.join(apart)} apart as a family of {'its' if len(apart) == 1 else 'their'} own)."


def difference_sheet(data: ReportData) -> Sheet:
    """Return the paired differences in accuracy to each baseline."""
    level = f"{100 * data.verdict['level']:g} %"
    columns = (
        *_SETTING,
        _AUGMENTER,
        Column("against", ("baseline",), number=False),
        Column("difference, points", ("difference_points",)),
        Column(f"{level} interval", ("ci_low_points", "ci_high_points")),
        Column("p", ("p",)),
        Column("adjusted p", ("p_adjusted",)),
        Column("effect size", ("effect_size",)),
        Column("pairs", ("n_pairs",)),
        Column("pairs needed", ("pairs_needed",)),
    )
    table = _judged(data)
    groups = []
    for setting, rows in group_settings(table):
        for baseline, part in rows.groupby("baseline", sort=False):
            lines = [(*_texts(*setting), *_difference(row, data.verdict["alpha"])) for row in part.to_dict("records")]
            groups.append((str(baseline), _with_best(lines, {5: max})))
    notes = [
        f"Points are percent of accuracy, the augmenter minus what it is compared with, paired by data seed; "
        f"Student's t interval of {level}.",
        "Bold: the largest difference to the same baseline, as rounded.",
    ]
    if (table["p_adjusted"] <= data.verdict["alpha"]).any():
        notes.append(_note_of_test(data, "a difference"))
    return Sheet("Paired differences in accuracy", columns, tuple(group for _, group in groups), tuple(notes))


def _difference(row: Mapping[Any, Any], alpha: float) -> tuple[Cell, ...]:
    mark = _SIGNIFICANT if is_defined(row["p_adjusted"]) and row["p_adjusted"] <= alpha else ""
    return (
        *_texts(str(row["augmenter"]), str(row["baseline"])),
        Cell((points(row["mean_difference"]),), mark=mark),
        Cell((points(row["ci_low"]), points(row["ci_high"]))),
        *_texts(_bare_p(row["p_value"]), _bare_p(row["p_adjusted"]), decimal(row["effect_size"], 2)),
        *_texts(count(row["n_pairs"]), count(row["pairs_needed"])),
    )


def _bare_p(value: float | None) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ")


def cost_sheet(data: ReportData) -> Sheet:
    """Return requests, tokens and US dollars by augmenter and language model."""
    columns = (
        _AUGMENTER,
        Column("llm", ("llm",), number=False),
        Column("requests paid", ("requests_paid",)),
        Column("replayed", ("requests_replayed",)),
        Column("unknown", ("requests_unknown",)),
        Column("prompt tokens", ("prompt_tokens",)),
        Column("completion tokens", ("completion_tokens",)),
        Column("US dollars", ("usd",)),
        Column("dollars a usable row", ("usd_per_kept_row",)),
    )
    keys = ("augmenter", "llm", "paid", "replayed", "unknown", "prompt", "completion", "usd", "per_row")
    lines = tuple(_texts(*(str(row[key]) for key in keys)) for row in cost.cost_rows(data.costs, data.spending))
    notes = (
        "US dollars are the price of all answers behind the rows, whenever they were paid.",
        cost.total_cost(data.costs),
    )
    return Sheet("What language models cost", columns, (lines,) if lines else (), notes)


def quality_sheet(data: ReportData) -> Sheet:
    """Return the means of the measures of synthetic rows, a column an augmenter."""
    found = quality_groups(data.quality, data.repeaters)
    names = list(dict.fromkeys(name for group in found for name in group["augmenters"]))
    columns = (
        *_SETTING[:2],
        Column("measure", ("measure",), number=False),
        *(Column(name, (name,)) for name in names),
    )
    groups = tuple(tuple(_quality_line(group, row, names) for row in group["rows"]) for group in found)
    notes = ("Means over data seeds; what each measure means is told in the report.",) if groups else ()
    return Sheet("Quality of the synthetic rows", columns, groups, notes)


def _quality_line(group: Mapping[str, Any], row: Mapping[str, Any], names: Sequence[str]) -> tuple[Cell, ...]:
    cells = dict(zip(group["augmenters"], row["cells"], strict=True))
    values = [cells[name]["mean"] if cells.get(name) else NOT_DEFINED for name in names]
    return _texts(*group["setting"], row["name"], *values)


SHEETS: Final[dict[str, Callable[[ReportData], Sheet]]] = {
    "accuracy": accuracy_sheet,
    "differences": difference_sheet,
    "costs": cost_sheet,
    "quality": quality_sheet,
}
"""The tables by name."""
