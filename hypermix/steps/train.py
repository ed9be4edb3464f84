"""train: one classifier, trained on real and synthetic rows; its predictions and its history."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hypermix import tables
from hypermix.classify import threads as cpu
from hypermix.classify.encode import Encoded, encode
from hypermix.classify.finetune import Moment, Recipe, best_moment, finetune, predict
from hypermix.classify.keep import read_all, save_model
from hypermix.classify.model import load_classifier, locate_model, longest_input, weights_digests
from hypermix.files import read_provenance, read_table, write_table
from hypermix.steps.provenance import describe

_LOG = logging.getLogger(__name__)
_EVALUATED = ("validation", "test")


def run(keys: Mapping[str, str], slice_json: str, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Train a classifier and predict validation and test with its best weights.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter``, ``classifier`` and ``trial``.
        slice_json: The slice of `train`.
        inputs: The subsampled ``train``, ``validation`` and ``test``, and ``synthetic``.
        outputs: Where ``predictions`` and ``history`` go, and the folder ``model`` if the model is kept. One that is
            kept reads every row at least once, also where the limits of its steps end before.

    Raises:
        TrainError: If the model cannot be loaded or trained.
    """
    parts = json.loads(slice_json)
    # What the config asks for, which Snakemake grants unless it has fewer cores; results must not depend on that.
    cpu.limit(parts["threads"]["train"])
    settings = parts["classifier"]
    seeds = {name: int(keys[name]) for name in ("data_seed", "trial")}
    labels = read_provenance(inputs["train"])["labels"]
    splits = {name: read_table(inputs[name], name) for name in ("train", *_EVALUATED)}
    synthetic = read_table(inputs["synthetic"], "synthetic")
    synthetic = synthetic[synthetic["kept"]]
    folder = locate_model(settings["model"])
    network, tokenizer = load_classifier(folder, len(labels), seeds["trial"])
    limit = longest_input(network, settings["max_length"])

    def encoded(texts: Sequence[str], targets: NDArray[np.float32], what: str) -> Encoded:
        rows = encode(tokenizer, texts, targets, limit)
        if rows.cut:
            _LOG.warning("%d of %d %s rows are longer than %d tokens and are cut", rows.cut, len(rows), what, limit)
        return rows

    texts = [*splits["train"]["text"], *synthetic["text"]]
    targets = np.concatenate([_one_hot(splits["train"], labels), _soft(synthetic, len(labels))])
    rows = {name: encoded(list(splits[name]["text"]), _one_hot(splits[name], labels), name) for name in _EVALUATED}
    train = encoded(texts, targets, "train")
    recipe = _recipe(settings)
    if "model" in outputs:
        recipe = read_all(recipe, len(train))
    history = finetune(network, train, rows["validation"], recipe, seeds["trial"], _tell)
    best = best_moment(history)
    counts = {
        "n_train": len(splits["train"]),
        "n_synthetic": len(synthetic),
        "steps": history[-1].step,
        "best_epoch": best.epoch,
    }
    provenance = describe(
        "train", slice_json, {**keys, **seeds}, inputs, labels=labels, run=counts, weights=weights_digests(folder)
    )
    predictions = pd.concat(
        [_predictions(name, splits[name], predict(network, rows[name]), labels) for name in _EVALUATED]
    )
    write_table(outputs["predictions"], tables.from_columns("predictions", predictions), provenance)
    moments = pd.DataFrame([asdict(moment) for moment in history])
    write_table(outputs["history"], tables.from_columns("history", moments), provenance)
    if "model" in outputs:
        save_model(network, tokenizer, labels, limit, outputs["model"])
    _LOG.info("best validation accuracy %.3f at step %d of %d", best.validation_accuracy, best.step, history[-1].step)


def _recipe(settings: Mapping[str, Any]) -> Recipe:
    return Recipe(**{name: settings[name] for name in Recipe.__dataclass_fields__})


def _tell(moment: Moment) -> None:
    _LOG.info(
        "step %d, loss %.3f, validation accuracy %.3f", moment.step, moment.train_loss, moment.validation_accuracy
    )


def _one_hot(rows: pd.DataFrame, labels: Sequence[str]) -> NDArray[np.float32]:
    return np.eye(len(labels), dtype=np.float32)[[labels.index(label) for label in rows["label"]]]


def _soft(rows: pd.DataFrame, n_labels: int) -> NDArray[np.float32]:
    return np.array([*rows["soft_label"]], dtype=np.float32).reshape(len(rows), n_labels)


def _predictions(
    split: str, rows: pd.DataFrame, probabilities: NDArray[np.float64], labels: Sequence[str]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": rows["id"].tolist(),
            "split": split,
            "label": rows["label"].tolist(),
            "predicted": [labels[position] for position in probabilities.argmax(axis=1)],
            "probabilities": list(probabilities),
        }
    )
