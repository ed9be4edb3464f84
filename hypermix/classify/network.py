"""A classifier that takes rows of tokens as they are: packed where its architecture allows, else padded.

The modules of transformers do all the work. Hooks on them hand the rows of a packed batch over to the head, which
wants a row a line, and mix hidden states for TMix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from hypermix.classify.encode import Encoded, pad_rows
from hypermix.classify.mixing import Mixed, Mixing, mix_packed, mix_padded, plan_mix
from hypermix.classify.packing import ATTENTION, Layout, pack
from hypermix.errors import TrainError

PACKED = ("bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta")
"""Architectures whose layers take each token alone, but for attention, which transformers lets us choose."""

_PADDED_MIXES = ("deberta", "deberta-v2")
"""Architectures with an attention of their own whose hidden states can be mixed."""

_SPLIT = ("bert", "camembert", "electra", "roberta", "xlm-roberta")
"""Architectures with a module each for attention and for what adds it to its input."""


@dataclass
class _Pass(Layout):
    """One batch on its way through the layers.

    Attributes:
        short: Whether the last layer leaves the first token of each row alone.
    """

    short: bool = False


class Network:
    """A model with a classification head.

    Attributes:
        model: The model of transformers; the head's logits are those of its labels.
        packed: Whether its batches are packed.
        layers: Its layers.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.packed = model.config.model_type in PACKED
        self.layers = next(part for part in model.base_model.modules() if isinstance(part, nn.ModuleList))
        if self.packed:
            self._attention = model.config._attn_implementation
            model.set_attn_implementation(ATTENTION)
            table = model.base_model.embeddings
            # RoBERTa and its kin count positions from the token after that of padding.
            counted = hasattr(table, "create_position_ids_from_input_ids")
            self._first_position = table.padding_idx + 1 if counted else 0
            self._mean = getattr(model.config, "classifier_pooling", "cls") == "mean"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        found: torch.device = self.model.device
        return found

    def logits(self, rows: Encoded, positions: Sequence[int], mixing: Mixing | None = None) -> torch.Tensor:
        """Return the logits of some rows.

        Args:
            rows: All rows.
            positions: Which of them are the batch.
            mixing: What TMix mixes in this batch; None for nothing.

        Returns:
            (n_positions, n_labels), in the order of the positions.

        Raises:
            TrainError: If hidden states of this architecture cannot be mixed.
        """
        if not self.packed:
            return self._padded(rows, positions, mixing)
        # Neighbors of like length share a block of attention; with mixing the mixed length counts.
        sizes = [len(rows.tokens[position]) for position in positions]
        wide = [max(size, sizes[mixing.partners[place]]) if mixing else size for place, size in enumerate(sizes)]
        order = sorted(range(len(positions)), key=lambda place: (wide[place], sizes[place]))
        tokens = [rows.tokens[positions[place]] for place in order]
        way = _Pass(pack([sizes[place] for place in order], self.device))
        ids = torch.tensor([token for row in tokens for token in row], device=self.device)
        with ExitStack() as hooks:
            self._hook(hooks, way, None if mixing is None else _reordered(mixing, order))
            places = way.packing.positions[None] + self._first_position
            found: torch.Tensor = self.model(input_ids=ids[None], position_ids=places, layout=way).logits
        back = torch.empty(len(order), dtype=torch.long)
        back[order] = torch.arange(len(order))
        return found[back.to(self.device)]

    def release(self) -> PreTrainedModel:
        """Give the model back as it was, for saving and for others."""
        if self.packed:
            self.model.set_attn_implementation(self._attention)
        return self.model

    def _hook(self, hooks: ExitStack, way: _Pass, mixing: Mixing | None) -> None:
        """Hang what this batch needs on the model, until the stack ends."""
        base = self.model.base_model
        if mixing is None:
            if self.model.config.model_type in _SPLIT:
                self._shorten(hooks, way)
        else:
            _check_layer(mixing, len(self.layers))
            mixed = plan_mix(way.packing, mixing)
            hooks.enter_context(_after(self.layers[mixing.layer - 1], lambda out: _mix(way, mixed, out)))
            for layer in self.layers[mixing.layer :]:
                hooks.enter_context(_before(layer, lambda args, told: (args, _follow(mixed, told))))
        hooks.enter_context(_after(base, lambda out: self._hand_over(way, out)))

    def _shorten(self, hooks: ExitStack, way: _Pass) -> None:
        """Let the last layer compute the first token of each row alone: the head reads no other."""
        attention, first = self.layers[-1].get_submodule("attention"), way.packing.starts[:-1]
        way.short = True
        hooks.enter_context(_after(attention.get_submodule("self"), lambda out: (out[0][:, first], *out[1:])))
        output = attention.get_submodule("output")
        hooks.enter_context(_before(output, lambda args, told: ((args[0], args[1][:, first]), told)))

    def _hand_over(self, way: _Pass, out: ModelOutput) -> ModelOutput:
        """Give the head a line for each row: its first token, or the mean of all."""
        hidden = out[0][0]
        if not way.short:
            starts = way.packing.starts
            hidden = torch.segment_reduce(hidden, "mean", lengths=starts.diff()) if self._mean else hidden[starts[:-1]]
        out["last_hidden_state"] = hidden[:, None]
        pooler = getattr(self.model.base_model, "pooler", None)
        if pooler is not None:
            out["pooler_output"] = pooler(hidden[:, None])
        return out

    def _padded(self, rows: Encoded, positions: Sequence[int], mixing: Mixing | None) -> torch.Tensor:
        batch = {name: part.to(self.device) for name, part in pad_rows(rows, positions).items()}
        with ExitStack() as hooks:
            if mixing is not None:
                self._hook_padded(hooks, batch["attention_mask"], mixing)
            found: torch.Tensor = self.model(**batch).logits
            return found

    def _hook_padded(self, hooks: ExitStack, mask: torch.Tensor, mixing: Mixing) -> None:
        kind = self.model.config.model_type
        if kind not in _PADDED_MIXES:
            known = ", ".join((*PACKED, *_PADDED_MIXES))
            raise TrainError(f"tmix mixes hidden states of {known}, and not of {kind}; take another model or method")
        _check_layer(mixing, len(self.layers))
        wide = torch.maximum(mask, mask[torch.tensor(mixing.partners, device=mask.device)])
        square = wide[:, None, None, :] * wide[:, None, :, None]

        def mix(out: Any) -> Any:
            hidden, _ = mix_padded(out[0], mask, mixing)
            return (hidden, *out[1:])

        hooks.enter_context(_after(self.layers[mixing.layer - 1], mix))
        for layer in self.layers[mixing.layer :]:
            hooks.enter_context(_before(layer, lambda args, told: ((args[0], square, *args[2:]), told)))


