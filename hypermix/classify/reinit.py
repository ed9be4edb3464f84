"""Fresh weights for the top of an encoder (Zhang et al. 2021: re-initialization of the pooler and the top layers)."""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers import PreTrainedModel

from hypermix.classify.network import Network
from hypermix.errors import TrainError
from hypermix.seeding import child_seed


def scale_count(count: int, count_of: int | None, n_layers: int) -> int:
    """Turn a number of layers of a model of one depth into that of a model of another, up to whole layers.

    Args:
        count: How many layers.
        count_of: Layers of the model that `count` is meant for; None for the model at hand.
        n_layers: Layers of the model at hand.

    Raises:
        TrainError: If the model has fewer layers.
    """
    scaled = count if count_of is None else math.ceil(count * n_layers / count_of)
    if scaled > n_layers:
        raise TrainError(f"reinit_layers is {count}, and the model has {n_layers} layers; lower it")
    return scaled


def reinit_top(network: Network, count: int, seed: int) -> None:
    """Draw the weights of the top layers and of the pooler anew, as the model's own class initializes them.

    Args:
        network: The model, changed in place.
        count: How many layers; with 0 nothing is drawn, and the pooler stays as well.
        seed: The trial seed.
    """
    if not count:
        return
    model = network.model
    pooler = getattr(model.base_model, "pooler", None)
    parts = [*network.layers[-count:], *([] if pooler is None else [pooler])]
    # transformers draws from torch's global state; what dropout draws must not depend on it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(child_seed(seed, ("reinit",)))
        for module in (module for part in parts for module in part.modules()):
            _unmark(module)
            model._init_weights(module)


def reinit_head(model: PreTrainedModel, seed: int) -> None:
    """Draw all weights that are not of the encoder anew, as if its files had held no head.

    Args:
        model: The classifier, changed in place.
        seed: The trial seed.
    """
    encoder = {id(module) for module in model.base_model.modules()}
    for module in model.modules():
        if id(module) not in encoder:
            _unmark(module)
    torch.manual_seed(child_seed(seed, ("head",)))
    # The library's own order: a class may draw the weights of a part after the part itself did.
    model.initialize_weights()


def _unmark(module: nn.Module) -> None:
    """Take away the marks of transformers on what came from a file, which it would leave alone."""
    for marked in (module, *module.parameters(recurse=False), *module.buffers(recurse=False)):
        marked.__dict__.pop("_is_hf_initialized", None)
