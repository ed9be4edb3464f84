from __future__ import annotations

import math

import pandas as pd
import pytest

from hypermix.steps.costs import price_seeds, seed_costs


def receipts(*rows: tuple[int, str, float | None, int, int]) -> pd.DataFrame:
    """Make receipts: data seed, augmenter, dollars, requests paid, requests replayed."""
    frame = pd.DataFrame(rows, columns=["data_seed", "augmenter", "usd", "requests_paid", "requests_replayed"])
    return frame.assign(dataset="rt", subsample="16s").astype({"usd": "float64"})


def test_trials_add_up_and_data_seeds_are_averaged() -> None:
    paid = receipts((1, "a", 0.25, 3, 1), (1, "a", 0.5, 4, 0), (2, "a", 1.25, 2, 0))
    (found,) = seed_costs(paid).to_dict("records")
    assert (found["usd"], found["requests"]) == (1.0, 5.0)


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_one_unknown_price_makes_the_cost_unknown(unknown: int) -> None:
    paid = receipts((1, "a", 0.25, 3, 0), (1, "a", 0.5, 4, 0), (2, "a", 1.25, 2, 0), (1, "b", 0.5, 1, 0))
    paid.loc[unknown, "usd"] = math.nan
    found = seed_costs(paid).set_index("augmenter")
    assert math.isnan(found["usd"]["a"])
    assert found["usd"]["b"] == 0.5
    assert found["requests"]["a"] == 4.5


def test_unknown_prices_are_left_out_of_dollars() -> None:
    costs = seed_costs(receipts((1, "a", None, 3, 0), (1, "b", 0.0, 4, 0)))
    assert price_seeds(costs) == {("rt", "16s", "b"): 0.0}


def test_nothing_asked_costs_nothing() -> None:
    assert seed_costs(receipts()).empty
    assert price_seeds(seed_costs(receipts())) == {}
