from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hypermix.classify.embed import Embedding, embed, read_embedding
from hypermix.classify.encode import encode, pad_rows
from hypermix.classify.model import load_encoder, locate_model
from hypermix.classify.network import Network, Pooling
from hypermix.errors import TrainError
from tests.integration.classify.architectures import ARCHITECTURES, make_model, make_rows
from tests.integration.classify.conftest import EncodeRows
from tests.tiny import toy_rows

LISTED = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
NORMALIZE = {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}


def write(folder: Path, modules: Any = None, pooling: Any = None) -> str:
    if modules is not None:
        (folder / "modules.json").write_text(json.dumps(modules))
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return str(folder)


# What a model says.


def test_model_that_says_nothing_is_pooled_by_the_mean(tmp_path: Path) -> None:
    assert read_embedding(str(tmp_path)) == Embedding("mean", normalized=False)


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode_mean_tokens": False}, "mean"),
        ({"pooling_mode": "cls"}, "first"),
        ({"pooling_mode": ["lasttoken"]}, "last"),
        ({}, "mean"),
    ],
)
def test_pooling_is_the_models_own(tmp_path: Path, settings: dict[str, Any], pooling: Pooling) -> None:
    assert read_embedding(write(tmp_path, LISTED, settings)).pooling == pooling
    shutil.rmtree(tmp_path / "1_Pooling")
    (tmp_path / "modules.json").unlink()
    assert read_embedding(write(tmp_path, None, settings)).pooling == pooling


def test_normalizing_is_the_models_own(tmp_path: Path) -> None:
    assert not read_embedding(write(tmp_path, LISTED)).normalized
    assert read_embedding(write(tmp_path, [*LISTED, NORMALIZE])).normalized
    (tmp_path / "modules.json").unlink()
    (tmp_path / "2_Normalize").mkdir()
    assert read_embedding(str(tmp_path)).normalized


def test_packaged_model_is_a_sentence_encoder() -> None:
    assert read_embedding(locate_model("package:minilm-l6")) == Embedding("mean", normalized=True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"pooling_mode_max_tokens": True}, "'max'"),
        ({"pooling_mode": "weightedmean"}, "'weightedmean'"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "'cls and mean'"),
        ({"pooling_mode": 3}, "'3'"),
        ([], r"'\[\]'"),
    ],
)
def test_other_poolings_are_told(tmp_path: Path, settings: Any, told: str) -> None:
    with pytest.raises(TrainError, match=rf"pools the states of tokens by {told}; method: probe takes mean, cls, last"):
        read_embedding(write(tmp_path, LISTED, settings))


@pytest.mark.parametrize("modules", [{}, "x", [1], 3])
def test_list_of_modules_that_is_none_is_told(tmp_path: Path, modules: Any) -> None:
    with pytest.raises(TrainError, match=r"modules.json is no list of modules; fetch the model again"):
        read_embedding(write(tmp_path, modules))


@pytest.mark.parametrize("name", ["../other", "/etc", ".."])
def test_modules_lead_to_no_other_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainError, match=r"names the folder '.+', which is not its own; take another model"):
        read_embedding(write(tmp_path, [LISTED[0], {**LISTED[1], "path": name}]))


def test_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_bytes(b"{")
    with pytest.raises(TrainError, match=r"modules.json: cannot be read as JSON; fetch the model again"):
        read_embedding(str(tmp_path))


def test_modules_behind_the_encoder_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dense = {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    with caplog.at_level(logging.WARNING):
        read_embedding(write(tmp_path, [*LISTED, dense]))
    assert any("its modules Dense come after the encoder and are left out" in told for told in caplog.messages)


# Embedding.


def slowly(network: Network, tokens: list[int], pooling: Pooling) -> torch.Tensor:
    """Embed one row with transformers' own attention."""
    with torch.inference_mode():
        states = network.release().base_model(input_ids=torch.tensor([tokens]))[0][0]
    return {"mean": states.mean(dim=0), "first": states[0], "last": states[-1]}[pooling]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_batch_is_embedded_as_row_by_row(name: str, pooling: Pooling) -> None:
    rows = make_rows(make_model(name))
    found = embed(Network(make_model(name)), rows, Embedding(pooling))
    other = Network(make_model(name))
    wanted = torch.stack([slowly(other, tokens, pooling) for tokens in rows.tokens])
    assert found == pytest.approx(wanted.double().numpy(), abs=1e-4)


def test_normalized_embeddings_have_length_one(tiny: Path, encode_rows: EncodeRows) -> None:
    network, _ = load_encoder(str(tiny))
    rows = encode_rows(toy_rows(12, seed=1))
    plain, normalized = (embed(network, rows, Embedding("mean", normalized=to)) for to in (False, True))
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    assert normalized == pytest.approx(plain / lengths)
    assert not np.allclose(lengths, 1.0)


def test_dropout_is_off_and_nothing_is_changed(tiny: Path, encode_rows: EncodeRows) -> None:
    network, _ = load_encoder(str(tiny))
    before = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
    rows = encode_rows(toy_rows(12, seed=1))
    network.model.train()
    assert np.array_equal(embed(network, rows, Embedding()), embed(network, rows, Embedding()))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.model.state_dict().items())


def test_no_rows_have_no_embeddings(tiny: Path, encode_rows: EncodeRows) -> None:
    assert embed(load_encoder(str(tiny))[0], encode_rows([]), Embedding()).shape == (0, 32)


def test_packaged_model_embeds_as_its_library_says() -> None:
    # The formula of its model card, in its own words: the mean of the last states, then a length of 1.
    texts = ["a fine film", "a dull film with a long and winding plot"]
    network, tokenizer = load_encoder(locate_model("package:minilm-l6"))
    rows = encode(tokenizer, texts, np.zeros((2, 2), dtype=np.float32), 256)
    found = embed(network, rows, Embedding("mean", normalized=True))
    batch = pad_rows(rows, [0, 1])
    with torch.inference_mode():
        states = network.release()(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None]
    wanted = torch.nn.functional.normalize((states * mask).sum(dim=1) / mask.sum(dim=1))
    assert found == pytest.approx(wanted.double().numpy(), abs=1e-5)
