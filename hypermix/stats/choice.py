"""Which variant is worth exporting: of those that the tests allow, the one with the best mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hypermix.errors import ConfigError
from hypermix.stats.verdict import METRIC

_SIMPLE = ("none", "duplicate")
"""The methods that need no language model, the simplest first."""

_DIGITS = 12
"""Means that differ behind this decimal differ by rounding."""


@dataclass(frozen=True)
class Choice:
    """A variant.

    Attributes:
        augmenter: The name of its augmenter.
        classifier: The name of its classifier.
        measured: The largest size at which the experiment has measured it; None if it has not.
        why: Why it was taken, in sentences.
    """

    augmenter: str
    classifier: str
    measured: str | None
    why: str


@dataclass(frozen=True)
class _Cell:
    augmenter: str
    classifier: str
    mean: float
    rank: int
    shown: bool


@dataclass(frozen=True)
class Study:
    """What an experiment tells of one dataset.

    Attributes:
        runs: Columns of the table ``runs``.
        summary: Columns of the table ``summary``.
        comparisons: Columns of the table ``comparisons``.
        methods: The method of each augmenter by its name, in the order of the config.
        alpha: The bound for p.
    """

    runs: pd.DataFrame
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    methods: Mapping[str, str]
    alpha: float


def choose_variant(study: Study, dataset: str, augmenter: str | None = None, classifier: str | None = None) -> Choice:
    """Choose an augmenter and a classifier by the runs at the largest size.

    An augmenter can be chosen if its gain is shown: its adjusted p value against every baseline is at most alpha and
    the difference is positive, as for the verdict ``helps``. The simplest one, `none` as a rule, can always be chosen.
    Of these the highest mean of the verdict's metric decides; of equal ones the simpler augmenter, then the first.

    Args:
        study: The tables of the experiment.
        dataset: The dataset that the model is for.
        augmenter: The name of the augmenter, if it is given.
        classifier: The name of the classifier, if it is given.

    Raises:
        ConfigError: If no run can tell, so that both must be given.
    """
    given = {"dataset": dataset, "augmenter": augmenter, "classifier": classifier}
    runs = _matching(study.runs, {name: value for name, value in given.items() if value is not None})
    size = _largest(runs)
    if augmenter is not None and classifier is not None:
        return Choice(augmenter, classifier, size, "The config names the augmenter and the classifier.")
    cells = [] if size is None else _cells(study, {"dataset": dataset, "subsample": size})
    cells = [one for one in cells if augmenter in (None, one.augmenter) and classifier in (None, one.classifier)]
    if size is None or not cells:
        named = ", ".join(f"the {name} {value!r}" for name, value in given.items() if value is not None)
        raise ConfigError(
            f"export: the experiment has no run with {named}, so that nothing tells the best variant; "
            "name export.augmenter and export.classifier"
        )
    open_cells = [one for one in cells if augmenter is not None or _may_be_chosen(one, cells)]
    best = min(open_cells, key=lambda one: (-round(one.mean, _DIGITS), one.rank))
    why = [_tell_augmenter(best, cells, size, augmenter), *_tell_classifier(best, open_cells, size, classifier)]
    return Choice(best.augmenter, best.classifier, size, " ".join(why))


def _matching(rows: pd.DataFrame, wanted: Mapping[str, str]) -> pd.DataFrame:
    for name, value in wanted.items():
        rows = rows[rows[name].astype(str) == value]
    return rows


def _largest(runs: pd.DataFrame) -> str | None:
    """Return the size with the most rows: `32s` and `0.01f` cannot be compared by their names."""
    means = runs.groupby("subsample", sort=False)["n_train"].mean()
    return str(means.idxmax()) if len(means) else None


def _cells(study: Study, where: Mapping[str, str]) -> list[_Cell]:
    """List the variants in the order of the config."""
    summary = _matching(study.summary, {**where, "metric": METRIC}).dropna(subset=["mean"])
    tested = _matching(study.comparisons, {**where, "metric": METRIC})
    order = list(study.methods)
    cells = []
    for row in summary.to_dict("records"):
        own = {name: str(row[name]) for name in ("augmenter", "classifier")}
        method = study.methods.get(own["augmenter"], "")
        rank = _SIMPLE.index(method) if method in _SIMPLE else len(_SIMPLE)
        shown = _is_shown(_matching(tested, own), study.alpha)
        cells.append(_Cell(**own, mean=float(row["mean"]), rank=rank, shown=shown))
    return sorted(cells, key=lambda one: order.index(one.augmenter) if one.augmenter in order else len(order))


def _is_shown(tests: pd.DataFrame, alpha: float) -> bool:
    """Tell whether a gain over every baseline is shown; a p value that does not exist shows none."""
    gains = (tests["p_adjusted"].astype(float) <= alpha) & (tests["mean_difference"].astype(float) > 0)
    return bool(len(tests)) and bool(gains.all())


def _may_be_chosen(cell: _Cell, cells: Sequence[_Cell]) -> bool:
    simplest = _simplest([one for one in cells if one.classifier == cell.classifier])
    return cell.shown or cell.rank == simplest


def _simplest(cells: Sequence[_Cell]) -> int:
    return min(one.rank for one in cells)


def _tell_augmenter(best: _Cell, cells: Sequence[_Cell], size: str, given: str | None) -> str:
    if given is not None:
        return f"The config names the augmenter {given}."
    rivals = [one for one in cells if one.classifier == best.classifier]
    if all(one.rank == len(_SIMPLE) for one in rivals):
        told = "No augmenter was compared with a baseline, so no gain is tested"
        return f"{told}; {best.augmenter} has the highest mean {METRIC} at {size}."
    shown = [one.augmenter for one in rivals if one.shown]
    if not shown:
        return f"No gain of an augmenter is shown at {size}, so the simplest one, {best.augmenter}, was taken."
    return (
        f"At {size} a gain is shown for {', '.join(shown)}; of these and the simplest one, {best.augmenter} has the "
        f"highest mean {METRIC}."
    )


def _tell_classifier(best: _Cell, cells: Sequence[_Cell], size: str, given: str | None) -> list[str]:
    if given is not None:
        return [f"The config names the classifier {given}."]
    count = len({one.classifier for one in cells})
    if count < 2:
        return []
    return [
        f"Of {count} classifiers {best.classifier} has the highest mean {METRIC} at {size}; "
        "classifiers are not tested against each other."
    ]
