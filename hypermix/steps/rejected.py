"""The rows that were made and not used, counted by augmenter and reason."""

from __future__ import annotations

import pandas as pd

from hypermix.config.model import Config
from hypermix.report.rejected import COLUMNS

_DRAW = ["dataset", "subsample", "data_seed", "augmenter"]


def count_rejected(rows: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Count the rows that are not kept.

    Args:
        rows: The table ``synthetic`` of all draws, with their keys.
        config: The config: where trials share a draw, its rows count once.

    Returns:
        The columns of `hypermix.report.rejected.COLUMNS`; augmenters in the order of the config, then the reasons by
        their number.
    """
    shared = [name for name, augmenter in config.augmenters.items() if augmenter.draw == "data_seed"]
    first = rows.groupby(_DRAW, sort=False)["trial"].transform("first")
    rows = rows[~rows["augmenter"].isin(shared) | (rows["trial"] == first)]
    tries = rows.groupby("augmenter").size()
    refused = rows[~rows["kept"].astype(bool)]
    counts = refused.fillna({"reason": "no reason given"}).groupby(["augmenter", "reason"]).size()
    found = counts.rename("rows").reset_index()
    found["tries"] = found["augmenter"].map(tries)
    order = {name: place for place, name in enumerate(config.augmenters)}
    found = found.assign(place=found["augmenter"].map(order)).sort_values(
        ["place", "rows", "reason"], ascending=[True, False, True], kind="stable"
    )
    return found.loc[:, list(COLUMNS)].reset_index(drop=True)
