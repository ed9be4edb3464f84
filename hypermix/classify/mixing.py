"""TMix's mixing of hidden states, for packed and for padded batches (Chen et al. 2020, MixText, section 3.1).

A row and its partner are mixed place by place. Where one of them has no token any more the other is mixed with
nothing, so that the mixed row is as long as the longer of both, whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from hypermix.classify.packing import Packing, pack


@dataclass(frozen=True)
class Mixing:
    """What is mixed with what.

    Attributes:
        layer: After which layer, counted from 1.
        partners: For each row of the batch the place of its partner.
        shares: How much of each row is itself, 0 to 1; the rest is its partner's.
    """

    layer: int
    partners: Sequence[int]
    shares: Sequence[float]


@dataclass(frozen=True)
class Mixed:
    """Where the tokens of mixed rows come from.

    Attributes:
        packing: How mixed rows lie.
        own: For each token of a mixed row the token of the row itself; one after the last if it has none there.
        other: Likewise of its partner.
        longer: Likewise of the longer of both.
        shares: How much of each token is the row's own; (n_tokens, 1) float32.
    """

    packing: Packing
    own: torch.Tensor
    other: torch.Tensor
    longer: torch.Tensor
    shares: torch.Tensor


def plan_mix(packing: Packing, mixing: Mixing) -> Mixed:
    """Find out where the tokens of mixed rows come from.

    Args:
        packing: How the rows lie.
        mixing: What is mixed, with the rows in the order of the packing.
    """
    device = packing.starts.device
    starts, none = packing.starts.tolist(), int(packing.starts[-1])
    lengths = [end - start for start, end in pairwise(starts)]
    wide = [max(lengths[row], lengths[partner]) for row, partner in enumerate(mixing.partners)]

    def tokens(row: int, length: int) -> list[int]:
        there = list(range(starts[row], starts[row] + lengths[row]))[:length]
        return there + [none] * (length - len(there))

    own = [token for row, length in enumerate(wide) for token in tokens(row, length)]
    other = [token for row, length in enumerate(wide) for token in tokens(mixing.partners[row], length)]
    longer = [min(one, two) if none in (one, two) else one for one, two in zip(own, other, strict=True)]
    shares = torch.tensor(mixing.shares, dtype=torch.float32).repeat_interleave(torch.tensor(wide))
    places = [torch.tensor(index, device=device) for index in (own, other, longer)]
    return Mixed(pack(wide, device), places[0], places[1], places[2], shares.to(device)[:, None])


def mix_packed(hidden: torch.Tensor, mixed: Mixed) -> torch.Tensor:
    """Mix hidden states, (n_tokens, width), into those of mixed rows."""
    more = torch.cat([hidden, hidden.new_zeros(1, hidden.shape[1])])
    shares = mixed.shares.to(hidden.dtype)
    return shares * more[mixed.own] + (1 - shares) * more[mixed.other]


def mix_padded(hidden: torch.Tensor, mask: torch.Tensor, mixing: Mixing) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix padded hidden states.

    Args:
        hidden: (n_rows, longest, width).
        mask: (n_rows, longest), 1 for tokens.
        mixing: What is mixed.

    Returns:
        The mixed states and their mask.
    """
    partners = torch.tensor(mixing.partners, device=hidden.device)
    shares = torch.tensor(mixing.shares, dtype=hidden.dtype, device=hidden.device)[:, None, None]
    clean = hidden * mask[:, :, None].to(hidden.dtype)
    return shares * clean + (1 - shares) * clean[partners], torch.maximum(mask, mask[partners])
