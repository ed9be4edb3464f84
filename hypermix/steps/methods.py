"""What training gives, whichever method trains; and the methods that are no training loop of ours."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypermix.classify.custom import Lesson, train_custom
from hypermix.classify.device import Place
from hypermix.classify.embed import embed, read_embedding
from hypermix.classify.encode import Encoded
from hypermix.classify.finetune import Moment
from hypermix.classify.keep import Model
from hypermix.classify.network import Network
from hypermix.classify.probe import fit_probe
from hypermix.classify.setfit import Pairs, train_setfit

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What training gives.

    Attributes:
        history: One moment a validation.
        kept: The moment that predicts.
        probabilities: Those of the rows of each split that is evaluated, (n_rows, n_labels).
        told: What the provenance says about it.
        model: What can be kept; None if the method trains no model of transformers.
    """

    history: list[Moment]
    kept: Moment
    probabilities: dict[str, NDArray[np.float64]]
    told: dict[str, Any] = field(default_factory=dict)
    model: Model | None = None


def word_accuracy(moment: Moment) -> str:
    """Word what a validation found."""
    accuracy = moment.validation_accuracy
    return "no validation rows" if math.isnan(accuracy) else f"validation accuracy {accuracy:.3f}"


def probe(folder: str, network: Network, rows: Mapping[str, Encoded], settings: Mapping[str, Any]) -> Outcome:
    """Fit a linear head to frozen embeddings.

    Args:
        folder: The folder of the encoder, which tells how it embeds.
        network: The encoder.
        rows: The rows of ``train``, ``validation`` and ``test``.
        settings: The classifier's settings.
    """
    embedding = read_embedding(folder)
    vectors = {name: embed(network, split, embedding) for name, split in rows.items()}
    right = rows["validation"].targets.argmax(axis=1)
    if not len(right):
        _LOG.warning("there are no validation rows: the penalty in the middle of penalties is taken")

    def tell(moment: Moment, penalty: float) -> None:
        _LOG.info("penalty %g, loss %.3f, %s", penalty, moment.train_loss, word_accuracy(moment))

    found = fit_probe(
        vectors["train"],
        rows["train"].targets,
        vectors["validation"],
        right,
        settings["penalties"],
        tell,
        network.device,
    )
    probabilities = {name: found.head.predict(vectors[name]) for name in rows if name != "train"}
    told = {"penalty": found.penalty, "pooling": embedding.pooling, "normalized": embedding.normalized}
    return Outcome(found.history, found.kept, probabilities, told)


def setfit(
    folder: str,
    texts: Mapping[str, Sequence[str]],
    targets: Mapping[str, NDArray[np.float32]],
    settings: Mapping[str, Any],
    seed: int,
    place: Place,
) -> Outcome:
    """Train with the library of SetFit.

    Args:
        folder: The folder of the encoder.
        texts: The texts of ``train``, ``validation`` and ``test``.
        targets: The labels of each, as probabilities; the likeliest is taken.
        settings: The classifier's settings.
        seed: The trial seed.
        place: Where it computes.

    Raises:
        TrainError: If the library is not installed, or takes no such rows.
    """
    pairs = Pairs(**{name: settings[name] for name in Pairs.__dataclass_fields__})
    labels = {name: part.argmax(axis=1) for name, part in targets.items()}
    n_labels = targets["train"].shape[1]
    moment, probabilities = train_setfit(folder, texts, labels, n_labels, pairs, seed, place)
    return Outcome([moment], moment, probabilities)


def custom(lesson: Lesson, settings: Mapping[str, Any], place: Place) -> Outcome:
    """Train by the function of another package.

    Args:
        lesson: What it learns from.
        settings: The classifier's settings.
        place: Where it computes.

    Raises:
        TrainError: If no installed package has it, or its predictions are none.
    """
    moment, probabilities = train_custom(settings["name"], settings["settings"], lesson, place)
    return Outcome([moment], moment, probabilities)
