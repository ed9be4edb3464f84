"""train: one classifier, trained on real and synthetic rows; its predictions and its history."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hypermix import tables
from hypermix.classify import target
from hypermix.classify import threads as cpu
from hypermix.classify.custom import Lesson
from hypermix.classify.device import Place, choose_place, start_measuring
from hypermix.classify.encode import Encoded, encode
from hypermix.classify.finetune import Moment, finetune, kept_moment, predict
from hypermix.classify.keep import Model, read_all, save_model
from hypermix.classify.model import load_classifier, load_encoder, locate_model, longest_input, weights_digests
from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe
from hypermix.classify.reinit import reinit_top, scale_count
from hypermix.classify.tmix import Mixer, scale_layers
from hypermix.errors import TrainError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.hashing import file_digest
from hypermix.hub import commit_of
from hypermix.steps import methods
from hypermix.steps.progress import show
from hypermix.steps.provenance import describe

_LOG = logging.getLogger(__name__)
_EVALUATED = ("validation", "test")


def run(
    keys: Mapping[str, str],
    slice_json: str,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    runtime: Mapping[str, Any] | None = None,
) -> None:
    """Train a classifier and predict validation and test with the weights that its recipe keeps.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter``, ``classifier`` and ``trial``.
        slice_json: The slice of `train`.
        inputs: The subsampled ``train``, ``validation`` and ``test``, and ``synthetic``; for a classifier with `match`
            also ``matched``, the synthetic rows of that augmenter.
        outputs: Where ``predictions`` and ``history`` go, and the folder ``model`` if the model is kept. One that is
            kept reads every row at least once, also where the limits of its steps end before.
        runtime: What changes no result: ``offline``, whether the hub is not asked for a model, and ``alone``, whether
            no other job writes to the terminal, so that it may show a bar.

    Raises:
        TrainError: If the model cannot be loaded or trained.
    """
    parts = json.loads(slice_json)
    runtime = {"offline": False, "alone": False, **(runtime or {})}
    # What the config asks for, which Snakemake grants unless it has fewer cores; results must not depend on that.
    cpu.limit(parts["threads"]["train"])
    settings = parts["classifier"]
    seeds = {name: int(keys[name]) for name in ("data_seed", "trial")}
    labels = read_provenance(inputs["train"])["labels"]
    splits = {name: read_table(inputs[name], name) for name in ("train", *_EVALUATED)}
    synthetic = _kept(inputs["synthetic"])
    place = choose_place(settings["device"], settings.get("precision", "float32"))
    start_measuring(place.device)
    folder = locate_model(settings["model"], settings["revision"], offline=bool(runtime["offline"]))
    texts = {name: list(split["text"]) for name, split in splits.items()}
    targets = {name: _one_hot(split, labels) for name, split in splits.items()}
    texts["train"] += synthetic["text"].tolist()
    _tell_absent(splits["train"], synthetic, labels)
    targets["train"] = _targets(splits["train"], synthetic, labels, settings)
    match = settings.get("match")
    n_matched = None if match is None else len(splits["train"]) + len(_kept(inputs["matched"]))
    if settings["method"] == "setfit":
        outcome = methods.setfit(folder, texts, targets, settings, seeds["trial"], place)
    elif settings["method"] == "custom":
        known = {name: targets[name] for name in ("train", "validation")}
        n_real, device = len(splits["train"]), place.device.type
        lesson = Lesson(texts, known, labels, n_real, seeds["trial"], folder, device)
        outcome = methods.custom(lesson, settings, place)
    else:
        ids = (*splits["train"]["id"], *synthetic["id"])
        way = _Way(settings, seeds["trial"], n_matched, "model" in outputs, bool(runtime["alone"]))
        outcome = _on_tokens(folder, place, texts, targets, ids, way)
    history, kept = outcome.history, outcome.kept
    counts = {
        "n_train": len(splits["train"]),
        "n_synthetic": len(synthetic),
        "steps": history[-1].step,
        "best_epoch": kept.epoch,
    }
    model = {"weights": weights_digests(folder), "commit": commit_of(Path(folder)), **place.describe()}
    provenance = _describe(slice_json, {**keys, **seeds}, inputs, match)
    provenance |= {"labels": labels, "run": counts, **model, **outcome.told}
    predictions = pd.concat(
        [_predictions(name, splits[name], outcome.probabilities[name], labels) for name in _EVALUATED]
    )
    write_table(outputs["predictions"], tables.from_columns("predictions", predictions), provenance)
    moments = pd.DataFrame([asdict(moment) for moment in history])
    write_table(outputs["history"], tables.from_columns("history", moments), provenance)
    if "model" in outputs:
        if outcome.model is None:
            raise TrainError(
                f"a classifier of method {settings['method']} writes no model; export one of finetune or tmix"
            )
        save_model(outcome.model, labels, outputs["model"])
    _LOG.info("kept the weights of step %d of %d: %s", kept.step, history[-1].step, methods.word_accuracy(kept))


@dataclass(frozen=True)
class _Way:
    """How a network is trained.

    Attributes:
        settings: The classifier's settings.
        trial: The trial seed.
        n_matched: The rows that an epoch has the steps of a pass over; None for those of train.
        whole: Whether every row is read at least once, whatever the settings say of steps.
        alone: Whether it may show a bar.
    """

    settings: Mapping[str, Any]
    trial: int
    n_matched: int | None
    whole: bool
    alone: bool


def _on_tokens(
    folder: str,
    place: Place,
    texts: Mapping[str, Sequence[str]],
    targets: Mapping[str, NDArray[np.float32]],
    ids: tuple[str, ...],
    way: _Way,
) -> methods.Outcome:
    """Train by a method of ours, which all take the same token ids."""
    settings = way.settings
    if settings["method"] == "probe":
        network, tokenizer = load_encoder(folder, place)
    else:
        network, tokenizer = load_classifier(folder, targets["train"].shape[1], way.trial, place)
    limit = longest_input(network, settings["max_length"])
    if limit < settings["max_length"]:
        _LOG.info("the model takes %d tokens at most: max_length %d has no effect", limit, settings["max_length"])
    rows = {}
    for name, part in texts.items():
        rows[name] = encode(tokenizer, part, targets[name], limit)
        if rows[name].cut:
            _LOG.warning(
                "%d of %d %s rows are longer than %d tokens and are cut", rows[name].cut, len(part), name, limit
            )
    if settings["method"] == "probe":
        return methods.probe(folder, network, rows, settings)
    train, validation = replace(rows["train"], ids=ids), rows["validation"]
    history = _train(network, train, validation, way)
    told = {"kept": settings["keep"] if len(validation) else "last, since there are no validation rows"}
    probabilities = {name: predict(network, rows[name]) for name in _EVALUATED}
    model = Model(network, tokenizer, limit)
    return methods.Outcome(history, kept_moment(history, settings["keep"]), probabilities, told, model)


def _tell_absent(real: pd.DataFrame, synthetic: pd.DataFrame, labels: Sequence[str]) -> None:
    """Tell of labels that no row of train has, or most likely has: a classifier can hardly predict them."""
    likeliest = _soft(synthetic, len(labels)).argmax(axis=1)
    there = {*real["label"], *(labels[position] for position in likeliest)}
    absent = [label for label in labels if label not in there]
    if absent:
        _LOG.warning("no train row has the label %s, which is not learned", ", ".join(repr(label) for label in absent))


def _train(network: Network, train: Encoded, validation: Encoded, way: _Way) -> list[Moment]:
    """Train as the settings say."""
    settings, trial, n_matched = way.settings, way.trial, way.n_matched
    recipe = Recipe(**{name: settings[name] for name in Recipe.__dataclass_fields__})
    if way.whole:
        recipe = read_all(recipe, len(train))
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
    with show(recipe.last_step(epoch_steps), way.alone) as bar:

        def tell(moment: Moment) -> None:
            accuracy = methods.word_accuracy(moment)
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
    if "targets" not in settings:  # it decides by itself what it makes of soft labels
        return np.concatenate([_one_hot(real, labels), _soft(synthetic, len(labels))])
    soft = target.shape(_soft(synthetic, len(labels)), settings["targets"], settings["sharpen"])
    parts = [target.smooth(part, settings["label_smoothing"]) for part in (_one_hot(real, labels), soft)]
    return target.join(parts[0], parts[1], settings["synthetic_weight"])


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
