"""What an experiment cost, from the receipts of its augmentations."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hypermix import tables
from hypermix.config.llm import HOSTED_APIS
from hypermix.config.model import Config
from hypermix.report.cost import SPENDING
from hypermix.report.gain import COLUMNS

_ASKED = ["augmenter", "llm"]
_DRAW = ["dataset", "subsample", "data_seed", "augmenter"]
_CELL = ["dataset", "subsample", "augmenter"]
_PRICES = ["usd", "requests"]


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


def seed_costs(paid: pd.DataFrame) -> pd.DataFrame:
    """Return what a data seed costs: the answers of all its trials, whenever they were paid.

    Args:
        paid: Receipts of those that asked a language model; see `join_shared`.

    Returns:
        The columns of `hypermix.report.gain.COLUMNS`: means over data seeds. A cost with an unknown price is unknown.
    """
    told = paid[[*_DRAW, "usd"]].assign(requests=paid["requests_paid"] + paid["requests_replayed"])
    for keys, how in ((_DRAW, "sum"), (_CELL, "mean")):
        groups = told.groupby(keys, sort=True)[_PRICES]
        # A group with an unknown price has an unknown one.
        told = groups.agg(how).where(groups.count().eq(groups.size(), axis=0)).reset_index()
    return told[list(COLUMNS)]


def price_seeds(costs: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Return the dollars of a data seed by dataset, subsample and augmenter; where a price is unknown there is none.

    Args:
        costs: What `seed_costs` returned.
    """
    known = costs[costs["usd"].notna()]
    return {
        (str(dataset), str(subsample), str(augmenter)): float(usd)
        for dataset, subsample, augmenter, usd in known[[*_CELL, "usd"]].itertuples(index=False)
    }


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
