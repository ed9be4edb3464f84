"""How a model is trained: the optimizer, its learning rate and when it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        learning_rate: The highest of AdamW, which corrects the bias of its means as all of torch's do.
        weight_decay: Of AdamW, for matrices alone: neither biases nor norms decay.
        batch_size: Rows a step; the last batch of a pass over the rows may be smaller.
        patience: Age of the best validation accuracy beyond which training stops; None for no early stop.
        patience_unit: What `patience` counts.
        min_steps: Steps before which it does not stop early.
        max_steps: Steps after which it stops; None for no such end.
        validate_every: Steps between validations; None validates at the end of each epoch.
        epochs: Epochs after which it stops; None for no such end.
        keep: Which weights are kept: the best on validation, or the last.
        schedule: The learning rate after the warm-up: constant, or linear down to 0 at the end.
        warmup: Share of all steps in which the learning rate rises from 0.
        epsilon: Of AdamW.
        clip: Largest norm of the gradient; None for any.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    patience: int | None
    patience_unit: Literal["epochs", "steps"]
    min_steps: int
    max_steps: int | None
    validate_every: int | None
    epochs: int | None = None
    keep: Literal["best", "last"] = "best"
    schedule: Literal["constant", "linear"] = "constant"
    warmup: float = 0.0
    epsilon: float = 1e-8
    clip: float | None = None

    def pass_steps(self, n_rows: int) -> int:
        """Return the steps of a pass over so many rows."""
        return math.ceil(n_rows / self.batch_size)

    def last_step(self, epoch_steps: int) -> int | None:
        """Return the step that ends training at the latest; None if patience alone does.

        Args:
            epoch_steps: Steps of an epoch.
        """
        ends = [self.max_steps, None if self.epochs is None else self.epochs * epoch_steps]
        known = [end for end in ends if end is not None]
        return min(known) if known else None


def make_optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return AdamW over all weights of a model."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [part for part in parameters if part.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [part for part in parameters if part.dim() <= 1], "weight_decay": 0.0},
    ]
    # Fused: one pass over the weights, an eighth of the time on CPU.
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, eps=recipe.epsilon, fused=True)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, last_step: int | None) -> LambdaLR:
    """Return what sets the learning rate of each step.

    It is transformers' `get_linear_schedule_with_warmup` or `get_constant_schedule_with_warmup`, which both recipes
    of the literature use: so the very first step of a warm-up has the learning rate 0.

    Args:
        optimizer: Whose learning rate is set.
        recipe: How to train.
        last_step: The number of all steps; None if it is not known, which a warm-up and a linear schedule need.
    """
    total = last_step or 0
    warm = int(recipe.warmup * total)

    def factor(done: int) -> float:
        if done < warm:
            return done / warm
        return max(0.0, (total - done) / max(1, total - warm)) if recipe.schedule == "linear" else 1.0

    return LambdaLR(optimizer, factor)