def _check_layer(mixing: Mixing, n_layers: int) -> None:
    if not 1 <= mixing.layer <= n_layers:
        raise TrainError(f"tmix mixes after a layer from 1 to {n_layers} of this model, not after {mixing.layer}")


def _reordered(mixing: Mixing, order: Sequence[int]) -> Mixing:
    """Return the same mixing for rows that stand in another order."""
    now = {place: row for row, place in enumerate(order)}
    partners = [now[mixing.partners[place]] for place in order]
    return replace(mixing, partners=partners, shares=[mixing.shares[place] for place in order])


def _mix(way: _Pass, mixed: Mixed, out: Any) -> Any:
    """Mix what a layer returns, alone or with more, and lay the rows anew."""
    way.packing = mixed.packing
    hidden = out if isinstance(out, torch.Tensor) else out[0]
    found = mix_packed(hidden[0], mixed)[None]
    return found if isinstance(out, torch.Tensor) else (found, *out[1:])


def _follow(mixed: Mixed, told: dict[str, Any]) -> dict[str, Any]:
    """Give mixed rows the rotary positions of their tokens."""
    turns = told.get("position_embeddings")
    return told if turns is None else {**told, "position_embeddings": tuple(part[:, mixed.longer] for part in turns)}


@contextmanager
def _after(module: nn.Module, change: Callable[[Any], Any]) -> Iterator[None]:
    handle = module.register_forward_hook(lambda _, __, out: change(out))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _before(module: nn.Module, change: Callable[[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]) -> Iterator[None]:
    handle = module.register_forward_pre_hook(lambda _, args, told: change(args, told), with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
