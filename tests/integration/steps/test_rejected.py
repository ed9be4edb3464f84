from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.steps.rejected import count_rejected


def settle(**augmenters: Any) -> Config:
    return load_config(
        {
            "datasets": {"rt": {"source": "packaged"}},
            "llms": {"one": {"api": "embedded"}},
            "augmenters": {
                name: {"method": "gpt3mix", "llm": "one", **settings} for name, settings in augmenters.items()
            },
            "classifiers": {"minilm": {"method": "finetune"}},
        }
    )


def made(augmenter: str, trial: int, *reasons: str | None) -> pd.DataFrame:
    keys = {"dataset": "rt", "subsample": "8s", "data_seed": 1, "augmenter": augmenter, "trial": trial}
    return pd.DataFrame([{**keys, "kept": reason is None, "reason": reason} for reason in reasons])


def count(config: Config, *draws: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(count_rejected(pd.concat(draws), config).itertuples(index=False, name=None))


def test_rows_are_counted_by_reason_in_the_order_of_the_config() -> None:
    config = settle(z={}, a={})
    draws = [made("a", 1, "empty", None), made("z", 1, "empty", "too long"), made("z", 2, "too long", None)]
    assert count(config, *draws) == [("z", "too long", 2, 4), ("z", "empty", 1, 4), ("a", "empty", 1, 2)]


def test_trials_that_share_a_draw_count_once() -> None:
    draws = [made("a", trial, "empty", None) for trial in (1, 2)]
    assert count(settle(a={"draw": "data_seed"}), *draws) == [("a", "empty", 1, 2)]
    assert count(settle(a={}), *draws) == [("a", "empty", 2, 4)]


@pytest.mark.parametrize("draws", [[made("a", 1, None, None)], [made("a", 1, "x").head(0)]])
def test_no_refused_row_is_no_line(draws: list[pd.DataFrame]) -> None:
    assert count(settle(a={}), *draws) == []
