"""Fine-tuning with early stopping, and TMix: the reference's training loop (Yoo et al. 2021, section 4.2, its code).

An epoch is a pass over the rows, or as many steps as are asked for: then the passes go on through it.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hypermix.classify.device import peak_mb
from hypermix.classify.encode import Encoded, length_sorted
from hypermix.classify.loss import soft_cross_entropy
from hypermix.classify.mixing import take_part
from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe, make_optimizer, make_schedule
from hypermix.classify.steady import steady_norms
from hypermix.classify.tmix import Mixer, mix_targets
from hypermix.errors import TrainError
from hypermix.seeding import child_generator, child_seed


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
        peak_mb: The largest memory so far, in MiB, as `peak_mb` measures it.
    """

    epoch: int
    step: int
    train_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    peak_mb: float = 0.0


def finetune(
    network: Network,
    train: Encoded,
    validation: Encoded,
    recipe: Recipe,
    seed: int,
    report: Callable[[Moment], None] | None = None,
    *,
    mixer: Mixer | None = None,
    epoch_steps: int | None = None,
    watch: Callable[[int, float], None] | None = None,
) -> list[Moment]:
    """Train a model in place and leave it with the weights that the recipe keeps.

    Data order and what TMix mixes come from generators of their own; dropout, which takes none, from torch's, seeded
    here.

    Args:
        network: A model with a classification head.
        train: Rows with soft labels.
        validation: Rows to stop by; their targets are one-hot. Without any, no accuracy is ever better than the first,
            so patience runs out, and the last weights are kept.
        recipe: How to train.
        seed: The trial seed.
        report: Called after each validation.
        mixer: What draws the mixing of TMix; None mixes nothing.
        epoch_steps: Steps of an epoch; None for those of a pass over the rows.
        watch: Called after each step with its number and its loss.

    Returns:
        The history, one moment a validation; `kept_moment` tells whose weights the model has.

    Raises:
        TrainError: If there are no rows to train on, the loss is not finite, or memory is too small.
    """
    if not len(train):
        raise TrainError("training needs rows, and train has none; raise subsample.train or mend the dataset")
    length = epoch_steps or recipe.pass_steps(len(train))
    last_step = recipe.last_step(length)
    optimizer = make_optimizer(network.model, recipe)
    schedule = make_schedule(optimizer, recipe, last_step)
    torch.manual_seed(child_seed(seed, ("dropout",)))
    history: list[Moment] = []
    losses: list[float] = []
    best, weights = -1.0, dict[str, torch.Tensor]()
    started = time.perf_counter()
    for step, positions in enumerate(_batches(train, recipe.batch_size, seed), start=1):
        rate = float(schedule.get_last_lr()[0])
        losses.append(_step(network, optimizer, train, positions, step, mixer, recipe.clip))
        schedule.step()
        if watch:
            watch(step, losses[-1])
        if not _is_due(recipe, step, length, last_step):
            continue
        accuracy = accuracy_on(network, validation)
        now = time.perf_counter()
        loss = math.fsum(losses) / len(losses)
        history.append(
            Moment(math.ceil(step / length), step, loss, accuracy, rate, now - started, peak_mb(network.device))
        )
        started, losses = now, []
        if report:
            report(history[-1])
        if recipe.keep == "best" and accuracy > best:
            best = accuracy
            weights = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
        if _is_over(recipe, history, last_step):
            break
    if weights:
        network.model.load_state_dict(weights)
    return history


def best_moment(history: list[Moment]) -> Moment:
    """Return the moment of the best validation accuracy, the first of equal ones; without any the first."""
    return max(
        history, key=lambda moment: -1.0 if math.isnan(moment.validation_accuracy) else moment.validation_accuracy
    )


def kept_moment(history: list[Moment], keep: Literal["best", "last"]) -> Moment:
    """Return the moment whose weights a trained model has.

    Args:
        history: What `finetune` returned.
        keep: What the recipe keeps; without validation rows it is the last in any case.
    """
    found = best_moment(history) if keep == "best" else history[-1]
    return history[-1] if math.isnan(found.validation_accuracy) else found


def predict(network: Network, rows: Encoded) -> NDArray[np.float64]:
    """Return the probabilities of each row, (n_rows, n_labels), in the order of the rows."""
    out = np.zeros((len(rows), network.model.config.num_labels), dtype=np.float64)
    network.model.eval()

    def part(positions: list[int]) -> None:
        logits = network.logits(rows, positions)
        out[positions] = torch.softmax(logits.double(), dim=-1).cpu().numpy()

    with torch.inference_mode():
        for positions in length_sorted(rows, network.place.tokens_a_batch):
            network.room.run(positions, part)
    return out


def accuracy_on(network: Network, rows: Encoded) -> float:
    """Return the share of rows whose likeliest label is the target's, 0 to 1; NaN if there are none."""
    if not len(rows):
        return math.nan
    return float((predict(network, rows).argmax(axis=1) == rows.targets.argmax(axis=1)).mean())


def _batches(rows: Encoded, batch_size: int, seed: int) -> Iterator[list[int]]:
    """Yield the rows of each step, in one pass over all of them after the other; without end."""
    for number in itertools.count(1):
        order = list(range(len(rows)))
        child_generator(seed, ("order", number)).shuffle(order)
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]


def _step(
    network: Network,
    optimizer: torch.optim.Optimizer,
    rows: Encoded,
    positions: list[int],
    step: int,
    mixer: Mixer | None,
    clip: float | None,
) -> float:
    network.model.train()
    mixing = mixer.draw(step, len(positions)) if mixer else None
    targets = torch.from_numpy(rows.targets[positions]).to(network.device)
    if mixing:
        targets = mix_targets(targets, mixing)

    def part(places: list[int]) -> float:
        with steady_norms(network.model):
            logits = network.logits(rows, *take_part(positions, mixing, places))[: len(places)]
        loss = soft_cross_entropy(logits, targets[places]) * (len(places) / len(positions))
        loss.backward()
        return loss.item()

    optimizer.zero_grad()
    value = math.fsum(network.training_room.run(range(len(positions)), part, optimizer.zero_grad))
    if not math.isfinite(value):
        raise TrainError(_word_loss(value, step, rows, positions))
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(network.model.parameters(), clip)
    try:
        optimizer.step()  # its first step takes two numbers for each weight, whatever the batch
    except torch.OutOfMemoryError:
        raise TrainError(
            "memory is too small for the optimizer's means of this model's weights; run fewer jobs beside each other, "
            "take a smaller model, or set device: cpu"
        ) from None
    return value


def _word_loss(value: float, step: int, rows: Encoded, positions: list[int]) -> str:
    names = [rows.ids[position] if rows.ids else str(position) for position in positions]
    return (
        f"the loss of step {step} is {value}, on the rows with the ids {', '.join(names)}; lower the classifier's "
        "learning_rate, or look at these rows"
    )


def _is_due(recipe: Recipe, step: int, epoch_steps: int, last_step: int | None) -> bool:
    return step == last_step or step % (recipe.validate_every or epoch_steps) == 0


def _is_over(recipe: Recipe, history: list[Moment], last_step: int | None) -> bool:
    now, best = history[-1], best_moment(history)
    if last_step is not None and now.step >= last_step:
        return True
    age = now.epoch - best.epoch if recipe.patience_unit == "epochs" else now.step - best.step
    return recipe.patience is not None and age > recipe.patience and now.step >= recipe.min_steps
