"""Tiny real models that fill masks and translate, with weights set by hand, so that what they say is known."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import sentencepiece
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    MarianConfig,
    MarianMTModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("good", "fine", "bad", "dull", "film", "plot", "the", "was", "a", "##ing", "##s", ",", ".", "!")
LONGEST = 24
"""Tokens that the tiny masked models take."""

_SIZE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def save_masked_bert(folder: Path, biases: Mapping[str, float], spread: float = 0.0) -> Path:
    """Write a BERT with a head for masked words, as safetensors.

    Args:
        folder: Where.
        biases: What is added to the logits of these tokens, everywhere.
        spread: Standard deviation of all other weights; with 0 the context says nothing.
    """
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=LONGEST, **_SIZE)
    return _save(BertForMaskedLM(config), folder, vocabulary, biases, spread)


def save_masked_roberta(folder: Path, biases: Mapping[str, float]) -> Path:
    """Write a RoBERTa, whose tokens say where a word begins; the tokens are bytes and the words of `biases`."""
    alphabet = bytes_to_unicode()
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet.values()]
    merges = []
    for word in biases:
        for end in range(2, len(word) + 1):
            if word[:end] not in pieces:
                pieces.append(word[:end])
                merges.append((word[: end - 1], word[end - 1]))
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    named = {
        "bos_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", **named).save_pretrained(
        folder
    )
    config = RobertaConfig(vocab_size=len(vocabulary), max_position_embeddings=LONGEST + 2, pad_token_id=1, **_SIZE)
    return _save(RobertaForMaskedLM(config), folder, vocabulary, biases, 0.0)


def _save(
    model: transformers.PreTrainedModel,
    folder: Path,
    vocabulary: Mapping[str, int],
    biases: Mapping[str, float],
    spread: float,
) -> Path:
    transformers.logging.disable_progress_bar()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, spread, generator=draw) if spread else parameter.zero_()
            elif "decoder.bias" in name or name.endswith(("predictions.bias", "lm_head.bias")):
                for word, bias in biases.items():
                    parameter[vocabulary[word]] = bias
    model.save_pretrained(folder)
    return folder


def save_marian(folder: Path, sentences: Sequence[str], spread: float = 0.4) -> Path:
    """Write a Marian model of random weights, with the two SentencePiece models of its tokenizer.

    Args:
        folder: Where.
        sentences: What its words are learned from.
        spread: Standard deviation of its weights: with a large one what it says depends on what it reads.
    """
    folder.mkdir(parents=True)
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 20),
        model_writer=trained,
        vocab_size=40,
        hard_vocab_limit=False,
        model_type="word",
        minloglevel=2,
    )
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(trained.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    learned = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    words = ["</s>", "<unk>", *(piece for piece in learned if piece not in ("<unk>", "<s>", "</s>")), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "MarianTokenizer", "model_max_length": 64})
    )
    pad = len(words) - 1
    ids = {"pad_token_id": pad, "decoder_start_token_id": pad, "eos_token_id": 0, "forced_eos_token_id": 0}
    size = {f"{side}_{what}": value for side in ("encoder", "decoder") for what, value in _MARIAN.items()}
    transformers.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = MarianConfig(
            vocab_size=len(words), d_model=16, max_position_embeddings=64, init_std=spread, **size, **ids
        )
        config.bos_token_id = None
        model = MarianMTModel(config)
        model.generation_config.bad_words_ids = [[pad]]
        model.save_pretrained(folder)
    return folder


_MARIAN = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
