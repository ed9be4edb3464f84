"""train: one classifier, trained on real and synthetic rows; its predictions and its history."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hypermix import tables
from hypermix.classify import target
from hypermix.classify import threads as cpu
from hypermix.classify.encode import Encoded, encode
from hypermix.classify.finetune import Moment, finetune, kept_moment, predict
from hypermix.classify.model import load_classifier, locate_model, longest_input, weights_digests
from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe
from hypermix.classify.reinit import reinit_top, scale_count
from hypermix.classify.tmix import Mixer, scale_layers
from hypermix.files import read_provenance, read_table, write_table
from hypermix.hashing import file_digest
from hypermix.steps.progress import show
from hypermix.steps.provenance import describe

_LOG = logging.getLogger(__name__)
_EVALUATED = ("validation", "test")


def run(
    keys: Mapping[str, str],
    slice_json: str,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    alone: bool = False,
) -> None:
    """Train a classifier and predict validation and test with the weights that its recipe keeps.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter``, ``classifier`` and ``trial``.
        slice_json: The slice of `train`.
        inputs: The subsampled ``train``, ``validation`` and ``test``, and ``synthetic``; for a classifier with `match`
            also ``matched``, the synthetic rows of that augmenter.
        outputs: Where ``predictions`` and ``history`` go.
        alone: Whether no other job writes to the terminal, so that it may show a bar.

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
    synthetic = _kept(inputs["synthetic"])
    folder = locate_model(settings["model"])
    network, tokenizer = load_classifier(folder, len(labels), seeds["trial"])
    limit = longest_input(network, settings["max_length"])

    def encoded(texts: Sequence[str], targets: NDArray[np.float32], what: str) -> Encoded:
        rows = encode(tokenizer, texts, targets, limit)
        if rows.cut:
            _LOG.warning("%d of %d %s rows are longer than %d tokens and are cut", rows.cut, len(rows), what, limit)
        return rows

    rows = {name: encoded(list(splits[name]["text"]), _one_hot(splits[name], labels), name) for name in _EVALUATED}
    texts = [*splits["train"]["text"], *synthetic["text"]]
    train = encoded(texts, _targets(splits["train"], synthetic, labels, settings), "train")
    train = replace(train, ids=(*splits["train"]["id"], *synthetic["id"]))
    match = settings["match"]
    n_matched = None if match is None else len(splits["train"]) + len(_kept(inputs["matched"]))
    history = _train(network, train, rows["validation"], settings, seeds["trial"], n_matched, alone)
    kept = kept_moment(history, settings["keep"])
    counts = {
        "n_train": len(splits["train"]),
        "n_synthetic": len(synthetic),
        "steps": history[-1].step,
        "best_epoch": kept.epoch,
    }
    provenance = _describe(slice_json, {**keys, **seeds}, inputs, match) | {
        **{"labels": labels, "run": counts, "weights": weights_digests(folder)},
        "kept": settings["keep"] if len(rows["validation"]) else "last, since there are no validation rows",
    }
    predictions = pd.concat(
        [_predictions(name, splits[name], predict(network, rows[name]), labels) for name in _EVALUATED]
    )
    write_table(outputs["predictions"], tables.from_columns("predictions", predictions), provenance)
    moments = pd.DataFrame([asdict(moment) for moment in history])
    write_table(outputs["history"], tables.from_columns("history", moments), provenance)
    _LOG.info("kept the weights of step %d of %d: %s", kept.step, history[-1].step, _word_accuracy(kept))


def _train(
    network: Network,
    train: Encoded,
    validation: Encoded,
    settings: Mapping[str, Any],
    trial: int,
    n_matched: int | None,
    alone: bool,
) -> list[Moment]:
    """Train as the settings say; an epoch has the steps of a pass over `n_matched` rows, or over these if None."""
    recipe = Recipe(**{name: settings[name] for name in Recipe.__dataclass_fields__})
    n_layers = len(network.layers)
    reinit_top(network, scale_count(settings["reinit_layers"], settings["reinit_of"], n_layers), trial)
    mixer = None
    if settings["method"] == "tmix":
        layers = scale_layers(settings["layers"], settings["layers_of"], n_layers)
        mixer = Mixer(settings["alpha"], layers, settings["share_of"], settings["larger"], trial)
    if not len(validation):
        _LOG.warning("there are no validation rows: no accuracy tells when to stop, and the last weights are kept")
    epoch_steps = recipe.pass_steps(len(train) if n_matched is None else n_matched)
    if n_matched is not None:
        _LOG.info("an epoch has %d steps, as with the augmenter %s", epoch_steps, settings["match"])
    with show(recipe.last_step(epoch_steps), alone) as bar:

        def tell(moment: Moment) -> None:
            accuracy = _word_accuracy(moment)
            _LOG.info("step %d, loss %.3f, %s", moment.step, moment.train_loss, accuracy, extra={"progress": True})
            if bar:
                bar.tell(accuracy)

        watch = bar.step if bar else None
        return finetune(
            network, train, validation, recipe, trial, tell, mixer=mixer, epoch_steps=epoch_steps, watch=watch
        )


def _describe(
    slice_json: str, keys: Mapping[str, str | int], inputs: Mapping[str, Path], match: str | None
) -> dict[str, Any]:
    """Describe the outputs; the slice of the matched rows' augmentation stands beside that of this run's."""
    own = {name: path for name, path in inputs.items() if name != "matched"}
    made = describe("train", slice_json, keys, own)
    if match is None:
        return made
    slices = {**made["slices"], "match": read_provenance(inputs["matched"])["slices"]["augment"]}
    return {**made, "inputs": {**made["inputs"], "matched": file_digest(inputs["matched"])}, "slices": slices}


def _kept(synthetic: Path) -> pd.DataFrame:
    rows = read_table(synthetic, "synthetic")
    return rows[rows["kept"]]


def _targets(
    real: pd.DataFrame, synthetic: pd.DataFrame, labels: Sequence[str], settings: Mapping[str, Any]
) -> NDArray[np.float32]:
    soft = target.shape(_soft(synthetic, len(labels)), settings["targets"], settings["sharpen"])
    parts = [target.smooth(part, settings["label_smoothing"]) for part in (_one_hot(real, labels), soft)]
    return target.join(parts[0], parts[1], settings["synthetic_weight"])


def _word_accuracy(moment: Moment) -> str:
    accuracy = moment.validation_accuracy
    return "no validation rows" if math.isnan(accuracy) else f"validation accuracy {accuracy:.3f}"


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
