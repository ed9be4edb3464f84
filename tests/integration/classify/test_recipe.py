from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup

from hypermix.classify.recipe import Recipe, make_optimizer, make_schedule

RECIPE = Recipe(
    learning_rate=1e-3,
    weight_decay=0.0,
    batch_size=8,
    patience=None,
    patience_unit="epochs",
    min_steps=0,
    max_steps=None,
    validate_every=None,
)


def tiny_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def rates(recipe: Recipe, steps: int, make: Callable[[torch.optim.Optimizer], LambdaLR] | None = None) -> list[float]:
    optimizer = make_optimizer(tiny_model(), recipe)
    schedule = make(optimizer) if make else make_schedule(optimizer, recipe, recipe.last_step(1))
    found = []
    for _ in range(steps):
        found.append(float(schedule.get_last_lr()[0]))
        optimizer.step()
        schedule.step()
    return found


# When it ends.


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({}, None),
        ({"epochs": 3}, 21),
        ({"max_steps": 30}, 30),
        ({"epochs": 3, "max_steps": 30}, 21),
        ({"epochs": 9, "max_steps": 30}, 30),
    ],
)
def test_training_ends_at_the_first_of_its_ends(changes: dict[str, Any], last: int | None) -> None:
    assert replace(RECIPE, **changes).last_step(7) == last


@pytest.mark.parametrize(("rows", "steps"), [(1, 1), (8, 1), (9, 2), (16, 2), (17, 3)])
def test_a_pass_has_a_step_for_each_batch(rows: int, steps: int) -> None:
    assert RECIPE.pass_steps(rows) == steps


# The learning rate.


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.99])
@pytest.mark.parametrize("total", [1, 2, 9, 40])
def test_linear_rates_are_those_of_transformers(total: int, warmup: float) -> None:
    recipe = replace(RECIPE, schedule="linear", warmup=warmup, max_steps=total)
    wanted = rates(recipe, total, lambda found: get_linear_schedule_with_warmup(found, int(warmup * total), total))
    assert rates(recipe, total) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_constant_rates_are_those_of_transformers(warmup: float) -> None:
    recipe = replace(RECIPE, warmup=warmup, max_steps=20)
    wanted = rates(recipe, 20, lambda found: get_constant_schedule_with_warmup(found, int(warmup * 20)))
    assert rates(recipe, 20) == pytest.approx(wanted, rel=1e-12)


def test_constant_rate_needs_no_end() -> None:
    assert rates(RECIPE, 50) == [1e-3] * 50


def test_linear_rate_falls_to_zero_after_the_last_step() -> None:
    found = rates(replace(RECIPE, schedule="linear", warmup=0.2, max_steps=10), 10)
    assert found == pytest.approx([0.0, 5e-4, 1e-3, 8.75e-4, 7.5e-4, 6.25e-4, 5e-4, 3.75e-4, 2.5e-4, 1.25e-4])


# The optimizer.


def test_matrices_alone_decay() -> None:
    model = tiny_model()
    before = {name: part.detach().clone() for name, part in model.named_parameters()}
    optimizer = make_optimizer(model, replace(RECIPE, weight_decay=0.5, learning_rate=0.1))
    for part in model.parameters():
        part.grad = torch.zeros_like(part)
    optimizer.step()
    for name, part in model.named_parameters():
        factor = 0.95 if part.dim() > 1 else 1.0
        assert torch.allclose(part, factor * before[name]), name


def test_first_step_is_of_the_learning_rate() -> None:
    # Without the correction of its bias AdamW's first step is (1 - 0.9) / sqrt(1 - 0.999), 3.2 times as long.
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    optimizer = make_optimizer(model, RECIPE)
    for part in model.parameters():
        part.grad = torch.full_like(part, 0.7)
    optimizer.step()
    assert (before - model.weight).detach().numpy() == pytest.approx(1e-3, rel=1e-3)


def test_epsilon_is_given() -> None:
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    optimizer = make_optimizer(model, replace(RECIPE, epsilon=0.7))
    for part in model.parameters():
        part.grad = torch.full_like(part, 0.7)
    optimizer.step()
    assert (before - model.weight).detach().numpy() == pytest.approx(5e-4, rel=1e-3)


def test_every_weight_is_trained() -> None:
    model = tiny_model()
    groups = make_optimizer(model, RECIPE).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
