"""A trained tiny language model as a GGUF file, for tests in which a model must answer and need not be good."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gguf
import numpy as np
import pytest
from filelock import FileLock
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tests.tiny import toy_rows
from tests.trained_lm import save_trained_lm

_BLOCK = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""The parts of a layer: their names in transformers and in llama.cpp (gguf-py's `tensor_mapping`)."""


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny language model that writes reviews, each in a fiftieth of the packaged one's time.

    It is made once for all processes of a test run.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    model = folder / "writer" / "writer.gguf"
    with FileLock(folder / "writer.lock"):
        if not model.exists():
            lines = [f"Movie review: {text} (Sentiment: {label.title()})" for text, label in toy_rows(200, 9)]
            made = save_trained_lm(folder / "writer", lines)
            write_gguf(made, model.with_suffix(".part")).rename(model)
    return model


def write_gguf(source: Path, target: Path) -> Path:
    """Write a small Llama of transformers with a byte-level BPE as GGUF, as llama.cpp's own converter does.

    Args:
        source: A folder with the model and its tokenizer.
        target: The file.
    """
    model = LlamaForCausalLM.from_pretrained(source)
    writer = gguf.GGUFWriter(target, "llama")
    config = model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, PreTrainedTokenizerFast.from_pretrained(source))
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        if ".q_proj" in name or ".k_proj" in name:
            values = _interleave(values, config.num_attention_heads)
        writer.add_tensor(_rename(name), np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _rename(name: str) -> str:
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    part = name.removesuffix(".weight")
    if part in whole:
        return f"{whole[part]}.weight"
    _, _, layer, rest = part.split(".", 3)
    return f"blk.{layer}.{_BLOCK[rest]}.weight"


def _interleave(weights: np.ndarray, heads: int) -> np.ndarray:
    """Order rotary halves as pairs: llama.cpp turns neighbors, transformers the two halves of a head."""
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerFast) -> None:
    ids = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for _, token in ids])
    kinds = (gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for _, token in ids)
    writer.add_token_types(list(kinds))
    writer.add_token_merges([" ".join(pair) for pair in _merges(tokenizer)])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(True)


def _merges(tokenizer: PreTrainedTokenizerFast) -> list[list[str]]:
    return json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
