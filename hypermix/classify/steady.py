"""Gradients whose bits are the same with any number of threads.

Of all that a training step computes here on CPU, torch lets two depend on how many threads there are, in their last
bits: the gradients of a layer norm's weight and bias, which are added up in one part for each thread, and that of a
softmax, which takes another way with one thread than with several. Both are written out here, as sums over whole rows
or columns, which do not depend on it; the norms' are faster so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor) -> torch.Tensor:
        found = torch.softmax(scores, dim=-1)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (found,) = ctx.saved_tensors
        parts: torch.Tensor = gradient * found
        return parts.sub_(found * parts.sum(dim=-1, keepdim=True))


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, epsilon: float
    ) -> torch.Tensor:
        found, mean, scale = torch.native_layer_norm(hidden, weight.shape, weight, bias, epsilon)
        ctx.save_for_backward(hidden, mean, scale, weight, bias)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, mean, scale, weight, bias = ctx.saved_tensors
        back, _, _ = torch.ops.aten.native_layer_norm_backward(
            gradient, hidden, weight.shape, mean, scale, weight, bias, [True, False, False]
        )
        rows = gradient.flatten(0, -2)
        of_weight = ((hidden - mean) * scale).flatten(0, -2).mul_(rows).sum(0)
        return back, of_weight, None if bias is None else rows.sum(0), None


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    scale: float | None,
) -> torch.Tensor:
    """Compute attention as torch's `scaled_dot_product_attention` does where it has no kernel of its own.

    On CPU that is wherever there is dropout.

    Args:
        query: (n_rows, n_heads, n_tokens, head_size), as are `key` and `value`.
        key: See `query`.
        value: See `query`.
        mask: Boolean, true for what is seen; None for all.
        dropout: Share of the weights that are dropped.
        scale: What products are multiplied with; None for one over the root of the head's size.

    Returns:
        (n_rows, n_heads, n_tokens, head_size).
    """
    root = math.sqrt(query.shape[-1] ** -0.5 if scale is None else scale)
    scores = (query * root) @ (key * root).transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights: torch.Tensor = _Softmax.apply(scores)  # type: ignore[no-untyped-call]
    return functional.dropout(weights, dropout) @ value


@contextmanager
def steady_norms(model: nn.Module) -> Iterator[None]:
    """Let the layer norms of a model compute their gradients so, until the context ends; on CPU alone.

    What a norm returns does not change by a bit.
    """
    norms = [
        module
        for module in model.modules()
        if type(module) is nn.LayerNorm and module.elementwise_affine and len(module.normalized_shape) == 1
    ]
    for norm in norms:
        norm.forward = partial(_forward, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _forward(norm: nn.LayerNorm, hidden: torch.Tensor) -> torch.Tensor:
    if hidden.device.type != "cpu" or hidden.dtype != norm.weight.dtype:
        return nn.LayerNorm.forward(norm, hidden)
    found: torch.Tensor = _Norm.apply(hidden, norm.weight, norm.bias, norm.eps)  # type: ignore[no-untyped-call]
    return found
