"""The real rows that the synthetic ones of a draw are measured against."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hypermix import tables
from hypermix.data.index import take
from hypermix.files import read_table
from hypermix.seeding import child_generator

_BATCH_ROWS = 1 << 14
_MOST_TEST = 10_000  # test rows that the judge is tried on


@dataclass(frozen=True)
class Real:
    """Real rows; frames have the columns ``id``, ``text`` and ``label``.

    Attributes:
        train: The train rows of the subsample.
        further: Rows of train that it left out and no synthetic row repeats, as many as there are synthetic ones, as
            far as there are so many; in an order that is drawn, so that any first ones are a sample.
        known: What the judge learns: rows of train that are no test row and that no synthetic row repeats.
        test: All test rows of the dataset; those of the draw where each has its own.
        judged: A part of them, on which the judge is tried.
    """

    train: pd.DataFrame
    further: pd.DataFrame
    known: pd.DataFrame
    test: pd.DataFrame
    judged: pd.DataFrame


def read_real(inputs: Mapping[str, Path], texts: Collection[str], most_known: int, seed: int) -> Real:
    """Read them. They depend on the data seed and the number of rows, so that augmenters meet the same ones.

    Args:
        inputs: ``train`` and ``test`` of the subsample, ``all_train`` and ``all_test`` of the dataset.
        texts: The synthetic texts.
        most_known: The most rows that the judge learns.
        seed: The data seed.
    """
    train, test = (read_table(inputs[name], name) for name in ("train", "test"))
    every = read_table(inputs["all_test"], "test")
    test = every if len(every) else test
    ids = pq.read_table(inputs["all_train"], columns=["id"], partitioning=None)["id"]
    free = np.flatnonzero(~_among(ids, test["id"].tolist()))
    left = free[~_among(ids, train["id"].tolist())[free]]
    further = _choose(left, 2 * len(texts), seed, "further")  # some of them may be repeated
    known = _choose(free, most_known, seed, "known")
    places = np.union1d(further, known)
    rows = _take(inputs["all_train"], places)
    new = ~rows["text"].isin(set(texts)).to_numpy()
    unseen = np.flatnonzero(np.isin(places, further) & new)
    return Real(
        train=train,
        further=rows.iloc[_shuffle(_choose(unseen, len(texts), seed, "unseen"), seed)],
        known=rows[np.isin(places, known) & new],
        test=test,
        judged=test.iloc[_choose(np.arange(len(test)), _MOST_TEST, seed, "judged")],
    )


def _among(ids: pa.ChunkedArray, wanted: Sequence[str]) -> np.ndarray:
    found: np.ndarray = pc.is_in(ids.cast(pa.string()), value_set=pa.array(wanted, pa.string())).to_numpy()
    return found


def _choose(places: np.ndarray, most: int, seed: int, what: str) -> np.ndarray:
    """Draw some places, in their order."""
    if len(places) <= most:
        return places
    chosen = child_generator(seed, ("quality", what)).sample(range(len(places)), most)
    return places[np.sort(np.array(chosen, dtype=np.int64))]


def _shuffle(places: np.ndarray, seed: int) -> np.ndarray:
    order = [*range(len(places))]
    child_generator(seed, ("quality", "order")).shuffle(order)
    return places[np.array(order, dtype=np.int64)]


def _take(path: Path, places: np.ndarray) -> pd.DataFrame:
    with tables.open_parquet(path, "train") as file:
        batches = list(take(file.iter_batches(_BATCH_ROWS), places))
    found: pd.DataFrame = pa.Table.from_batches(batches, tables.schema("train")).to_pandas()
    return found
