"""Packed computation equals padded, for each architecture; TMix equals a slow and obvious one."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedModel

from hypermix.classify.encode import Encoded, encode, pad_rows
from hypermix.classify.mixing import Mixing
from hypermix.classify.model import load_classifier, locate_model
from hypermix.classify.network import Network
from hypermix.errors import TrainError
from tests.integration.classify.architectures import ARCHITECTURES, LAYERS, LENGTHS, PACKED, make_model, make_rows

POSITIONS = [4, 1, 0, 3, 2, 5, 7, 6, 10, 9, 8]
PARTNERS = [1, 0, 3, 2, 5, 4, 7, 8, 9, 10, 6]
SHARES = [0.3, 0.6, 0.9, 0.1, 0.5, 1.0, 0.0, 0.2, 0.7, 0.4, 0.8]


def padded(model: PreTrainedModel, rows: Encoded, positions: list[int]) -> torch.Tensor:
    """Compute as transformers does, with a mask."""
    found: torch.Tensor = model(**pad_rows(rows, positions)).logits
    return found


# Without padding.


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_equal_padded_ones(name: str) -> None:
    model = make_model(name)
    rows = make_rows(model)
    wanted = padded(copy.deepcopy(model), rows, POSITIONS)
    network = Network(model)
    assert network.packed == (name in PACKED)
    assert torch.allclose(network.logits(rows, POSITIONS), wanted, atol=1e-5)
    assert wanted.std(dim=0).max() > 0.01  # rows differ


def test_real_rows_of_a_trained_encoder_have_their_padded_logits() -> None:
    """Sentences from one word to past the longest input, through the weights that a package carries."""
    sentence = "Not since the first one has a sequel, however slow its opening hour, moved its audience so much. "
    words = (sentence * 40).split()
    texts = [" ".join(words[:count]) for count in (1, 2, 640, 7, 19, 3, 90, 33, 260, 5, 1)]
    texts += ["Superbe !", "どうしてこんなに退屈なのか", "🍿🍿🍿", "¿Otra vez? No, gracias."]
    network, tokenizer = load_classifier(locate_model("package:minilm-l6"), 2, seed=1)
    network.model.eval()
    rows = encode(tokenizer, texts, np.zeros((len(texts), 2), np.float32), 512)
    assert (min(map(len, rows.tokens)), max(map(len, rows.tokens)), network.packed) == (3, 512, True)
    order = list(reversed(range(len(texts))))
    with torch.inference_mode():
        found = network.logits(rows, order)
        wanted = padded(network.release(), rows, order)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert wanted.std(dim=0).max() > 0.01


@pytest.mark.parametrize("name", PACKED)
def test_gradients_equal_padded_ones(name: str) -> None:
    model = make_model(name)
    other, rows = copy.deepcopy(model), make_rows(model)
    padded(other, rows, POSITIONS).square().sum().backward()
    Network(model).logits(rows, POSITIONS).square().sum().backward()
    for (path, mine), (_, theirs) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        wanted = torch.zeros_like(theirs) if theirs.grad is None else theirs.grad
        found = torch.zeros_like(mine) if mine.grad is None else mine.grad
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()) + 1e-6), path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_row_does_not_see_its_neighbors(name: str) -> None:
    network = Network(make_model(name))
    rows = make_rows(network.model)
    together = network.logits(rows, POSITIONS)
    for place, position in enumerate(POSITIONS):
        assert torch.allclose(network.logits(rows, [position])[0], together[place], atol=1e-5)


@pytest.mark.parametrize("name", PACKED)
def test_no_token_of_padding_is_computed(name: str) -> None:
    network = Network(make_model(name))
    rows, seen = make_rows(network.model), []
    network.layers[0].register_forward_hook(lambda _, args, __: seen.append(args[0].shape))
    network.logits(rows, POSITIONS)
    assert seen == [(1, sum(LENGTHS), 32)]


@pytest.mark.parametrize("name", ["bert", "roberta", "electra"])
def test_last_layer_computes_what_the_head_reads(name: str) -> None:
    network = Network(make_model(name))
    rows, seen = make_rows(network.model), []
    network.layers[-1].get_submodule("intermediate").register_forward_hook(lambda _, args, __: seen.append(args[0]))
    network.logits(rows, POSITIONS)
    assert seen[0].shape == (1, len(POSITIONS), 32)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_nothing_is_left_hanging_on_a_model(name: str) -> None:
    network = Network(make_model(name))
    rows = make_rows(network.model)
    network.logits(rows, POSITIONS, Mixing(1, PARTNERS, SHARES))
    with pytest.raises(IndexError):
        network.logits(rows, [99])
    hooks = [list(part._forward_hooks) + list(part._forward_pre_hooks) for part in network.model.modules()]
    assert not any(hooks)


def test_released_model_is_that_of_transformers() -> None:
    model = make_model("bert")
    rows = make_rows(model)
    wanted = padded(copy.deepcopy(model), rows, POSITIONS)
    assert torch.allclose(padded(Network(model).release(), rows, POSITIONS), wanted, atol=1e-6)


# TMix.


@contextmanager
def changed(layer: nn.Module, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    def hook(_: nn.Module, __: object, out: object) -> object:
        return change(out) if isinstance(out, torch.Tensor) else (change(out[0]), *out[1:])  # type: ignore[index]

    handle = layer.register_forward_hook(hook)
    yield
    handle.remove()


def mixed_slowly(model: PreTrainedModel, rows: Encoded, one: int, other: int, layer: int, share: float) -> torch.Tensor:
    """Mix two rows, alone in their batch: the longer goes through the model, and both are mixed on its way.

    The states of each are taken from a pass of its own, without the other, so that nothing is padded before.
    """
    layers = next(part for part in model.base_model.modules() if isinstance(part, nn.ModuleList))
    states = []
    for position in (one, other):
        with changed(layers[layer - 1], lambda out: states.append(out) or out):  # type: ignore[func-returns-value]
            padded(model, rows, [position])
    longest = max(len(rows.tokens[one]), len(rows.tokens[other]))
    wide = [nn.functional.pad(state, (0, 0, 0, longest - state.shape[1])) for state in states]
    blend = share * wide[0] + (1 - share) * wide[1]
    longer = max(one, other, key=lambda position: len(rows.tokens[position]))
    with changed(layers[layer - 1], lambda _: blend):
        return padded(model, rows, [longer])[0]


@pytest.mark.parametrize("layer", range(1, LAYERS + 1))
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_mixing_equals_a_slow_one(name: str, layer: int) -> None:
    model = make_model(name)
    rows = make_rows(model)
    slow = [
        mixed_slowly(copy.deepcopy(model), rows, POSITIONS[place], POSITIONS[partner], layer, share)
        for place, (partner, share) in enumerate(zip(PARTNERS, SHARES, strict=True))
    ]
    found = Network(model).logits(rows, POSITIONS, Mixing(layer, PARTNERS, SHARES))
    assert torch.allclose(found, torch.stack(slow), atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_layer_mixes_otherwise(name: str) -> None:
    network = Network(make_model(name))
    rows = make_rows(network.model)
    found = [network.logits(rows, POSITIONS, Mixing(layer, PARTNERS, SHARES)) for layer in range(1, LAYERS + 1)]
    for one, other in itertools.combinations(found, 2):
        assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("share", "kept"), [(1.0, list(range(len(POSITIONS)))), (0.0, PARTNERS)])
def test_whole_shares_of_equal_lengths_are_one_row(name: str, share: float, kept: list[int]) -> None:
    network = Network(make_model(name))
    rows = make_rows(network.model, (7,) * len(LENGTHS))
    found = network.logits(rows, POSITIONS, Mixing(2, PARTNERS, [share] * len(POSITIONS)))
    assert torch.allclose(found, network.logits(rows, POSITIONS)[kept], atol=1e-5)


@pytest.mark.parametrize("layer", [0, LAYERS + 1])
@pytest.mark.parametrize("name", ["bert", "deberta-v3"])
def test_layer_that_is_not_there_is_told(name: str, layer: int) -> None:
    network = Network(make_model(name))
    with pytest.raises(TrainError, match=f"from 1 to 3 of this model, not after {layer}"):
        network.logits(make_rows(network.model), [0, 1], Mixing(layer, [1, 0], [0.5, 0.5]))


def test_unknown_architecture_is_padded_and_not_mixed() -> None:
    sizes = {"vocab_size": 200, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80, "num_labels": 3}
    model = GPT2ForSequenceClassification(GPT2Config(**sizes, pad_token_id=0)).eval()
    rows = make_rows(model)
    wanted = padded(copy.deepcopy(model), rows, POSITIONS)
    network = Network(model)
    assert torch.equal(network.logits(rows, POSITIONS), wanted)
    with pytest.raises(TrainError, match="not of gpt2; take another model or method"):
        network.logits(rows, [0, 1], Mixing(1, [1, 0], [0.5, 0.5]))
