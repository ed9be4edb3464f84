from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.files import write_table
from hypermix.steps.curves import MOST_STEPS, learning_curves, read_histories


def moments(
    accuracies: dict[int, float], augmenter: str = "none", data_seed: int = 1, trial: int = 1, rate: float = 0.1
) -> pd.DataFrame:
    keys: dict[str, Any] = {
        "dataset": "rt",
        "subsample": "16s",
        "data_seed": data_seed,
        "augmenter": augmenter,
        "classifier": "minilm",
        "trial": trial,
    }
    found = pd.DataFrame({"step": list(accuracies), "validation_accuracy": list(accuracies.values())})
    return found.assign(**keys, learning_rate=rate)


def curve(*frames: pd.DataFrame) -> dict[int, float]:
    found = learning_curves(pd.concat(frames))
    return dict(zip(found["step"], found["accuracy"].round(9), strict=True))


def test_trials_are_averaged_inside_data_seeds() -> None:
    one = moments({10: 0.4}, data_seed=1, trial=1)
    others = [moments({10: 0.8}, data_seed=2, trial=trial) for trial in (1, 2, 3)]
    assert curve(one, *others) == {10: 0.6}


def test_a_training_that_ended_keeps_its_last_accuracy() -> None:
    assert curve(moments({10: 0.5, 20: 0.6}), moments({10: 0.7, 20: 0.8, 30: 1.0}, data_seed=2)) == {
        10: 0.6,
        20: 0.7,
        30: 0.8,
    }


def test_a_curve_begins_where_all_were_validated() -> None:
    assert curve(moments({10: 0.5, 20: 0.6}), moments({20: 0.8}, data_seed=2)) == {20: 0.7}


def test_the_order_of_files_does_not_matter() -> None:
    frames = [moments({10: seed / 7, 20: seed / 3}, data_seed=seed) for seed in range(1, 6)]
    assert curve(*frames) == curve(*reversed(frames))


def test_probes_and_trainings_without_validation_have_no_curve() -> None:
    probe = moments({10: 0.5, 20: 0.6}, rate=math.nan)
    blind = moments({10: math.nan, 20: math.nan})
    assert learning_curves(pd.concat([probe, blind])).empty


def test_a_curve_has_so_many_points_at_most() -> None:
    found = learning_curves(moments(dict.fromkeys(range(1, 1001), 0.5)))
    assert len(found) == MOST_STEPS
    assert (found["step"].min(), found["step"].max()) == (1, 1000)


def write(folder: Path, data_seed: int) -> Path:
    path = (
        folder / f"dataset=rt/subsample=0.1f/data_seed={data_seed}/augmenter=none/classifier=m/trial=3/history.parquet"
    )
    found = moments({10: 0.5, 20: 0.75})
    columns = {name: found.get(name, 0.0) for name in tables.schema("history").names}
    frame = pd.DataFrame(columns).assign(epoch=1)
    path.parent.mkdir(parents=True)
    write_table(path, tables.from_columns("history", frame), {})
    return path


def test_histories_have_the_keys_of_their_folders(tmp_path: Path) -> None:
    paths = [write(tmp_path, seed) for seed in (2**62 + 1, 7)]
    found = read_histories({"history": paths})
    assert list(found["data_seed"]) == [2**62 + 1, 2**62 + 1, 7, 7]
    assert found["subsample"].unique().tolist() == ["0.1f"]
    assert list(learning_curves(found)["accuracy"]) == [0.5, 0.75]


def test_no_histories_have_no_curve() -> None:
    assert learning_curves(read_histories({"history": []})).empty


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    path.write_bytes(b"no parquet")
    with pytest.raises(ArtefactError, match=r"history\.parquet"):
        read_histories({"history": [path]})
