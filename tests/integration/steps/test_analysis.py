from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.steps.analysis import shared_rows
from hypermix.steps.notice import tell_notices


def config_of(**datasets: dict[str, Any]) -> Config:
    raw = {
        "datasets": {name: {"source": "file", "train": "rows.csv", **more} for name, more in datasets.items()},
        "subsample": {"train": ["2s"]},
        "augmenters": {"none": {"method": "none"}},
        "classifiers": {"m": {"method": "finetune", "model": "package:minilm-l6"}},
    }
    return load_config(raw)


PROFILE = pd.DataFrame(
    [
        {"dataset": "again", "split": "train", "label": None, "measure": "rows", "value": 500.0},
        {"dataset": "again", "split": "train", "label": "a", "measure": "rows", "value": 200.0},
        {"dataset": "again", "split": "test", "label": None, "measure": "rows", "value": 0.0},
        {"dataset": "once", "split": "train", "label": None, "measure": "rows", "value": 300.0},
    ]
)
RUNS = pd.DataFrame({"dataset": ["again", "again", "once"], "n_test": [99, 101, 60]})


def test_only_test_sets_that_are_drawn_anew_overlap() -> None:
    config = config_of(again={"split": "repeated"}, once={})
    assert shared_rows(config, PROFILE, RUNS) == {"again": pytest.approx(0.2)}


def test_dataset_without_runs_has_no_overlap() -> None:
    config = config_of(again={"split": "repeated"}, once={})
    assert shared_rows(config, PROFILE, RUNS[RUNS["dataset"] == "once"]) == {}


def test_reader_is_told_what_is_done_about_overlap() -> None:
    receipts = pd.DataFrame({"rows_kept": [], "rows_wanted": [], "dataset": [], "augmenter": []})
    (told,) = tell_notices(config_of(again={"split": "repeated"}, once={}), {}, [], receipts)
    assert told.startswith("again: train, validation and test are drawn anew")
    assert "corrected resampled t test" in told
