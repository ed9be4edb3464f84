"""A masked language model that tells which words may stand in a place of a text."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM

from hypermix.errors import AugmentError
from hypermix.rewrite.loading import load_model

_PIECE = "##"
_STARTS = ("Ġ", "▁")
"""How a token says that a space is before it, in the tokenizers of RoBERTa and of XLM-R; BERT's marks the others."""


class MaskedModel:
    """Fills places of texts.

    Args:
        folder: The model's folder.
        top: How many of the likeliest words are told.

    Raises:
        AugmentError: If it holds no masked language model.
    """

    def __init__(self, folder: Path, top: int) -> None:
        self._model, self._tokenizer = load_model(AutoModelForMaskedLM, folder, "a masked language model")
        if self._tokenizer.mask_token_id is None:
            raise AugmentError(f"{folder}: its tokenizer has no mask; name a masked language model such as BERT")
        self._top = top
        self._around = self._find_ends()
        longest = getattr(self._model.config, "max_position_embeddings", None) or self._tokenizer.model_max_length
        # RoBERTa's positions begin behind its padding.
        self._room = min(longest, self._tokenizer.model_max_length) - sum(map(len, self._around)) - 3
        tokens = self._tokenizer.convert_ids_to_tokens(range(self._model.config.vocab_size))
        self._tokens = [token or "" for token in tokens]
        special = set(self._tokenizer.all_special_ids)
        marks = next((mark for mark in _STARTS if sum(token.startswith(mark) for token in self._tokens) > 1), None)
        self._first = self._allowed(special, None)
        self._inner = self._allowed(special, marks)

    def _find_ends(self) -> tuple[list[int], list[int]]:
        """Return the special tokens that stand before and after every text."""
        probe = self._tokenizer("a", return_special_tokens_mask=True)
        ids, special = list(probe["input_ids"]), list(probe["special_tokens_mask"])
        first, last = special.index(0), len(ids) - special[::-1].index(0)
        return ids[:first], ids[last:]

    def _allowed(self, special: set[int], mark: str | None) -> torch.Tensor:
        """Return which tokens are whole words: of those that begin with a mark, or of all but inner pieces."""
        return torch.tensor(
            [
                number not in special and (not token.startswith(_PIECE) if mark is None else token.startswith(mark))
                for number, token in enumerate(self._tokens)
            ]
        )

    def __call__(self, text: str, start: int, stop: int) -> list[tuple[str, float]]:
        """Return the likeliest words for a place, with their probabilities among all tokens; see `Fill`."""
        before, after = self._cut(text[:start]), self._cut(text[stop:])
        # What is near counts most, and a side that needs less leaves its room to the other.
        room = self._room - 1
        left = before[-max(room // 2, room - len(after)) :] if before else []
        right = after[: room - len(left)]
        first, last = self._around
        ids = [*first, *left, self._tokenizer.mask_token_id, *right, *last]
        at = len(first) + len(left)
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([ids])).logits[0, at].double()
        spaced = start > 0 and text[start - 1].isspace()
        chances = logits.softmax(-1) * (self._inner if spaced else self._first)
        best = chances.topk(min(self._top, len(chances)))
        told = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self._tokenizer.decode([number]).strip(), weight) for number, weight in told if weight > 0]

    def _cut(self, text: str) -> list[int]:
        """Return the tokens of a part of a text, in which the name of a special token is text like any other."""
        return list(
            self._tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        )
