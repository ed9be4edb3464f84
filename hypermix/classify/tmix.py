"""TMix: what is mixed with what in each batch, and the targets of mixed rows (Chen et al. 2020, section 3.1).

The hidden states are mixed by `hypermix.classify.mixing`. A mixed row is a share of itself and the rest of its partner,
and so is its target: the reference's code gives both the same factor, so that its targets are always halves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from hypermix.classify.mixing import Mixing
from hypermix.seeding import child_generator


@dataclass(frozen=True)
class Mixer:
    """Draws what TMix mixes, from generators of its own: nothing else depends on how much it draws.

    Attributes:
        alpha: Shares are drawn from Beta(alpha, alpha).
        layers: After one of which a batch is mixed, counted from 1.
        share_of: What a share is drawn for.
        larger: Whether a row's own part is the larger of the share and its complement.
        seed: The trial seed.
    """

    alpha: float
    layers: Sequence[int]
    share_of: Literal["row", "batch"]
    larger: bool
    seed: int

    def draw(self, step: int, n_rows: int) -> Mixing:
        """Draw what is mixed in one step.

        Args:
            step: The step, from 1.
            n_rows: Rows of its batch.

        Returns:
            A layer for the batch, and for each row its partner (a permutation of the batch) and its own share.
        """
        generator = child_generator(self.seed, ("mix", step))
        layer = self.layers[generator.randrange(len(self.layers))]
        partners = list(range(n_rows))
        generator.shuffle(partners)
        count = n_rows if self.share_of == "row" else 1
        drawn = [generator.betavariate(self.alpha, self.alpha) for _ in range(count)]
        shares = [max(share, 1 - share) if self.larger else share for share in drawn]
        return Mixing(layer, partners, shares if self.share_of == "row" else shares * n_rows)


def scale_layers(layers: Sequence[int], layers_of: int, n_layers: int) -> list[int]:
    """Turn layers of a model of one depth into those of a model of another.

    Args:
        layers: Counted from 1.
        layers_of: Layers of the model that they are meant for.
        n_layers: Layers of the model at hand.

    Returns:
        As many layers, from 1 to `n_layers`; 7, 9 and 12 of 12 are 4, 5 and 6 of 6.
    """
    return [math.ceil(layer * n_layers / layers_of) for layer in layers]


def mix_targets(targets: torch.Tensor, mixing: Mixing) -> torch.Tensor:
    """Mix targets as the hidden states are mixed.

    Args:
        targets: (n_rows, n_labels).
        mixing: What is mixed.
    """
    shares = torch.tensor(mixing.shares, dtype=targets.dtype, device=targets.device)[:, None]
    return shares * targets + (1 - shares) * targets[torch.tensor(mixing.partners, device=targets.device)]
