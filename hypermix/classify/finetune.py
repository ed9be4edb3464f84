"""Fine-tuning with early stopping: the reference's training loop (Yoo et al. 2021, section 4.2, and its code)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hypermix.classify.encode import Encoded, length_sorted
from hypermix.classify.loss import soft_cross_entropy
from hypermix.classify.network import Network
from hypermix.errors import TrainError
from hypermix.seeding import child_generator, child_seed

EPSILON = 1e-8
"""AdamW's epsilon in the reference."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        learning_rate: Of AdamW, constant.
        weight_decay: Of AdamW.
        batch_size: Rows a step; the last batch of an epoch may be smaller.
        patience: Age of the best validation accuracy beyond which training stops.
        patience_unit: What `patience` counts.
        min_steps: Steps before which it does not stop early.
        max_steps: Steps after which it stops; None for no such end.
        validate_every: Steps between validations; None validates at the end of each epoch.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    patience: int
    patience_unit: Literal["epochs", "steps"]
    min_steps: int
    max_steps: int | None
    validate_every: int | None


@dataclass(frozen=True)
class Moment:
    """One line of the history: what a validation saw.

    Attributes:
        epoch: Epoch, from 1.
        step: Steps so far.
        train_loss: Mean loss of the steps since the last validation, in nats.
        validation_accuracy: Share of validation rows that are right, 0 to 1.
        learning_rate: Learning rate of the last step.
        seconds: Time since the last validation, this one counted.
    """

    epoch: int
    step: int
    train_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


def finetune(
    network: Network,
    train: Encoded,
    validation: Encoded,
    recipe: Recipe,
    seed: int,
    report: Callable[[Moment], None] | None = None,
) -> list[Moment]:
    """Train a model in place and leave it with its best weights.

    The best validation accuracy decides; of equal ones the first, as in the reference. Data order
    comes from a generator of its own; dropout, which takes none, from torch's, seeded here.

    Args:
        network: A model with a classification head.
        train: Rows with soft labels.
        validation: Rows to stop by; their targets are one-hot.
        recipe: How to train.
        seed: The trial seed.
        report: Called after each validation.

    Returns:
        The history, one moment a validation.

    Raises:
        TrainError: If there are no rows, or the loss is not finite.
    """
    if not len(train) or not len(validation):
        raise TrainError(f"training needs rows: train has {len(train)}, validation has {len(validation)}")
    # Fused: one pass over the weights, an eighth of the time on CPU.
    optimizer = torch.optim.AdamW(
        network.model.parameters(), lr=recipe.learning_rate, eps=EPSILON, weight_decay=recipe.weight_decay, fused=True
    )
    torch.manual_seed(child_seed(seed, ("dropout",)))
    history: list[Moment] = []
    losses: list[float] = []
    best, weights = -1.0, {}
    started = time.perf_counter()
    for step, (epoch, last, positions) in enumerate(_batches(train, recipe.batch_size, seed), start=1):
        losses.append(_step(network, optimizer, train, positions, step))
        if not _is_due(recipe, step, last):
            continue
        accuracy = accuracy_on(network, validation)
        now = time.perf_counter()
        loss = math.fsum(losses) / len(losses)
        history.append(Moment(epoch, step, loss, accuracy, recipe.learning_rate, now - started))
        started, losses = now, []
        if report:
            report(history[-1])
        if accuracy > best:
            best = accuracy
            weights = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
        if _is_over(recipe, history):
            break
    network.model.load_state_dict(weights)
    return history


def best_moment(history: list[Moment]) -> Moment:
    """Return the moment whose weights a trained model has."""
    return max(history, key=lambda moment: moment.validation_accuracy)  # the first of equal ones


def predict(network: Network, rows: Encoded) -> NDArray[np.float64]:
    """Return the probabilities of each row, (n_rows, n_labels), in the order of the rows."""
    out = np.zeros((len(rows), network.model.config.num_labels), dtype=np.float64)
    network.model.eval()
    with torch.inference_mode():
        for positions in length_sorted(rows):
            logits = network.logits(rows, positions)
            out[positions] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
    return out


def accuracy_on(network: Network, rows: Encoded) -> float:
    """Return the share of rows whose likeliest label is the target's, 0 to 1."""
    return float((predict(network, rows).argmax(axis=1) == rows.targets.argmax(axis=1)).mean())


def _batches(rows: Encoded, batch_size: int, seed: int) -> Iterator[tuple[int, bool, list[int]]]:
    """Yield epoch, whether the batch is its last, and the rows; without end."""
    epoch = 0
    while True:
        epoch += 1
        order = list(range(len(rows)))
        child_generator(seed, ("order", epoch)).shuffle(order)
        for start in range(0, len(order), batch_size):
            yield epoch, start + batch_size >= len(order), order[start : start + batch_size]


def _step(network: Network, optimizer: torch.optim.Optimizer, rows: Encoded, positions: list[int], step: int) -> float:
    network.model.train()
    logits = network.logits(rows, positions)
    loss = soft_cross_entropy(logits, torch.from_numpy(rows.targets[positions]).to(network.device))
    value = loss.item()
    if not math.isfinite(value):
        raise TrainError(f"the loss of step {step} is {value}; lower the classifier's learning_rate")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return value


def _is_due(recipe: Recipe, step: int, last_of_epoch: bool) -> bool:
    if step == recipe.max_steps:
        return True
    return last_of_epoch if recipe.validate_every is None else step % recipe.validate_every == 0


def _is_over(recipe: Recipe, history: list[Moment]) -> bool:
    now, best = history[-1], best_moment(history)
    age = now.epoch - best.epoch if recipe.patience_unit == "epochs" else now.step - best.step
    stale = age > recipe.patience and now.step >= recipe.min_steps
    return stale or (recipe.max_steps is not None and now.step >= recipe.max_steps)
