"""Methods across datasets, in words: the table ``ranks`` in, lines of tables out."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hypermix.report.format import count, decimal, is_defined, p_value, percent

_LEAST_DATASETS = 2


def rank_groups(ranks: pd.DataFrame) -> list[dict[str, Any]]:
    """Word the ranks by subsample size and classifier, best first; nothing where there is one dataset.

    Args:
        ranks: The table ``ranks``.

    Returns:
        A dict a setting: ``title``, ``note`` (datasets, critical difference, Friedman's test), ``baselines``, and
        ``rows`` with ``augmenter``, ``rank`` and ``beats``: for each baseline None, or ``record`` (wins, ties, losses)
        and ``chance``, both words.
    """
    groups = []
    for (subsample, classifier), rows in ranks.groupby(["subsample", "classifier"], sort=False):
        if rows["n_datasets"].max() < _LEAST_DATASETS:
            continue
        baselines = [str(name) for name in dict.fromkeys(rows["baseline"].dropna())]
        found = {(row["augmenter"], row["baseline"]): row for row in rows.to_dict("records")}
        means = rows.groupby("augmenter", sort=False)["mean_rank"].first().sort_values(kind="stable")
        lines = [
            {"augmenter": name, "rank": decimal(rank, 2), "beats": [_beat(found.get((name, one))) for one in baselines]}
            for name, rank in means.items()
        ]
        groups.append(
            {
                "title": f"{subsample} · {classifier}",
                "note": _note(rows.iloc[0].to_dict()),
                "baselines": baselines,
                "rows": lines,
            }
        )
    return groups


def _beat(record: dict[Any, Any] | None) -> dict[str, str] | None:
    if record is None:
        return None
    told = f"{count(record['wins'])} won, {count(record['ties'])} tied, {count(record['losses'])} lost"
    return {"record": told, "chance": f"{percent(record['p_better'])} %"}


def _note(record: dict[Any, Any]) -> str:
    told = f"Mean ranks of {count(record['n_methods'])} methods over {count(record['n_datasets'])} datasets; 1 is best."
    if is_defined(record["critical_difference"]):
        told += (
            f" Two methods differ where their ranks are more than {decimal(record['critical_difference'], 2)} apart "
            "(critical difference of Nemenyi’s test)."
        )
    if is_defined(record["friedman_p"]):
        told += f" Friedman’s test that all are alike: {p_value(record['friedman_p'])}."
    return told
