"""Tiny causal language models of random weights, with tokenizers of the two kinds that are in use."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

BOS, EOS = "<s>", "</s>"
MERGED = (" good", " film", "Senti", "ment", " Positive", " Negative", "\n\n")
"""Tokens of several bytes; all single bytes are tokens too."""

LONGEST = 128
"""Tokens that the tiny GPT-2 takes."""


def _merges(words: tuple[str, ...]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the pieces and the merges that build each word from left to right."""
    pieces: dict[str, None] = {}
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        for end in range(2, len(word) + 1):
            pieces[word[:end]] = None
            merges[word[: end - 1], word[end - 1]] = None
    return list(pieces), list(merges)


def byte_level(*, bos: bool = True) -> Tokenizer:
    """Return a byte-level BPE as GPT-2 and Llama 3 have it, with a BOS token before each text."""
    alphabet = bytes_to_unicode()
    words = tuple("".join(alphabet[byte] for byte in word.encode()) for word in MERGED)
    pieces, merges = _merges(words)
    vocabulary = {piece: number for number, piece in enumerate([*alphabet.values(), *pieces])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _finish(tokenizer, bos=bos)


def sentencepiece() -> Tokenizer:
    """Return a BPE with bytes as a fallback as Llama 2 and Gemma have it: a space is put before a text."""
    letters = [chr(number) for number in range(33, 127)]
    pieces, merges = _merges(tuple(word.replace(" ", "▁") for word in MERGED if "\n" not in word))
    listed = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters, *pieces]
    vocabulary = {piece: number for number, piece in enumerate(listed)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _finish(tokenizer, bos=True)


def _finish(tokenizer: Tokenizer, *, bos: bool) -> Tokenizer:
    tokenizer.add_special_tokens([BOS, EOS])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
        )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> PreTrainedTokenizerFast:
    """Write a tokenizer into a folder."""
    unknown = {"unk_token": "<unk>"} if tokenizer.token_to_id("<unk>") is not None else {}
    found = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, **unknown)
    found.save_pretrained(folder)
    return found


def save_tiny_lm(folder: Path, kind: str = "gpt2", tokenizer: Tokenizer | None = None) -> Path:
    """Write a language model of random weights as safetensors.

    Args:
        folder: Where.
        kind: ``gpt2`` has learned positions, ``llama`` rotary ones, two key heads and another tokenizer.
        tokenizer: Its tokenizer, if not the one of its kind.
    """
    tokenizer = tokenizer or (byte_level() if kind == "gpt2" else sentencepiece())
    saved = save_tokenizer(tokenizer, folder)
    ids = {"vocab_size": len(saved), "bos_token_id": saved.bos_token_id, "eos_token_id": saved.eos_token_id}
    transformers.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "gpt2":
            # Large weights: the probabilities are far from equal, as those of a trained model.
            model = GPT2LMHeadModel(
                GPT2Config(n_positions=LONGEST, n_embd=32, n_layer=2, n_head=2, initializer_range=0.3, **ids)
            )
        else:
            size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
            model = LlamaForCausalLM(
                LlamaConfig(num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.3, **size, **ids)
            )
        model.save_pretrained(folder)
    return folder
