from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional

from hypermix.classify.steady import attend, steady_norms
from tests.integration.classify.architectures import ARCHITECTURES, PACKED, make_model

SHAPES = [(7, 16), (1, 40, 16), (2, 3, 5, 16), (1, 16)]


def norm(bias: bool = True) -> nn.LayerNorm:
    torch.manual_seed(0)
    made = nn.LayerNorm(16, bias=bias, eps=1e-5)
    with torch.no_grad():
        for part in made.parameters():
            part.copy_(torch.randn(16))
    return made


def gradients(made: nn.LayerNorm, shape: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(shape, generator=generator, dtype=made.weight.dtype).requires_grad_()
    made.zero_grad()
    found = made(hidden)
    found.backward(torch.randn(shape, generator=generator, dtype=made.weight.dtype))
    return [found.detach(), *(part.grad for part in (hidden, *made.parameters()) if part.grad is not None)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    made = norm(bias)
    wanted = gradients(made, shape)
    with steady_norms(made):
        found = gradients(made, shape)
    assert len(found) == len(wanted) == (4 if bias else 3)
    assert torch.equal(found[0], wanted[0])
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_finite_differences(bias: bool) -> None:
    made = norm(bias).double()
    with steady_norms(made):
        hidden = torch.randn(3, 16, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(lambda *_: made(hidden), (hidden, *made.parameters()))


@contextmanager
def with_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def affine_gradients(made: nn.LayerNorm, threads: int) -> list[torch.Tensor]:
    hidden = torch.randn(1500, 384, generator=torch.Generator().manual_seed(2))
    made.zero_grad()
    with with_threads(threads):
        made(hidden).square().sum().backward()
    return [part.grad.clone() for part in made.parameters() if part.grad is not None]


def test_norms_have_the_same_gradients_with_any_number_of_threads() -> None:
    made = nn.LayerNorm(384)
    plain = [affine_gradients(made, threads) for threads in (1, 4)]
    with steady_norms(made):
        found = [affine_gradients(made, threads) for threads in (1, 2, 4)]
    assert all(torch.equal(*pair) for other in found[1:] for pair in zip(found[0], other, strict=True))
    # What this is for: if torch mends it one day, it can go.
    assert not any(torch.equal(*pair) for pair in zip(*plain, strict=True))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_norms_of_each_architecture_are_found_and_given_back(name: str) -> None:
    model = make_model(name)
    norms = [part for part in model.modules() if "LayerNorm" in type(part).__name__]
    assert norms
    with steady_norms(model):
        assert all("forward" in vars(part) for part in norms)
    assert not any("forward" in vars(part) for part in norms)


def test_norms_are_given_back_after_an_error() -> None:
    made = norm()
    with pytest.raises(ValueError, match="wrong"), steady_norms(made):
        raise ValueError("wrong")
    assert "forward" not in vars(made)


def test_another_precision_is_left_to_torch() -> None:
    made = norm()
    with steady_norms(made), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(made(torch.randn(3, 16, dtype=torch.bfloat16))).all()


# Attention.


def attended(threads: int, own: bool, masked: bool, dropout: float, scale: float | None) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    query, key, value, back = (torch.randn(4, 12, 29, 32, generator=generator) for _ in range(4))
    inputs = [part.requires_grad_() for part in (query, key, value)]
    mask = (torch.arange(29) < torch.tensor([29, 11, 20, 1])[:, None])[:, None, None, :] if masked else None
    torch.manual_seed(4)
    with with_threads(threads):
        if own:
            found = attend(query, key, value, mask, dropout, scale)
        else:
            found = functional.scaled_dot_product_attention(*inputs, attn_mask=mask, dropout_p=dropout, scale=scale)
        return [found.detach(), *torch.autograd.grad(found, inputs, back)]


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("masked", [True, False])
def test_attention_is_that_of_torch(masked: bool, dropout: float, scale: float | None) -> None:
    found, wanted = (attended(1, own, masked, dropout, scale) for own in (True, False))
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("masked", [True, False])
def test_attention_has_the_same_gradients_with_any_number_of_threads(masked: bool) -> None:
    found = [attended(threads, own=True, masked=masked, dropout=0.1, scale=None) for threads in (1, 2, 4)]
    assert all(torch.equal(*pair) for other in found[1:] for pair in zip(found[0], other, strict=True))


# A whole run, in a process of its own: what keeps MKL to one order of sums is read before its first product.

RUN = """
import sys
import numpy as np
import torch
from hypermix.classify import threads as cpu
from hypermix.classify.encode import encode
from hypermix.classify.finetune import finetune, predict
from hypermix.classify.model import load_classifier, locate_model
from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe
from hypermix.classify.tmix import Mixer
from hypermix.hashing import digest
from tests.integration.classify.architectures import make_model, make_rows

recipe = Recipe(1e-4, 0.01, 10, None, "epochs", 0, 1, 1, keep="last", clip=1.0)

def load(name):
    if name != "minilm":
        network = Network(make_model(name, width=256))
        return network, make_rows(network.model)
    network, tokenizer = load_classifier(locate_model("package:minilm-l6"), 2, 1)
    texts = ["a warm film " * length for length in (1, 9, 2, 13, 5, 4, 3, 11, 7, 6)]
    return network, encode(tokenizer, texts, np.eye(2, dtype=np.float32)[[0, 1] * 5], 64)

for name in sys.argv[1:]:
    for mixer in (None, Mixer(0.75, (1, 2, 3), "row", False, 1)):
        for threads in (1, 2, 4):
            cpu.limit(threads)
            network, rows = load(name)
            loss = finetune(network, rows, rows, recipe, 1, mixer=mixer)[-1].train_loss
            print(digest([loss, predict(network, rows).tolist()]))
"""


def test_predictions_have_the_same_bits_with_any_number_of_threads() -> None:
    # More threads than cores spin for a long time while they wait, unless they are told to sleep.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": os.pathsep.join(sys.path)}
    names = ["minilm", *PACKED]
    command = [sys.executable, "-c", RUN, *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert len(found) == 6 * len(names)
    for place, name in enumerate(names):
        plain, mixed = found[6 * place : 6 * place + 3], found[6 * place + 3 : 6 * place + 6]
        assert (len(set(plain)), len(set(mixed))) == (1, 1), name
        assert plain[0] != mixed[0]
