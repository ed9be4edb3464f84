"""What language models cost, in words: the table ``costs`` and what receipts tell beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from hypermix.report.format import UNKNOWN, count, dollars, is_defined, percent

SPENDING = ("augmenter", "llm", "here", "usd_paid", "requests_discarded")
"""The columns of what stands beside the table ``costs``, a row a row."""

_KEYS = ["augmenter", "llm"]


def cost_rows(costs: pd.DataFrame, spending: pd.DataFrame) -> list[dict[str, Any]]:
    """Word what each augmenter asked of which language model, and for how much.

    Args:
        costs: The table ``costs``.
        spending: For each of its rows: ``here``, whether the model runs here; ``usd_paid``, the dollars that were paid
            when the rows were made (null where there is no price); ``requests_discarded``, answers of no use.
    """
    return [_word(record) for record in costs.merge(spending, on=_KEYS, how="left").to_dict("records")]


def _word(record: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "augmenter": record["augmenter"],
        "llm": record["llm"] if isinstance(record["llm"], str) else UNKNOWN,
        "paid": count(record["requests_paid"]),
        "replayed": count(record["requests_replayed"]),
        "unknown": count(record["requests_unknown"]),
        "discarded": count(record["requests_discarded"]),
        "discarded_share": percent(record["requests_discarded"] / _answers(record)) if _answers(record) else None,
        "prompt": count(record["prompt_tokens"]),
        "completion": count(record["completion_tokens"]),
        "usd": dollars(record["usd"]),
        "usd_paid": dollars(record["usd_paid"]),
        "per_row": dollars(record["usd_per_kept_row"]),
        "here": bool(record["here"]),
    }


def _answers(record: Mapping[Any, Any]) -> int:
    return int(record["requests_paid"] + record["requests_replayed"])


def total_cost(costs: pd.DataFrame) -> str:
    """Say in one sentence what the answers behind an experiment cost, whenever they were paid."""
    if costs.empty:
        return "No language model was asked, so nothing was spent on one."
    known = costs["usd"].dropna()
    spent = dollars(float(known.sum()))
    if known.empty:
        return "What the language models cost is unknown, because the config gives no price."
    if len(known) < len(costs):
        lacking = ", ".join(str(name) for name in costs.loc[costs["usd"].isna(), "augmenter"])
        return f"At least {spent} US dollars. What these cost is unknown: {lacking}."
    return f"{spent} US dollars for language models in all."


def cost_notes(costs: pd.DataFrame, spending: pd.DataFrame) -> list[str]:
    """Say what was paid now, and what may have been paid for nothing."""
    if costs.empty:
        return []
    merged = costs.merge(spending, on=_KEYS, how="left")
    return [*_tell_paid(merged), *_tell_unknown(merged)]


def _tell_paid(merged: pd.DataFrame) -> Iterator[str]:
    priced = merged[merged["usd"].notna()]
    paid, whole = float(priced["usd_paid"].sum()), float(priced["usd"].sum())
    if dollars(paid) != dollars(whole):
        yield (
            f"{dollars(paid)} US dollars of it were paid when these rows were made; the rest is the price of answers "
            "that were stored before."
        )


def _tell_unknown(merged: pd.DataFrame) -> Iterator[str]:
    """Tell the requests whose answers are lost, at the mean price of an answer."""
    lost = merged[(merged["requests_unknown"] > 0) & ~merged["here"].astype(bool)]
    if lost.empty:
        return
    number = int(lost["requests_unknown"].sum())
    shares = [_mean_price(record) for record in lost.to_dict("records")]
    known = [share for share in shares if share is not None]
    requests = "1 request was" if number == 1 else f"{count(number)} requests were"
    price = f"up to about {dollars(sum(known))} US dollars more" if known else "at an unknown price"
    partly = " (as far as prices are known)" if known and len(known) < len(shares) else ""
    yield f"{requests} sent without an answer being stored and may have been paid: {price}{partly}."


def _mean_price(record: Mapping[Any, Any]) -> float | None:
    """Return the price of requests that were lost, if each costs what an answer does."""
    if not is_defined(record["usd"]) or not _answers(record):
        return None
    return float(record["usd"]) / _answers(record) * int(record["requests_unknown"])


def cost_line(costs: pd.DataFrame) -> str | None:
    """Say in one line for a terminal what an experiment cost; None if nothing."""
    free = bool((costs["usd"] == 0).all())
    return None if free else f"Cost: {total_cost(costs)}"


def without_llm(runs: pd.DataFrame, costs: pd.DataFrame) -> list[str]:
    """Return the augmenters that asked no language model, in the order of their runs."""
    asked = list(costs["augmenter"])
    return [str(name) for name in dict.fromkeys(runs["augmenter"]) if name not in asked]
