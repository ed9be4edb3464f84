"""The verdict: does an augmenter help, as far as the runs can tell? Rules, no judgment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hypermix.errors import ArtefactError
from hypermix.stats.interval import check_share
from hypermix.stats.outcome import (
    NOTHING,
    Finding,
    can_answer,
    join_baselines,
    join_settings,
    judge_pair,
    seeds_for_test,
)
from hypermix.stats.wording import CAUTIONS, Told, tell_experiment, tell_setting
from hypermix.tables import SCHEMAS

METRIC = "accuracy"
"""The metric that the verdict is about."""

Cell = tuple[str, ...]
"""Dataset, subsample, classifier and augmenter."""

_SETTING = ("dataset", "subsample", "classifier")


def judge(
    comparisons: pd.DataFrame,
    summary: pd.DataFrame,
    baselines: Sequence[str],
    alpha: float = 0.05,
    level: float = 0.95,
    methods: Mapping[str, str] | None = None,
    costs: Mapping[tuple[str, str, str], float] | None = None,
) -> dict[str, Any]:
    """Return the verdict on every augmenter that is not a baseline.

    Against each baseline an augmenter ``helps`` or ``hurts`` (adjusted p value of at most alpha), has ``no_difference``
    (the test could have answered and did not), or one ``cannot_tell`` (even the smallest possible p value would not
    reach alpha once it is corrected for the number of comparisons). See `hypermix.stats.outcome` for how these join.

    Args:
        comparisons: Columns of the table ``comparisons``; see `hypermix.stats.summarize.compare`.
        summary: Columns of the table ``summary``; see `hypermix.stats.summarize.summarize`.
        baselines: The names of the augmenters to compare with.
        alpha: The bound for p.
        level: Coverage of the intervals in `comparisons`.
        methods: The method of each baseline, ``none`` or ``duplicate``; by default its name.
        costs: What a data seed cost in dollars, by dataset, subsample and augmenter; those that are not known are left
            out.

    Returns:
        ``headline``, ``outcome``, ``metric``, ``alpha``, ``level``, ``missing`` (the methods `none` and `duplicate`, as
        far as no baseline that ran has them), ``cautions`` (what that means, in sentences) and ``verdicts``, a list in
        the order of `summary`. It is strict JSON: what is not defined is None. Means and differences are shares, not
        points. ``largest_difference`` is what the data still allow, ``seeds_needed`` how many data seeds would tell,
        ``usd_needed`` what those that are missing would cost.

    Raises:
        ArtefactError: If a column is missing, or alpha or level is not between 0 and 1.
    """
    check_share("alpha", alpha)
    check_share("level", level)
    rows = _rows("comparisons", comparisons)
    cells = _rows("summary", summary)
    means = {_cell(row, row["augmenter"]): _number(row["mean"]) for row in cells}
    tested = [row for row in cells if row["augmenter"] not in baselines]
    found = _find(rows, means, alpha, costs or {})
    told = [_tell(row, found) for row in tested]
    methods = methods or {}
    missing = _missing([row["augmenter"] for row in cells], baselines, methods)
    verdict = {
        "metric": METRIC,
        "alpha": alpha,
        "level": level,
        "missing": missing,
        "cautions": [CAUTIONS[method] for method in missing],
    }
    if not any(one.findings for one in told):
        reason = _reason(cells, tested, baselines)
        return {"headline": f"Nothing to compare: {reason}.", "outcome": NOTHING, **verdict, "verdicts": []}
    return {
        "headline": tell_experiment([one for one in told if one.findings]),
        "outcome": join_settings([one.outcome for one in told]),
        **verdict,
        "verdicts": [_entry(row, one, alpha, level, methods) for row, one in zip(tested, told, strict=True)],
    }


def _missing(ran: Sequence[str], baselines: Sequence[str], methods: Mapping[str, str]) -> list[str]:
    known = {methods.get(name, name) for name in baselines if name in ran}
    return [method for method in CAUTIONS if method not in known]


def _find(
    rows: list[dict[str, Any]],
    means: dict[Cell, float],
    alpha: float,
    costs: Mapping[tuple[str, str, str], float],
) -> dict[Cell, list[Finding]]:
    """Return the findings on each cell. All comparisons of the metric are one family, those of baselines too."""
    p_values = np.array([_number(row["p_value"]) for row in rows])
    found: dict[Cell, list[Finding]] = {}
    for position, row in enumerate(rows):
        baseline_mean = means.get(_cell(row, row["baseline"]), math.nan)
        usd = costs.get((row["dataset"], row["subsample"], row["augmenter"]), math.nan)
        finding = _finding(row, baseline_mean, np.delete(p_values, position), alpha, usd)
        found.setdefault(_cell(row, row["augmenter"]), []).append(finding)
    return found


def _finding(
    row: dict[str, Any], baseline_mean: float, others: NDArray[np.float64], alpha: float, usd: float
) -> Finding:
    n_pairs, difference, adjusted = int(row["n_pairs"]), _number(row["mean_difference"]), _number(row["p_adjusted"])
    needed = _number(row["pairs_needed"])
    return Finding(
        baseline=row["baseline"],
        outcome=judge_pair(difference, adjusted, can_answer(n_pairs, others, alpha), alpha),
        mean=baseline_mean,
        mean_difference=difference,
        ci_low=_number(row["ci_low"]),
        ci_high=_number(row["ci_high"]),
        p_value=_number(row["p_value"]),
        p_adjusted=adjusted,
        n_pairs=n_pairs,
        pairs_needed=None if math.isnan(needed) else int(needed),
        family=1 + int(np.count_nonzero(~np.isnan(others))),
        seeds_for_test=seeds_for_test(others, alpha),
        usd_per_seed=usd,
    )


def _tell(row: dict[str, Any], found: dict[Cell, list[Finding]]) -> Told:
    findings = tuple(found.get(_cell(row, row["augmenter"]), []))
    outcome = join_baselines([finding.outcome for finding in findings])
    return Told(row["dataset"], row["augmenter"], outcome, findings)


def _entry(row: dict[str, Any], told: Told, alpha: float, level: float, methods: Mapping[str, str]) -> dict[str, Any]:
    return {
        **{key: row[key] for key in _SETTING},
        "augmenter": told.augmenter,
        "outcome": told.outcome,
        "sentence": tell_setting(told, alpha, level, methods),
        "n_seeds": int(row["n_seeds"]),
        "mean": _nullable(_number(row["mean"])),
        "baselines": [_baseline(finding) for finding in told.findings],
    }


def _baseline(finding: Finding) -> dict[str, Any]:
    return {
        "baseline": finding.baseline,
        "outcome": finding.outcome,
        "mean": _nullable(finding.mean),
        "mean_difference": _nullable(finding.mean_difference),
        "ci_low": _nullable(finding.ci_low),
        "ci_high": _nullable(finding.ci_high),
        "p_value": _nullable(finding.p_value),
        "p_adjusted": _nullable(finding.p_adjusted),
        "n_pairs": finding.n_pairs,
        "pairs_needed": finding.pairs_needed,
        "largest_difference": _nullable(finding.largest_difference),
        "seeds_needed": finding.seeds_needed,
        "usd_needed": _nullable(finding.usd_needed),
    }


def _reason(cells: list[dict[str, Any]], tested: list[dict[str, Any]], baselines: Sequence[str]) -> str:
    named = ", ".join(baselines) or "no name is given"
    if not cells:
        return "there are no runs"
    if not any(row["augmenter"] in baselines for row in cells):
        return f"the experiment has no baseline ({named})"
    if not tested:
        return f"every augmenter is a baseline ({named})"
    return f"no augmenter ran in the same setting as a baseline ({named})"


def _rows(table: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows about the metric."""
    wanted = SCHEMAS[table].names
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise ArtefactError(f"{table}: lacks the columns {missing!r}, it must have {wanted!r}; run aggregate again")
    return [{str(name): row[name] for name in row} for row in frame[frame["metric"] == METRIC].to_dict("records")]


def _cell(row: dict[str, Any], augmenter: str) -> Cell:
    return (*(str(row[key]) for key in _SETTING), augmenter)


def _number(value: Any) -> float:
    return math.nan if pd.isna(value) else float(value)


def _nullable(value: float) -> float | None:
    return None if math.isnan(value) else value
