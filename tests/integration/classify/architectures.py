"""Small models of each architecture, with random weights large enough that attention matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    XLMRobertaConfig,
)

from hypermix.classify.encode import Encoded

LAYERS, LABELS, WORDS = 3, 3, 200
LENGTHS = (3, 60, 5, 5, 17, 33, 4, 3, 2, 60, 9)
"""Rows of very different lengths, some of them longer than the local attention of ModernBERT sees."""

_ALL = {"vocab_size": WORDS, "num_labels": LABELS}
_MODERN = {
    "global_attn_every_n_layers": 2,
    "local_attention": 16,
    **{f"{name}_token_id": number for number, name in enumerate(("pad", "bos", "eos", "cls", "sep"))},
}


def _configs(width: int) -> dict[str, PreTrainedConfig]:
    kin: dict[str, Any] = {**_ALL, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "max_position_embeddings": 80}
    kin |= {"hidden_size": width, "intermediate_size": 2 * width}
    small = {"dim": width, "n_layers": LAYERS, "n_heads": 4, "hidden_dim": 2 * width, "max_position_embeddings": 80}
    relative = {"relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm"}
    deberta = {**relative, "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "pooler_hidden_size": width}
    return {
        "bert": BertConfig(**kin),
        "distilbert": DistilBertConfig(**_ALL, **small),
        "electra": ElectraConfig(**kin, embedding_size=width // 2),
        "roberta": RobertaConfig(**kin, pad_token_id=1),
        "xlm-roberta": XLMRobertaConfig(**kin, pad_token_id=1),
        "modernbert": ModernBertConfig(**kin, **_MODERN, classifier_pooling="cls"),
        "modernbert, mean": ModernBertConfig(**kin, **_MODERN, classifier_pooling="mean"),
        "deberta-v3": DebertaV2Config(**kin, **deberta),
    }


ARCHITECTURES = tuple(_configs(32))
PACKED = tuple(name for name in ARCHITECTURES if name != "deberta-v3")


def make_model(name: str, width: int = 32) -> PreTrainedModel:
    """Return a model, in evaluation."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(_configs(width)[name]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    return model


def make_rows(model: PreTrainedModel, lengths: tuple[int, ...] = LENGTHS) -> Encoded:
    """Return rows of these lengths; no token is that of padding."""
    generator = np.random.default_rng(0)
    tokens = [generator.integers(5, WORDS, length).tolist() for length in lengths]
    targets = np.eye(LABELS, dtype=np.float32)[generator.integers(0, LABELS, len(lengths))]
    return Encoded(tokens, targets, 0, int(model.config.pad_token_id or 0))
