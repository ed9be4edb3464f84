"""Loading a model of transformers for rewriting texts: safetensors, float32, none of its own code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from hypermix.errors import AugmentError

_DAMAGED = (OSError, ValueError, SafetensorError, RuntimeError, LookupError, TypeError, AttributeError, ImportError)
"""What transformers raises over files that are no model."""


def load_model(kind: Any, folder: Path, wanted: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer.

    Args:
        kind: An auto class of transformers.
        folder: The model's folder.
        wanted: What the model must be, for a message.

    Raises:
        AugmentError: If one of them cannot be loaded, or weights are missing, which would be random.
    """
    with _loading(folder, wanted):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model, told = kind.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
        )
        missing = sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]]))
        if missing:
            raise ValueError(f"it lacks the weights {missing[0]}")
        return model.eval(), tokenizer


@contextmanager
def _loading(folder: Path, wanted: str) -> Iterator[None]:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")  # it is never called
            yield
    except _DAMAGED as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(" .:")
        raise AugmentError(f"{folder}: cannot be loaded as {wanted}: {reason}; name another model") from error
