"""Texts as token ids, once a dataset, and the batches that are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

TOKENS_A_BATCH = 1536
"""Tokens of an evaluation batch, padding counted: large enough for fast matrix products, small enough for the cache."""


@dataclass(frozen=True)
class Encoded:
    """Rows ready for a model.

    Attributes:
        tokens: The token ids of each row, with special tokens, without padding.
        targets: A probability for each label, (n_rows, n_labels) float32; rows add up to 1.
        cut: How many rows were longer than the model takes.
        pad: The token id that fills short rows.
    """

    tokens: list[list[int]]
    targets: NDArray[np.float32]
    cut: int
    pad: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.tokens)


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], targets: NDArray[np.float32], max_length: int
) -> Encoded:
    """Tokenize rows.

    Args:
        tokenizer: The model's tokenizer.
        texts: One text a row.
        targets: (n_rows, n_labels) probabilities.
        max_length: Tokens after which a row is cut.
    """
    # One pass without a limit tells how many rows are cut; verbose=False since the warning would name no row.
    whole = tokenizer(list(texts), verbose=False, return_attention_mask=False)["input_ids"] if len(texts) else []
    cut = [position for position, ids in enumerate(whole) if len(ids) > max_length]
    for position in cut:
        whole[position] = tokenizer(texts[position], truncation=True, max_length=max_length)["input_ids"]
    return Encoded([list(ids) for ids in whole], targets, len(cut), int(tokenizer.pad_token_id or 0))


def pad_rows(rows: Encoded, positions: Sequence[int]) -> dict[str, torch.Tensor]:
    """Make a batch of some rows, padded to the longest of them.

    Returns:
        ``input_ids`` and ``attention_mask``, (n_positions, longest) int64.
    """
    chosen = [rows.tokens[position] for position in positions]
    longest = max(len(ids) for ids in chosen)
    ids = torch.full((len(chosen), longest), rows.pad, dtype=torch.long)
    mask = torch.zeros((len(chosen), longest), dtype=torch.long)
    for line, row in enumerate(chosen):
        ids[line, : len(row)] = torch.tensor(row)
        mask[line, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def length_sorted(rows: Encoded, tokens_a_batch: int = TOKENS_A_BATCH) -> Iterator[list[int]]:
    """Group rows of like length, so that little is padded.

    Yields:
        Positions of the rows of one batch: at most `tokens_a_batch` tokens with padding, and at least one row.
    """
    batch: list[int] = []
    for position in sorted(range(len(rows)), key=lambda row: len(rows.tokens[row])):
        if batch and (len(batch) + 1) * len(rows.tokens[position]) > tokens_a_batch:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
