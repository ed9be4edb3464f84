"""The loss of soft labels."""

from __future__ import annotations

import torch


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of soft labels (Yoo et al. 2021, section 3.3).

    Args:
        logits: (n_rows, n_labels).
        targets: (n_rows, n_labels) probabilities; one-hot rows give the usual cross-entropy. A row may add up to its
            weight instead of 1.

    Returns:
        A scalar, in nats.
    """
    return -(targets * torch.log_softmax(logits, dim=-1)).sum(dim=-1).mean()
