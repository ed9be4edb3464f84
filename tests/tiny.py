"""A tiny classifier and a toy task: the real training code in milliseconds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

GOOD = ("good", "fine", "bright", "warm")
BAD = ("bad", "dull", "grim", "cold")
FILLING = ("the", "film", "plot", "actor", "story", "song", "was", "is", "a", "and", "with")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = (*SPECIAL, *GOOD, *BAD, *FILLING)
LONGEST = 24
"""Tokens that the tiny model takes."""


def save_tiny_bert(folder: Path) -> Path:
    """Write a BERT of random weights with a tokenizer of whole words, as safetensors."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    transformers.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=LONGEST, **size)).save_pretrained(folder)
    return folder


def toy_rows(count: int, seed: int) -> list[tuple[str, str]]:
    """Make rows of text and label in turn; one word of the text tells the label."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        words, label = ((GOOD, "positive"), (BAD, "negative"))[number % 2]
        before, after = (generator.sample(FILLING, generator.randint(1, 4)) for _ in range(2))
        rows.append((" ".join([*before, generator.choice(words), *after]), label))
    return rows


def write_csv(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """Write toy rows with the columns text and label; they hold no comma and no quote."""
    path.write_text("\n".join(["text,label", *(f"{text},{label}" for text, label in rows), ""]), encoding="utf-8")
    return path
