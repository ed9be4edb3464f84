"""The method `custom`: a classifier of another package."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypermix.classify.device import Place, peak_mb
from hypermix.classify.finetune import Moment
from hypermix.errors import TrainError
from hypermix.plugins import load_plugin

_LOG = logging.getLogger(__name__)
_TOLERANCE = 1e-3  # probabilities often come from float16 or float32


@dataclass(frozen=True)
class Lesson:
    """What a classifier learns from, and what it predicts. Labels of test rows are not in it.

    Attributes:
        texts: The texts of ``train`` (real rows, then synthetic ones), ``validation`` and ``test``.
        targets: The labels of ``train`` and ``validation``, a probability for each label; (n_rows, n_labels).
        labels: The labels, in label order.
        n_real: How many rows of train are real.
        seed: The trial seed: all that is drawn should come from it.
        folder: The folder of the encoder that the config names.
        device: Where to compute: ``cpu`` or ``cuda``.
    """

    texts: Mapping[str, Sequence[str]]
    targets: Mapping[str, NDArray[np.float32]]
    labels: Sequence[str]
    n_real: int
    seed: int
    folder: str
    device: str


def train_custom(
    name: str, settings: Mapping[str, Any], lesson: Lesson, place: Place
) -> tuple[Moment, dict[str, NDArray[np.float64]]]:
    """Let the function of another package learn, and check what it predicts.

    Args:
        name: That of its entry point.
        settings: Its own settings.
        lesson: What it learns from.
        place: Where it computes.

    Returns:
        What the history tells, and the probabilities of validation and test, (n_rows, n_labels).

    Raises:
        TrainError: If no installed package has it, or its predictions are none.
    """
    started = time.perf_counter()
    made = load_plugin(name, "classifier")(settings, lesson)
    found = {split: _checked(name, split, made, lesson) for split in ("validation", "test")}
    hits = found["validation"].argmax(axis=1) == lesson.targets["validation"].argmax(axis=1)
    accuracy = float(hits.mean()) if len(hits) else math.nan
    moment = Moment(1, 1, math.nan, accuracy, math.nan, time.perf_counter() - started, peak_mb(place.device))
    return moment, found


def _checked(name: str, split: str, made: object, lesson: Lesson) -> NDArray[np.float64]:
    """Return the probabilities of a split.

    Raises:
        TrainError: If they are missing, or are no probabilities.
    """
    shape = (len(lesson.texts[split]), len(lesson.labels))
    if not isinstance(made, Mapping) or split not in made:
        raise TrainError(
            f"the classifier {name!r} returned no probabilities of {split}; wanted is a mapping with validation and "
            "test, ask its makers"
        )
    try:
        found = np.asarray(made[split], dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != shape:
        raise TrainError(
            f"the classifier {name!r} returned an array of {found.shape} for {split}; wanted is {shape}, a "
            "probability for each row and label, ask its makers"
        )
    sums = found.sum(axis=1)
    if not (np.isfinite(found).all() and (found >= 0).all() and (abs(sums - 1) <= _TOLERANCE).all()):
        raise TrainError(
            f"the classifier {name!r} returned what are no probabilities for {split}: they must not be negative and "
            "must sum to 1, ask its makers"
        )
    return found / sums[:, None] if len(found) else found
