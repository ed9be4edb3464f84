"""TMix: what is drawn, and the loss of a whole training step against a slow and obvious one."""

from __future__ import annotations

import copy
import statistics
from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from hypermix.classify.encode import Encoded
from hypermix.classify.finetune import finetune
from hypermix.classify.mixing import Mixing
from hypermix.classify.network import Network
from hypermix.classify.tmix import Mixer, mix_targets, scale_layers
from hypermix.seeding import child_generator
from tests.integration.classify.architectures import LENGTHS, make_model, make_rows
from tests.integration.classify.test_network import mixed_slowly
from tests.integration.classify.test_recipe import RECIPE

PAPER = Mixer(alpha=0.75, layers=(7, 9, 12), share_of="row", larger=False, seed=3)
MIXTEXT = replace(PAPER, alpha=16.0, share_of="batch", larger=True)
STEPS = range(1, 301)


# What is drawn.


def test_partners_are_a_permutation_of_the_batch() -> None:
    assert all(sorted(PAPER.draw(step, 8).partners) == list(range(8)) for step in STEPS)
    assert len({tuple(PAPER.draw(step, 8).partners) for step in STEPS}) > 250


def test_each_layer_is_drawn_as_often() -> None:
    drawn = [PAPER.draw(step, 2).layer for step in STEPS]
    assert {layer: 70 < drawn.count(layer) < 130 for layer in (7, 9, 12)} == {7: True, 9: True, 12: True}


def test_the_paper_draws_a_share_for_each_row() -> None:
    shares = [share for step in STEPS for share in PAPER.draw(step, 8).shares]
    assert len(set(shares)) == len(shares)
    assert statistics.mean(shares) == pytest.approx(0.5, abs=0.02)
    # Beta(a, a) has the variance 1 / (4 (2 a + 1)).
    assert statistics.variance(shares) == pytest.approx(1 / (4 * 2.5), rel=0.05)
    assert min(shares) < 0.01
    assert max(shares) > 0.99


def test_mixtext_draws_one_share_a_batch_and_takes_the_larger() -> None:
    drawn = [MIXTEXT.draw(step, 8).shares for step in STEPS]
    assert all(len(set(shares)) == 1 and len(shares) == 8 for shares in drawn)
    shares = [shares[0] for shares in drawn]
    assert min(shares) >= 0.5
    assert len(set(shares)) == len(shares)
    assert statistics.mean(shares) == pytest.approx(0.57, abs=0.02)  # near a half: alpha is large


def test_step_and_seed_decide_the_draw() -> None:
    assert PAPER.draw(5, 8) == PAPER.draw(5, 8)
    assert PAPER.draw(5, 8) != PAPER.draw(6, 8)
    assert PAPER.draw(5, 8) != replace(PAPER, seed=4).draw(5, 8)
    assert PAPER.draw(5, 8).layer == PAPER.draw(5, 3).layer  # a short batch shifts nothing before it


def test_drawing_leaves_torch_alone() -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    PAPER.draw(1, 100)
    assert torch.equal(torch.rand(3), wanted)


def test_one_row_is_mixed_with_itself() -> None:
    assert list(PAPER.draw(1, 1).partners) == [0]


@pytest.mark.parametrize(
    ("layers", "layers_of", "n_layers", "wanted"),
    [
        ((7, 9, 12), 12, 12, [7, 9, 12]),
        ((7, 9, 12), 12, 6, [4, 5, 6]),
        ((7, 9, 12), 12, 24, [14, 18, 24]),
        ((7, 9, 12), 12, 3, [2, 3, 3]),
        ((7, 9, 12), 12, 1, [1, 1, 1]),
        ((2, 6), 6, 6, [2, 6]),
    ],
)
def test_layers_are_scaled(layers: tuple[int, ...], layers_of: int, n_layers: int, wanted: list[int]) -> None:
    assert scale_layers(layers, layers_of, n_layers) == wanted


# Targets.


def test_targets_are_mixed_with_the_share_and_its_complement() -> None:
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    found = mix_targets(targets, Mixing(1, [1, 2, 0], [0.9, 0.4, 0.5]))
    assert torch.allclose(found, torch.tensor([[0.9, 0.1], [0.18, 0.82], [0.65, 0.35]]))


def test_a_weight_is_mixed_with_its_row() -> None:
    targets = torch.tensor([[1.0, 0.0], [0.0, 0.2]])
    found = mix_targets(targets, Mixing(1, [1, 0], [0.75, 1.0]))
    assert torch.allclose(found, torch.tensor([[0.75, 0.05], [0.0, 0.2]]))


# A whole step.


def without_dropout(model: PreTrainedModel) -> PreTrainedModel:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def slow_loss(model: PreTrainedModel, rows: Encoded, positions: list[int], mixing: Mixing, defect: bool) -> float:
    """Compute the loss of a step row by row; with `defect` both targets get one share, as in the reference."""
    losses = []
    for place, (partner, share) in enumerate(zip(mixing.partners, mixing.shares, strict=True)):
        one, other = positions[place], positions[partner]
        logits = mixed_slowly(copy.deepcopy(model), rows, one, other, mixing.layer, share)
        pairs = zip(rows.targets[one], rows.targets[other], strict=True)
        target = [share * a + (share if defect else 1 - share) * b for a, b in pairs]
        total = sum(target) if defect else 1.0
        chances = torch.log_softmax(logits, dim=-1).tolist()
        losses.append(-sum(part / total * chance for part, chance in zip(target, chances, strict=True)))
    return statistics.fmean(losses)


@pytest.mark.parametrize("name", ["bert", "deberta-v3"])
def test_loss_of_a_step_equals_a_slow_one(name: str) -> None:
    model = without_dropout(make_model(name))
    rows = make_rows(model)
    mixer = Mixer(alpha=0.75, layers=(1, 2, 3), share_of="row", larger=False, seed=9)
    positions = list(range(len(LENGTHS)))
    child_generator(9, ("order", 1)).shuffle(positions)
    wanted, wrong = (
        slow_loss(model, rows, positions, mixer.draw(1, len(positions)), defect) for defect in (False, True)
    )
    recipe = replace(RECIPE, batch_size=len(LENGTHS), max_steps=1)
    (moment,) = finetune(Network(model), rows, rows, recipe, 9, mixer=mixer)
    assert moment.train_loss == pytest.approx(wanted, abs=1e-4)
    assert abs(wrong - wanted) > 5e-3


def test_mixing_shifts_no_order() -> None:
    # A share of 1 mixes nothing, so that what is left is what a run without TMix draws.
    class Whole(Mixer):
        def draw(self, step: int, n_rows: int) -> Mixing:
            return replace(super().draw(step, n_rows), shares=[1.0] * n_rows, partners=list(range(n_rows)))

    losses = []
    for mixer in (None, Whole(alpha=0.75, layers=(3,), share_of="row", larger=False, seed=9)):
        network = Network(make_model("modernbert"))  # which has no dropout
        rows = make_rows(network.model, (7,) * 11)
        history = finetune(network, rows, rows, replace(RECIPE, batch_size=4, max_steps=3), 9, mixer=mixer)
        losses.append(history[-1].train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
