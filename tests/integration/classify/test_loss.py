from __future__ import annotations

import math

import pytest
import torch

from hypermix.classify.loss import soft_cross_entropy

LOGITS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])


def test_hard_labels_give_usual_loss() -> None:
    labels = torch.tensor([2, 0])
    targets = torch.nn.functional.one_hot(labels, 3).float()
    assert torch.allclose(soft_cross_entropy(LOGITS, targets), torch.nn.functional.cross_entropy(LOGITS, labels))


def test_soft_labels_give_the_formula() -> None:
    targets = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]])
    rows = []
    for logits, shares in zip(LOGITS.tolist(), targets.tolist(), strict=True):
        total = sum(math.exp(logit) for logit in logits)
        rows.append(-sum(share * math.log(math.exp(z) / total) for z, share in zip(logits, shares, strict=True)))
    assert soft_cross_entropy(LOGITS, targets).item() == pytest.approx(sum(rows) / 2, rel=1e-6)


def test_soft_labels_equal_those_of_torch() -> None:
    targets = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]])
    assert torch.allclose(soft_cross_entropy(LOGITS, targets), torch.nn.functional.cross_entropy(LOGITS, targets))


def test_loss_is_lowest_at_the_target() -> None:
    targets = torch.tensor([[0.2, 0.3, 0.5]])
    entropy = -(targets * targets.log()).sum().item()
    assert soft_cross_entropy(targets.log(), targets).item() == pytest.approx(entropy, rel=1e-6)
    assert soft_cross_entropy(LOGITS[:1], targets).item() > entropy


def test_gradient_is_prediction_minus_target() -> None:
    targets = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]])
    logits = LOGITS.clone().requires_grad_()
    soft_cross_entropy(logits, targets).backward()
    assert logits.grad is not None
    assert torch.allclose(logits.grad, (LOGITS.softmax(dim=-1) - targets) / 2, atol=1e-6)


def test_large_logits_stay_finite() -> None:
    loss = soft_cross_entropy(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.5, 0.5]]))
    assert loss.item() == pytest.approx(1e4)
