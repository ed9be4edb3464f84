from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from hypermix.stats import metric
from hypermix.stats.breakdown import class_measures, pool_calibration, summarize_classes
from hypermix.stats.interval import mean_interval
from hypermix.tables import SCHEMAS, from_columns

KEYS = {"dataset": "rt", "subsample": "32s", "augmenter": "none", "classifier": "m"}
LABELS = ["a", "b", "<script>c"]


def confusion(pairs: list[tuple[int, int]], data_seed: int = 1, trial: int = 1) -> pd.DataFrame:
    counts = np.zeros((3, 3), dtype=int)
    for true, predicted in pairs:
        counts[true, predicted] += 1
    cells = [(LABELS[i], LABELS[j], int(counts[i, j])) for i in range(3) for j in range(3)]
    return pd.DataFrame(cells, columns=["label", "predicted", "n"]).assign(**KEYS, data_seed=data_seed, trial=trial)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_measures_of_classes_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, predicted = zip(*pairs, strict=True)
    expected = reference.precision_recall_fscore_support(true, predicted, labels=[0, 1, 2], zero_division=0)
    found = class_measures(confusion(pairs)).set_index("label").loc[LABELS]
    for name, values in zip(("precision", "recall", "f1", "n_rows"), expected, strict=True):
        assert found[name].to_numpy() == pytest.approx(values, abs=1e-12)


def test_mean_of_classes_is_macro_f1() -> None:
    generator = np.random.default_rng(1)
    labels, probabilities = generator.integers(0, 3, 60), generator.dirichlet([1, 1, 1], 60)
    pairs = list(zip(labels.tolist(), probabilities.argmax(axis=1).tolist(), strict=True))
    assert class_measures(confusion(pairs))["f1"].mean() == pytest.approx(metric.macro_f1(labels, probabilities))


def test_classes_are_averaged_over_seeds_with_trials_inside() -> None:
    right, wrong = [(0, 0), (1, 1)], [(0, 1), (1, 1)]
    frame = pd.concat([confusion(right, 1, 1), confusion(wrong, 1, 2), confusion(right, 2, 1), confusion(right, 3, 1)])
    found = summarize_classes(frame, 0.9).set_index("label")
    expected = mean_interval([0.5, 1.0, 1.0], 0.9)
    row = found.loc["a"]
    assert row["recall"] == pytest.approx(expected.mean)
    assert (row["recall_low"], row["recall_high"]) == pytest.approx((expected.low, expected.high))
    assert (row["n_seeds"], row["n_rows"]) == (3, 1)


def test_table_of_classes_has_its_schema() -> None:
    found = summarize_classes(confusion([(0, 0), (1, 2)]))
    assert list(found) == SCHEMAS["classes"].names
    assert math.isnan(found["f1_low"].iloc[0])  # one data seed shows no spread
    assert from_columns("classes", found).num_rows == 3


def test_overlap_widens_the_intervals_of_classes() -> None:
    frame = pd.concat([confusion([(0, 0), (0, seed % 2), (1, 1)], seed) for seed in range(1, 6)])
    plain, wide = summarize_classes(frame), summarize_classes(frame, overlaps={"rt": 0.2})
    assert (wide["recall_high"] >= plain["recall_high"]).all()
    varied = plain["recall_high"] > plain["recall"]
    assert varied.any()
    assert (wide["recall_high"] > plain["recall_high"])[varied].all()


def test_bins_are_pooled_by_rows() -> None:
    bins = {"low": [0.0, 0.5], "high": [0.5, 1.0]}
    one = pd.DataFrame({**bins, "n": [0, 10], "confidence": [math.nan, 0.9], "accuracy": [math.nan, 0.8]})
    other = pd.DataFrame({**bins, "n": [0, 30], "confidence": [math.nan, 0.7], "accuracy": [math.nan, 0.6]})
    frame = pd.concat([one.assign(**KEYS, data_seed=1, trial=1), other.assign(**KEYS, data_seed=2, trial=1)])
    found = pool_calibration(frame)
    assert found["n"].tolist() == [0, 40]
    assert found["confidence"].tolist() == pytest.approx([math.nan, 0.75], nan_ok=True)
    assert found["accuracy"].tolist() == pytest.approx([math.nan, 0.65], nan_ok=True)
    assert from_columns("all_calibration", found).num_rows == 2
