"""A linear head on frozen embeddings: multinomial logistic regression with soft labels and an L2 penalty."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hypermix.classify.device import CPU, peak_mb
from hypermix.classify.finetune import Moment
from hypermix.classify.loss import soft_cross_entropy
from hypermix.errors import TrainError

_LOG = logging.getLogger(__name__)
_ITERATIONS = 2000
_STEEP = 1e-7
"""The largest slope of the mean loss, in nats, at which a head counts as fitted."""


@dataclass(frozen=True)
class Head:
    """A fitted head.

    Attributes:
        center: What is taken from an embedding; (width,).
        scale: What the rest is divided by.
        weights: (width, n_labels).
        bias: (n_labels,).
    """

    center: torch.Tensor
    scale: float
    weights: torch.Tensor
    bias: torch.Tensor

    def predict(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of embeddings, (n_rows, n_labels)."""
        scaled = (torch.from_numpy(vectors) - self.center) / self.scale
        found: NDArray[np.float64] = torch.softmax(scaled @ self.weights + self.bias, dim=-1).numpy()
        return found


@dataclass(frozen=True)
class Fit:
    """What was tried, and what was taken.

    Attributes:
        head: The head that was taken.
        penalty: Its penalty.
        history: One moment a penalty: its epoch is the number of the penalty, its steps are those of all so far.
        kept: The moment of the head that was taken.
    """

    head: Head
    penalty: float
    history: list[Moment]
    kept: Moment


def fit_probe(
    vectors: NDArray[np.float64],
    targets: NDArray[np.float32],
    validation: NDArray[np.float64],
    right: NDArray[np.int64],
    penalties: Sequence[float],
    report: Callable[[Moment, float], None] | None = None,
    device: torch.device = CPU.device,
) -> Fit:
    """Fit a head for each penalty and take the best.

    The best validation accuracy decides, of equal ones the first; without validation rows the penalty in the middle is
    taken. The embeddings are centered and divided by one number, so that a penalty means the same for any encoder;
    the loss and its minimum stay those of a plain regression.

    Args:
        vectors: The embeddings of the rows to learn; (n_rows, width).
        targets: Their labels: probabilities times the weight of the row; (n_rows, n_labels).
        validation: The embeddings of the validation rows.
        right: Their labels, as places in the order of labels.
        penalties: Half the squared weights, times a penalty, is added to the sum of the rows' losses.
        report: Called after each penalty.
        device: Where the embeddings were made, whose memory the history tells; a head is fitted on the CPU.

    Raises:
        TrainError: If there are no rows to learn, or an embedding is not finite.
    """
    if not len(vectors):
        raise TrainError("training needs rows, and train has none; raise subsample.train or mend the dataset")
    if not (np.isfinite(vectors).all() and np.isfinite(validation).all()):
        raise TrainError("an embedding is not a finite number; set precision: float32, or take another model")
    center = torch.from_numpy(vectors.mean(axis=0))
    scale = math.sqrt(float(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())) or 1.0
    scaled = (torch.from_numpy(vectors) - center) / scale
    heads: list[Head] = []
    history: list[Moment] = []
    steps, started = 0, time.perf_counter()
    for number, penalty in enumerate(penalties, start=1):
        weights, bias, loss, taken = _fit(scaled, torch.from_numpy(targets).double(), penalty)
        heads.append(Head(center, scale, weights, bias))
        hits = heads[-1].predict(validation).argmax(axis=1) == right
        steps, now = steps + taken, time.perf_counter()
        accuracy = float(hits.mean()) if len(hits) else math.nan
        history.append(Moment(number, steps, loss, accuracy, math.nan, now - started, peak_mb(device)))
        started = now
        if report:
            report(history[-1], penalty)
    accuracies = [moment.validation_accuracy for moment in history]
    best = accuracies.index(max(accuracies)) if len(right) else len(history) // 2
    return Fit(heads[best], penalties[best], history, history[best])


def _fit(vectors: torch.Tensor, targets: torch.Tensor, penalty: float) -> tuple[torch.Tensor, torch.Tensor, float, int]:
    """Minimize the penalized loss; return weights, bias, the mean loss without penalty, and the steps."""
    weights = torch.zeros(vectors.shape[1], targets.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(targets.shape[1], dtype=torch.float64, requires_grad=True)
    # The tolerance is far below what counts as fitted: the last steps cost milliseconds.
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        max_iter=_ITERATIONS,
        tolerance_grad=_STEEP / 30,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        return soft_cross_entropy(vectors @ weights + bias, targets)

    def closure() -> float:
        optimizer.zero_grad()
        value = loss() + penalty / (2 * len(vectors)) * weights.square().sum()
        value.backward()
        return value.item()

    optimizer.step(closure)
    closure()  # the line search may have ended on another place
    slope = max(float(part.grad.abs().max()) for part in (weights, bias) if part.grad is not None)
    if slope > _STEEP:
        _LOG.warning("penalty %g: the head is not fitted after %d steps (slope %.1e)", penalty, _ITERATIONS, slope)
    with torch.no_grad():
        taken = int(optimizer.state[weights]["n_iter"])
        return weights.detach(), bias.detach(), float(loss()), taken
