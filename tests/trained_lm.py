"""A tiny causal language model that has learned to write rows in the form of a prompt, in seconds on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from tests.tiny_lm import save_tokenizer

LONGEST = 256
_STEPS, _BATCH, _LENGTH = 120, 8, 64


def save_trained_lm(folder: Path, lines: Sequence[str]) -> Path:
    """Write a model that has read lines such as ``Movie review: a fine film (Sentiment: Positive)`` many times.

    Args:
        folder: Where.
        lines: What it reads; each comes with the end of its line.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([f"{line}\n" for line in lines], trainer)
    saved = save_tokenizer(tokenizer, folder)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"vocab_size": len(saved), "bos_token_id": saved.bos_token_id, "eos_token_id": saved.eos_token_id}
    transformers.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(max_position_embeddings=LONGEST, **size, **ids))
        _train(model, [tokenizer.encode(f"{line}\n").ids for line in lines])
    model.save_pretrained(folder)
    return folder


def _train(model: LlamaForCausalLM, lines: Sequence[Sequence[int]]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(_STEPS):
        rows = [_draw(lines) for _ in range(_BATCH)]
        batch = torch.tensor(rows)
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def _draw(lines: Sequence[Sequence[int]]) -> list[int]:
    row: list[int] = []
    while len(row) < _LENGTH:
        row.extend(lines[int(torch.randint(len(lines), ()))])
    return row[:_LENGTH]
