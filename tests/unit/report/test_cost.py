from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from hypermix import tables
from hypermix.report.cost import cost_line, cost_notes, cost_rows, total_cost, without_llm
from tests.report_data import make_costs, make_runs, make_spending


def spend(costs: pd.DataFrame | None = None, **changes: Any) -> list[str]:
    return cost_notes(make_costs() if costs is None else costs, make_spending().assign(**changes))


# Rows.


def test_runs_here_cost_nothing() -> None:
    row = cost_rows(make_costs(), make_spending())[0]
    assert (row["usd"], row["usd_paid"], row["here"]) == ("0.00", "0.00", True)


def test_paid_requests_show_dollars() -> None:
    row = cost_rows(make_costs(), make_spending())[1]
    assert (row["usd"], row["usd_paid"], row["per_row"]) == ("0.08", "0.06", "0.000071")
    assert (row["unknown"], row["here"]) == ("1", False)


def test_missing_price_is_unknown() -> None:
    row = cost_rows(make_costs(), make_spending())[2]
    assert row["usd"] == row["usd_paid"] == row["per_row"] == "unknown"


def test_answers_of_no_use_are_a_share_of_all() -> None:
    rows = cost_rows(make_costs(), make_spending())
    # 41 of 1200 that were paid and 96 that were replayed.
    assert [(row["discarded"], row["discarded_share"]) for row in rows] == [("9", "9.4"), ("41", "3.2"), ("0", "0.0")]


def test_no_answer_has_no_share() -> None:
    costs = make_costs().head(1).assign(requests_paid=0, requests_replayed=0)
    assert cost_rows(costs, make_spending())[0]["discarded_share"] is None


def test_rows_keep_the_order_of_the_table() -> None:
    costs = make_costs().iloc[::-1].reset_index(drop=True)
    assert [row["augmenter"] for row in cost_rows(costs, make_spending())] == list(costs["augmenter"])


# Sentences.


def test_total_names_what_is_unknown() -> None:
    assert total_cost(make_costs()) == "At least 0.08 US dollars. What these cost is unknown: gpt3mix-lab."


def test_total_of_known_prices() -> None:
    assert total_cost(make_costs().head(2)) == "0.08 US dollars for language models in all."


def test_total_without_any_price() -> None:
    assert "is unknown, because the config gives no price" in total_cost(make_costs().tail(1))


def test_no_llm_means_no_cost() -> None:
    assert total_cost(make_costs().iloc[:0]).startswith("No language model was asked")
    assert spend(make_costs().iloc[:0]) == []


def test_what_was_stored_before_is_no_new_spending() -> None:
    costs = make_costs().iloc[1:2].assign(usd=2.0, requests_unknown=0)
    assert spend(costs, usd_paid=0.5) == [
        "0.50 US dollars of it were paid when these rows were made; the rest is the price of answers that were stored "
        "before."
    ]
    assert spend(costs, usd_paid=0.0)[0].startswith("0.00 US dollars of it were paid")
    assert spend(costs, usd_paid=2.0) == []
    assert spend(costs, usd_paid=1.999) == []  # both read 2.00


@pytest.mark.parametrize(("lost", "requests", "usd"), [(1, "1 request was", "0.02"), (3, "3 requests were", "0.06")])
def test_lost_requests_cost_what_an_answer_does(lost: int, requests: str, usd: str) -> None:
    # 100 answers for 2 dollars, of which 20 were replayed.
    costs = make_costs().iloc[1:2].assign(usd=2.0, requests_paid=80, requests_replayed=20, requests_unknown=lost)
    assert spend(costs, usd_paid=2.0) == [
        f"{requests} sent without an answer being stored and may have been paid: up to about {usd} US dollars more."
    ]


def test_lost_requests_without_a_price_stay_unknown() -> None:
    costs = make_costs().tail(1).assign(requests_unknown=2)
    assert spend(costs) == [
        "2 requests were sent without an answer being stored and may have been paid: at an unknown price."
    ]


def test_lost_requests_of_several_models_are_told_as_far_as_prices_go() -> None:
    costs = make_costs().assign(requests_unknown=1, usd=[0.0, 13.0, math.nan])
    (told,) = spend(costs, usd_paid=[0.0, 13.0, math.nan])
    # The model that runs here lost one too, which cost nothing.
    assert told.startswith("2 requests were sent")
    assert told.endswith("up to about 0.01 US dollars more (as far as prices are known).")


# The terminal.


def test_line_tells_what_is_spent_or_unknown() -> None:
    assert cost_line(make_costs().head(2)) == "Cost: 0.08 US dollars for language models in all."
    assert cost_line(make_costs().tail(1)) == (
        "Cost: What the language models cost is unknown, because the config gives no price."
    )


def test_nothing_spent_has_no_line() -> None:
    assert cost_line(make_costs().head(1)) is None
    assert cost_line(pd.DataFrame(columns=tables.schema("costs").names)) is None


def test_augmenters_without_llm_are_named() -> None:
    assert without_llm(make_runs(), make_costs()) == ["none", "duplicate", "eda"]
