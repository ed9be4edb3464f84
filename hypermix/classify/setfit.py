"""SetFit (Tunstall et al. 2022) by its own library: an encoder learns pairs of rows, then a logistic regression.

The library is an optional extra. It takes hard labels alone, and prints and logs much, which is kept away here.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from hypermix.classify.device import Place, peak_mb
from hypermix.classify.finetune import Moment
from hypermix.classify.model import loading
from hypermix.errors import TrainError
from hypermix.packages import load_package
from hypermix.seeding import child_seed

if TYPE_CHECKING:
    from setfit import SetFitModel, Trainer

MOST_ROWS = 2000
"""Rows that SetFit takes here: its library lists all pairs of rows in memory before it draws any."""

_LOG = logging.getLogger(__name__)
_SEEDS = 2**32
"""The library seeds numpy's global state, which takes no larger ones."""

_ON_CPU = "ACCELERATE_USE_CPU"


@dataclass(frozen=True)
class Pairs:
    """How SetFit is trained.

    Attributes:
        iterations: Pairs of one label, and of two, for each row; None for all pairs.
        epochs: Passes over the pairs.
        batch_size: Pairs a step.
        learning_rate: The highest of AdamW.
        max_length: Tokens after which a text is cut.
    """

    iterations: int | None
    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int


def check_setfit() -> None:
    """Check that the library is installed.

    Raises:
        TrainError: If it is not.
    """
    if load_package("setfit") is None:
        raise TrainError("method: setfit needs its library, which is not installed; pip install '.[setfit]'")


def train_setfit(
    model: str,
    texts: Mapping[str, Sequence[str]],
    labels: Mapping[str, NDArray[np.int64]],
    n_labels: int,
    pairs: Pairs,
    seed: int,
    place: Place,
) -> tuple[Moment, dict[str, NDArray[np.float64]]]:
    """Train on ``train`` and predict every other split.

    Args:
        model: The folder of an encoder. Weights are read from safetensors only; no code of the model is run.
        texts: The texts of each split: ``train``, ``validation`` and others.
        labels: Their labels, as places in the order of labels; those of ``train`` and ``validation`` are read.
        n_labels: How many labels there are.
        pairs: How.
        seed: The trial seed.
        place: Where it computes.

    Returns:
        What the history tells: its loss is the mean squared error of the similarity of pairs; and the probabilities of
        each split but train, (n_rows, n_labels). A label that no row of train has gets 0.

    Raises:
        TrainError: If the library is not installed, or there are too many rows, or rows of one label alone.
    """
    check_setfit()
    n_rows, known = len(texts["train"]), np.unique(labels["train"])
    if n_rows > MOST_ROWS:
        raise TrainError(
            f"method: setfit lists all pairs of rows and takes at most {MOST_ROWS}, and there are {n_rows}; lower "
            "subsample.train or the augmenter's multiplier, or take another method"
        )
    if len(known) < 2:
        raise TrainError(
            f"method: setfit compares rows of two labels, and the {n_rows} rows of train have {len(known)}; raise "
            "subsample.train, or take another method"
        )
    started = time.perf_counter()
    with _quiet(), _on(place), tempfile.TemporaryDirectory() as folder:
        try:
            learner = _load(model, pairs, place)
            for name, rows in texts.items():
                _tell_cut(learner, name, rows)
            trainer = _train(
                learner, texts["train"], labels["train"], pairs, child_seed(seed, ("setfit",)) % _SEEDS, folder
            )
        except torch.OutOfMemoryError:
            raise TrainError(
                "memory is too small for a batch of pairs; lower the classifier's batch_size or max_length"
            ) from None
        found = {name: _predict(learner, rows, known, n_labels) for name, rows in texts.items() if name != "train"}
    hits = found["validation"].argmax(axis=1) == labels["validation"]
    accuracy = float(hits.mean()) if len(hits) else math.nan
    state = trainer.st_trainer.state
    loss = next(float(line["train_loss"]) for line in reversed(state.log_history) if "train_loss" in line)
    seconds = time.perf_counter() - started
    rate, peak = pairs.learning_rate, peak_mb(place.device)
    return Moment(pairs.epochs, int(state.global_step), loss, accuracy, rate, seconds, peak), found


def _load(model: str, pairs: Pairs, place: Place) -> SetFitModel:
    from sentence_transformers import SentenceTransformer
    from setfit import SetFitModel
    from sklearn.linear_model import LogisticRegression

    # Not by the library's own loader: it would read a head of the folder, which is a pickle.
    with loading(model):
        body = SentenceTransformer(
            model,
            device=place.device.type,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    body.max_seq_length = min(pairs.max_length, body.max_seq_length or pairs.max_length)
    return SetFitModel(model_body=body, model_head=LogisticRegression(max_iter=1000))


def _tell_cut(learner: SetFitModel, name: str, texts: Sequence[str]) -> None:
    body = learner.model_body
    ids = body.tokenizer(list(texts), verbose=False)["input_ids"] if texts else []
    cut = sum(len(row) > body.max_seq_length for row in ids)
    if cut:
        _LOG.warning(
            "%d of %d %s rows are longer than %d tokens and are cut", cut, len(texts), name, body.max_seq_length
        )


def _train(
    learner: SetFitModel, texts: Sequence[str], labels: NDArray[np.int64], pairs: Pairs, seed: int, folder: str
) -> Trainer:
    from datasets import Dataset
    from setfit import Trainer, TrainingArguments
    from transformers import PrinterCallback, ProgressCallback

    told = TrainingArguments(
        output_dir=folder,
        batch_size=pairs.batch_size,
        num_epochs=pairs.epochs,
        num_iterations=pairs.iterations,
        body_learning_rate=pairs.learning_rate,
        seed=seed,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        show_progress_bar=False,
    )
    rows = Dataset.from_dict({"text": list(texts), "label": labels.tolist()})
    trainer = Trainer(model=learner, args=told, train_dataset=rows)
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.st_trainer.args.dataloader_pin_memory = False  # it warns where there is no GPU
    trainer.train()
    return trainer


def _predict(
    learner: SetFitModel, texts: Sequence[str], known: NDArray[np.int64], n_labels: int
) -> NDArray[np.float64]:
    out = np.zeros((len(texts), n_labels), dtype=np.float64)
    if len(texts):
        out[:, known] = learner.predict_proba(list(texts), as_numpy=True, show_progress_bar=False)
    return out


@contextmanager
def _on(place: Place) -> Iterator[None]:
    """Keep the library's trainer from a GPU that is not asked for: it takes one wherever there is one."""
    before = os.environ.get(_ON_CPU)
    if place.device.type == "cpu":
        os.environ[_ON_CPU] = "true"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_ON_CPU, None)
        else:
            os.environ[_ON_CPU] = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and log lines of the libraries away, and put them back."""
    import datasets
    import transformers

    with ExitStack() as stack:
        if not datasets.are_progress_bars_disabled():
            datasets.disable_progress_bars()
            stack.callback(datasets.enable_progress_bars)
        transformers.logging.disable_progress_bar()
        for name in ("setfit", "sentence_transformers"):
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        yield
