"""Embeddings of whole texts by an encoder that stays as it is, made as the encoder's own settings say."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hypermix.classify.encode import Encoded, length_sorted
from hypermix.classify.network import Network, Pooling
from hypermix.errors import TrainError

_LOG = logging.getLogger(__name__)
_MODULES = "modules.json"
_POOLINGS: dict[str, Pooling] = {"mean": "mean", "cls": "first", "lasttoken": "last"}
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How sentence-transformers wrote the pooling before its version 5.4."""


@dataclass(frozen=True)
class Embedding:
    """How the states of a text's tokens become one vector.

    Attributes:
        pooling: Which of them count.
        normalized: Whether the vector is scaled to length 1.
    """

    pooling: Pooling = "mean"
    normalized: bool = False


def read_embedding(model: str) -> Embedding:
    """Read from a model's folder how it embeds: the files of sentence-transformers, else the mean over tokens.

    Args:
        model: The folder.

    Raises:
        TrainError: If the files cannot be read, or ask for a pooling that is not built here.
    """
    listed = _read(Path(model) / _MODULES, [])
    if not isinstance(listed, list) or not all(isinstance(part, dict) for part in listed):
        raise TrainError(f"{model}: {_MODULES} is no list of modules; fetch the model again")
    kinds = {str(part.get("type", "")).rsplit(".", 1)[-1]: str(part.get("path", "")) for part in listed}
    more = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if more:
        _LOG.warning("%s: its modules %s come after the encoder and are left out", model, ", ".join(more))
    name = kinds.get("Pooling", "1_Pooling")
    if Path(name).name != name or name == "..":
        raise TrainError(f"{model}: {_MODULES} names the folder {name!r}, which is not its own; take another model")
    mode = _mode(_read(Path(model) / name / "config.json", {}))
    if mode not in _POOLINGS:
        known = ", ".join(_POOLINGS)
        raise TrainError(f"{model}: pools the states of tokens by {mode!r}; method: probe takes {known}: another model")
    return Embedding(_POOLINGS[mode], "Normalize" in kinds or (Path(model) / "2_Normalize").is_dir())


def embed(network: Network, rows: Encoded, embedding: Embedding) -> NDArray[np.float64]:
    """Embed rows, without dropout; the encoder is not changed.

    Args:
        network: The encoder.
        rows: The rows.
        embedding: How.

    Returns:
        (n_rows, width), in the order of the rows.
    """
    out = np.zeros((len(rows), int(network.model.config.hidden_size)), dtype=np.float64)
    network.model.eval()

    def part(positions: list[int]) -> None:
        found = network.embeddings(rows, positions, embedding.pooling).double()
        if embedding.normalized:
            found = torch.nn.functional.normalize(found, dim=-1)
        out[positions] = found.cpu().numpy()

    with torch.inference_mode():
        for positions in length_sorted(rows, network.place.tokens_a_batch):
            network.room.run(positions, part)
    return out


def _read(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrainError(f"{path}: cannot be read as JSON; fetch the model again") from error


def _mode(settings: Any) -> str:
    """Return the name of the pooling in sentence-transformers' words."""
    if not isinstance(settings, dict):
        return str(settings)
    told = settings.get("pooling_mode", [name for flag, name in _FLAGS.items() if settings.get(flag) is True])
    modes = [told] if isinstance(told, str) else [str(name) for name in told] if isinstance(told, list) else [str(told)]
    return " and ".join(modes) or "mean"
