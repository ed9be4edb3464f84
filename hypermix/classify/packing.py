"""Rows laid end to end, and attention that stays inside each: no token of padding is computed.

All layers but attention treat tokens alone, so they take the tokens of a batch as one long row. Attention takes rows
of like length together, padded to the longest of their block, which costs little there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface

from hypermix.classify.steady import attend

ATTENTION = "hypermix_packed"
"""The name of this attention in a model's config."""

_WASTE = 0.25
"""Share of a block that may be padding: attention is a small part of the work, and each block is a call."""

_HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Block:
    """Neighboring rows whose attention is computed in one call.

    Attributes:
        start: The first token of the block in the batch.
        end: The token after its last.
        rows: How many rows.
        longest: Tokens of its longest row.
        spread: For each place of (rows, longest) the token of the block that stands there, or any for padding; None if
            all rows are equally long.
        places: For each token of the block its place; None likewise.
        mask: (rows, 1, 1, longest) bool, true for tokens; None likewise.
    """

    start: int
    end: int
    rows: int
    longest: int
    spread: torch.Tensor | None = None
    places: torch.Tensor | None = None
    mask: torch.Tensor | None = None


@dataclass(frozen=True)
class Packing:
    """How rows lie in a batch.

    Attributes:
        starts: The first token of each row, and the number of tokens at the end; (n_rows + 1,) int64.
        positions: The place of each token in its row, from 0; (n_tokens,) int64.
        longest: Tokens of the longest row.
        blocks: The blocks, in the order of the rows.
    """

    starts: torch.Tensor
    positions: torch.Tensor
    longest: int
    blocks: tuple[Block, ...]


@dataclass
class Layout:
    """How rows lie now; TMix changes it between two layers.

    Attributes:
        packing: How they lie.
    """

    packing: Packing


def pack(lengths: Sequence[int], device: torch.device) -> Packing:
    """Lay rows end to end.

    Args:
        lengths: Tokens of each row, at least one; rows of like length should be neighbors.
        device: Where the batch is computed.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    blocks = tuple(_block(starts, first, last, device) for first, last in _groups(sizes))
    first, second = (torch.from_numpy(array).to(device) for array in (starts, positions))
    return Packing(first, second, int(sizes.max()), blocks)


def _groups(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Group neighbors, as many as keep padding under its share; yield the first row and the one after the last."""
    first = tokens = longest = 0
    for row, size in enumerate(sizes.tolist()):
        wider = max(longest, size)
        if tokens + size < (1 - _WASTE) * wider * (row + 1 - first):
            yield first, row
            first, tokens, wider = row, 0, size
        tokens, longest = tokens + size, wider
    yield first, len(sizes)


def _block(starts: NDArray[np.int64], first: int, last: int, device: torch.device) -> Block:
    begin, sizes = starts[first], np.diff(starts[first : last + 1])
    longest = int(sizes.max())
    edges = (int(begin), int(starts[last]), last - first, longest)
    if int(sizes.min()) == longest:
        return Block(*edges)
    there = np.arange(longest) < sizes[:, None]
    spread = np.where(there, starts[first:last, None] - begin + np.arange(longest), 0)
    arrays = (spread.reshape(-1), np.flatnonzero(there), there[:, None, None, :])
    return Block(*edges, *(torch.from_numpy(array).to(device) for array in arrays))


def _attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    *,
    layout: Layout,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Compute attention inside each row; transformers calls it for each layer.

    Args:
        _module: The layer.
        query: (1, n_heads, n_tokens, head_size), as are `key` and `value`.
        key: See `query`.
        value: See `query`.
        _mask: None; attention stays inside rows by their layout.
        layout: How the rows lie.
        scaling: What products are multiplied with.
        dropout: Share of the weights that are dropped.
        sliding_window: How many tokens to each side are seen, plus one; None for the whole row.

    Returns:
        (1, n_tokens, n_heads, head_size), and no weights.
    """
    packing = layout.packing
    tokens = [part[0].transpose(0, 1) for part in (query, key, value)]
    if query.is_cuda and not dropout and query.dtype in _HALVES:
        return _flash(tokens, packing, scaling, sliding_window)[None], None
    parts = []
    for block in packing.blocks:
        queries, keys, values = (_spread(part[block.start : block.end], block) for part in tokens)
        mask = _near(block, sliding_window, query.device)
        if dropout and not query.is_cuda:
            found = attend(queries, keys, values, mask, dropout, scaling)
        else:
            found = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, dropout_p=dropout, scale=scaling
            )
        flat = found.transpose(1, 2).reshape(-1, *tokens[0].shape[1:])
        parts.append(flat if block.places is None else flat.index_select(0, block.places))
    return torch.cat(parts)[None], None


def _flash(
    tokens: list[torch.Tensor], packing: Packing, scaling: float | None, sliding_window: int | None
) -> torch.Tensor:
    """Take torch's flash attention of variable length, which has no dropout and half precision alone."""
    starts = packing.starts.to(torch.int32)
    window = (-1, -1) if sliding_window is None else (sliding_window - 1, sliding_window - 1)
    query, key, value = (part.contiguous() for part in tokens)
    longest = packing.longest
    found = varlen_attn(query, key, value, starts, starts, longest, longest, scale=scaling, window_size=window)
    return cast(torch.Tensor, found)  # a pair only where more is asked for


def _spread(tokens: torch.Tensor, block: Block) -> torch.Tensor:
    """Turn (n_tokens, n_heads, head_size) into (rows, n_heads, longest, head_size)."""
    if block.spread is not None:
        tokens = tokens.index_select(0, block.spread)
    return tokens.reshape(block.rows, block.longest, *tokens.shape[1:]).transpose(1, 2)


def _near(block: Block, sliding_window: int | None, device: torch.device) -> torch.Tensor | None:
    if sliding_window is None or block.longest <= sliding_window:
        return block.mask
    places = torch.arange(block.longest, device=device)
    near = (places[:, None] - places[None, :]).abs() < sliding_window
    return near if block.mask is None else near & block.mask


def _no_mask(*_: Any, **__: Any) -> None:
    """Make no mask: attention stays inside rows by itself."""


AttentionInterface.register(ATTENTION, _attend)
AttentionMaskInterface.register(ATTENTION, _no_mask)
