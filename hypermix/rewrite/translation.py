"""Translation there and back by two models that run here, by draws from a seed."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from transformers import AutoModelForSeq2SeqLM

from hypermix.rewrite.loading import load_model

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
"""Translation models are trained on sentences."""

_MOST_TOKENS = 512
_GROWTH, _SLACK = 2, 20
"""A translation has at most so many times the tokens of its sentence, and so many more."""


class Translator:
    """A model that translates one way.

    Args:
        folder: The model's folder.
        temperature: Of the draws.

    Raises:
        AugmentError: If it holds no such model.
    """

    def __init__(self, folder: Path, temperature: float) -> None:
        self._model, self._tokenizer = load_model(AutoModelForSeq2SeqLM, folder, "a translation model")
        self._temperature = temperature

    def __call__(self, sentences: list[str]) -> list[str]:
        """Translate sentences, each by draws from torch's global state."""
        longest = min(_MOST_TOKENS, self._tokenizer.model_max_length)
        batch = self._tokenizer(sentences, return_tensors="pt", padding=True, truncation=True, max_length=longest)
        most = min(longest, _GROWTH * batch["input_ids"].shape[1] + _SLACK)
        how = {"do_sample": True, "num_beams": 1, "temperature": self._temperature, "top_k": 0}
        with torch.inference_mode():
            found = self._model.generate(**batch, **how, max_new_tokens=most, max_length=None)
        return [text.strip() for text in self._tokenizer.batch_decode(found, skip_special_tokens=True)]


class RoundTrip:
    """Translates texts into a pivot language and back.

    Args:
        forward: Translates into the pivot language.
        back: Translates from it.
    """

    def __init__(self, forward: Translator, back: Translator) -> None:
        self._forward = forward
        self._back = back

    def __call__(self, text: str, seed: int) -> str:
        """Return the text after its way there and back; see `hypermix.augment.tools.Translate`."""
        sentences = [part for part in _SENTENCE_END.split(text) if part.strip()]
        if not sentences:
            return ""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return " ".join(filter(None, self._back(self._forward(sentences))))
