"""What an experiment cost, from the receipts of its augmentations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from hypermix import tables
from hypermix.config.llm import HOSTED_APIS
from hypermix.config.model import Config
from hypermix.report.cost import SPENDING

_ASKED = ["augmenter", "llm"]
_DRAW = ["dataset", "subsample", "data_seed", "augmenter"]


def sum_costs(paid: pd.DataFrame) -> pd.DataFrame:
    """Add up what each augmenter asked of its language model.

    Args:
        paid: Receipts of those that asked one; see `join_shared`.

    Returns:
        The columns of the table ``costs``, a row for each augmenter and language model.
    """
    counts = [name for name in tables.schema("costs").names if name in paid and name not in _ASKED]
    sums = _sum(paid, [*counts, "rows_kept"])
    per_row = sums["usd"] / sums["rows_kept"].where(sums["rows_kept"] > 0)
    return sums.assign(usd_per_kept_row=per_row).loc[:, list(tables.schema("costs").names)]


def sum_spending(paid: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Sum what receipts tell beside the table ``costs``; its columns are `hypermix.report.cost.SPENDING`."""
    sums = _sum(paid, ["usd_paid", "requests_discarded"])
    return sums.assign(here=[config.llms[name].api not in HOSTED_APIS for name in sums["llm"]]).loc[:, list(SPENDING)]


def _sum(asked: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Add receipts up by augmenter and language model. A sum with an unknown price is unknown."""
    columns = [*_ASKED, *names]
    groups = [
        {**dict(zip(_ASKED, key, strict=True)), **group[list(names)].sum(skipna=False)}
        for key, group in asked.groupby(_ASKED, sort=True)
    ]
    return pd.DataFrame(groups, columns=columns)


def price_seeds(paid: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Return what a data seed cost on average, in dollars.

    Args:
        paid: Receipts of those that asked a language model; see `join_shared`.

    Returns:
        Dollars by dataset, subsample and augmenter, answers that were stored already among them; where a price is
        unknown there is none.
    """
    seeds = paid.groupby(_DRAW, sort=True)["usd"].agg(lambda usd: usd.sum(skipna=False)).reset_index()
    found: dict[tuple[str, str, str], list[float]] = {}
    for one in seeds.to_dict("records"):
        found.setdefault((one["dataset"], one["subsample"], one["augmenter"]), []).append(float(one["usd"]))
    means = {key: sum(usd) / len(usd) for key, usd in found.items()}
    return {key: usd for key, usd in means.items() if not math.isnan(usd)}


def join_shared(receipts: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Return the receipts of those that asked a language model.

    Trials that share a draw have one receipt, since the same answers are behind them.
    """
    receipts = receipts[receipts["llm"].notna()]
    shared = receipts["augmenter"].isin([name for name, one in config.augmenters.items() if one.draw == "data_seed"])
    joined = [_join(group) for _, group in receipts[shared].groupby(_DRAW, sort=False)]
    return pd.concat([receipts[~shared], *joined]) if joined else receipts


def _join(trials: pd.DataFrame) -> pd.DataFrame:
    first, paid = trials.head(1), trials["requests_paid"].sum()
    answers = first["requests_paid"] + first["requests_replayed"]
    return first.assign(
        requests_paid=paid,
        requests_replayed=(answers - paid).clip(lower=0),
        requests_unknown=trials["requests_unknown"].max(),
        usd_paid=trials["usd_paid"].sum(skipna=False),
    )
