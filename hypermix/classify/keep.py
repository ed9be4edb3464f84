"""A model that is kept: trained on all its rows, and written as a folder that transformers loads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe

_ONE_FILE = "1000GB"


@dataclass(frozen=True)
class Model:
    """What of a trained model can be kept.

    Attributes:
        network: The model.
        tokenizer: Its tokenizer.
        max_length: Tokens that it was trained to read; with ``truncation=True`` longer texts are cut there.
    """

    network: Network
    tokenizer: PreTrainedTokenizerBase
    max_length: int


def read_all(recipe: Recipe, n_rows: int) -> Recipe:
    """Return a recipe under which every row is read at least once.

    Limits in steps are set for the few rows of an experiment. On all rows they could end before most were seen.

    Args:
        recipe: The recipe of the experiment.
        n_rows: Rows to train on.
    """
    epoch = math.ceil(n_rows / recipe.batch_size)
    return replace(
        recipe,
        min_steps=max(recipe.min_steps, epoch),
        max_steps=None if recipe.max_steps is None else max(recipe.max_steps, epoch),
    )


def save_model(kept: Model, labels: Sequence[str], folder: Path) -> None:
    """Write a classifier that ``transformers.pipeline("text-classification", model=FOLDER)`` loads.

    Args:
        kept: The trained model; it is given back as it was loaded, so it predicts no more.
        labels: The names of its outputs, in their order.
        folder: Where the weights (safetensors), the tokenizer and the config go.
    """
    model, tokenizer = kept.network.release(), kept.tokenizer
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: position for position, label in enumerate(labels)}
    model.config.problem_type = "single_label_classification"
    tokenizer.model_max_length = kept.max_length
    model.to(torch.float32).save_pretrained(folder, max_shard_size=_ONE_FILE)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # the weights come readable by their owner alone
