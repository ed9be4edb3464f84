from __future__ import annotations

import math

import pandas as pd
import pytest

from hypermix.errors import ArtefactError
from hypermix.stats.quality import summarize_quality

COLUMNS = ["dataset", "subsample", "data_seed", "augmenter", "trial", "measure", "value"]


def table(*rows: tuple[str, int, int, str, float | None]) -> pd.DataFrame:
    """Make rows of augmenter, data seed, trial, measure and value."""
    return pd.DataFrame(
        [("rt", "16s", seed, augmenter, trial, measure, value) for augmenter, seed, trial, measure, value in rows],
        columns=COLUMNS,
    ).astype({"value": "float64"})


def test_trials_are_averaged_inside_a_seed() -> None:
    found = summarize_quality(
        table(("mix", 1, 1, "copy_rate", 0.0), ("mix", 1, 2, "copy_rate", 0.4), ("mix", 2, 1, "copy_rate", 0.8))
    )
    (row,) = found.to_dict("records")
    assert (row["n_seeds"], row["mean"]) == (2, pytest.approx(0.5))  # not 0.4, the mean of three
    half = 12.706 * math.sqrt(2 * 0.3**2) / math.sqrt(2)
    assert row["ci_high"] - row["mean"] == pytest.approx(half, rel=1e-3)


def test_one_seed_has_no_interval() -> None:
    (row,) = summarize_quality(table(("mix", 1, 1, "copy_rate", 0.3))).to_dict("records")
    assert row["mean"] == 0.3
    assert math.isnan(row["ci_low"])


def test_what_is_null_everywhere_is_left_out() -> None:
    found = summarize_quality(
        table(
            ("eda", 1, 1, "self_bleu", None),
            ("eda", 2, 1, "self_bleu", 0.2),
            ("mix", 1, 1, "self_bleu", None),
            ("mix", 1, 1, "copy_rate", 0.1),
        )
    )
    assert found[["augmenter", "measure", "n_seeds"]].to_numpy().tolist() == [
        ["eda", "self_bleu", 1],
        ["mix", "copy_rate", 1],
    ]


def test_order_is_that_of_the_rows_and_sums_do_not_depend_on_it() -> None:
    rows = [(name, seed, 1, what, seed / 7) for seed in (3, 1, 2) for name in ("z", "a") for what in ("two", "one")]
    found = summarize_quality(table(*rows))
    names = [*zip(found["augmenter"], found["measure"], strict=True)]
    assert names == [("z", "two"), ("z", "one"), ("a", "two"), ("a", "one")]
    turned = summarize_quality(table(*reversed(rows)))
    assert turned["mean"].tolist() == found["mean"].tolist()


def test_nothing_gives_nothing() -> None:
    assert len(summarize_quality(table())) == 0


def test_infinite_value_is_refused() -> None:
    with pytest.raises(ArtefactError, match="must be finite"):
        summarize_quality(table(("mix", 1, 1, "compression_ratio", math.inf)))
