from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import PreTrainedTokenizerBase, pipeline

from hypermix.classify.encode import encode
from hypermix.classify.finetune import Recipe, predict
from hypermix.classify.keep import Model, read_all, save_model
from hypermix.classify.network import Network
from tests.integration.classify.conftest import LABELS
from tests.tiny import LONGEST, WORDS

RECIPE = Recipe(1e-3, 0.0, 8, 40, "steps", 100, 120, 20)
HOSTILE = ("{0.__class__}%s", 'a"b\\\n---\n<script>| # x')
TEXTS = ["the film was bright", "a dull and grim story", "warm", " ".join(["plot was cold"] * 20)]


@pytest.fixture
def folder(network: Network, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> Path:
    save_model(Model(network, tokenizer, LONGEST), HOSTILE, tmp_path / "kept")
    return tmp_path / "kept"


def scores(folder: Path, texts: list[str]) -> dict[str, list[float]]:
    """Return the probability of each label as the pipeline tells it."""
    told = pipeline("text-classification", model=str(folder), truncation=True)(texts, top_k=None)
    by_label = [{one["label"]: one["score"] for one in row} for row in told]
    return {label: [row[label] for row in by_label] for label in by_label[0]}


def test_the_pipeline_predicts_what_the_network_predicts(
    network: Network, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = encode(tokenizer, TEXTS, np.full((len(TEXTS), len(LABELS)), 0.5, dtype=np.float32), LONGEST)
    assert rows.cut == 1  # a text too long is cut by both at the same token
    probabilities = predict(network, rows)
    save_model(Model(network, tokenizer, LONGEST), HOSTILE, tmp_path)
    told = scores(tmp_path, TEXTS)

    for position, label in enumerate(HOSTILE):
        assert told[label] == pytest.approx(probabilities[:, position].tolist(), abs=1e-6)


def test_labels_have_their_names_in_their_order(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    assert config["id2label"] == {str(position): label for position, label in enumerate(HOSTILE)}
    assert config["label2id"] == {label: position for position, label in enumerate(HOSTILE)}
    assert config["problem_type"] == "single_label_classification"
    assert config["dtype"] == "float32"
    assert "packed" not in json.dumps(config)  # how it was trained is no matter of who loads it


def test_weights_are_one_safetensors_file_of_float32(network: Network, folder: Path) -> None:
    assert [path.name for path in folder.glob("*.safetensors")] == ["model.safetensors"]
    assert not [path for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pkl", ".pickle"}]
    with safe_open(folder / "model.safetensors", "pt") as weights:
        kept = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118 - it is no mapping
    own = network.model.state_dict()
    assert set(kept) == set(own)
    assert all(str(kept[name].dtype) == "torch.float32" and kept[name].equal(own[name]) for name in kept)


def test_others_may_read_every_file(folder: Path) -> None:
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o644"}


def test_the_tokenizer_knows_the_longest_text(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))

    assert config["model_max_length"] == LONGEST


def test_no_path_of_this_machine_is_kept(tiny: Path, folder: Path) -> None:
    for path in folder.iterdir():
        assert str(tiny.parent).encode() not in path.read_bytes(), path.name


def test_three_labels_are_told(tiny: Path, tmp_path: Path) -> None:
    from hypermix.classify.model import load_classifier

    network, tokenizer = load_classifier(str(tiny), 3, seed=2)
    save_model(Model(network, tokenizer, LONGEST), ["x", "y", "z"], tmp_path)

    assert sum(told[0] for told in scores(tmp_path, ["good film"]).values()) == pytest.approx(1)
    assert len(WORDS) == network.model.config.vocab_size


@given(
    st.integers(1, 10_000),
    st.integers(1, 64),
    st.integers(0, 500),
    st.none() | st.integers(0, 500),
)
def test_every_row_is_read(n_rows: int, batch_size: int, min_steps: int, more: int | None) -> None:
    recipe = replace(
        RECIPE, batch_size=batch_size, min_steps=min_steps, max_steps=None if more is None else min_steps + more + 1
    )
    wide = read_all(recipe, n_rows)
    epoch = math.ceil(n_rows / batch_size)

    assert wide.min_steps == max(min_steps, epoch)
    assert wide.max_steps is None if recipe.max_steps is None else wide.max_steps == max(recipe.max_steps, epoch)
    assert replace(wide, min_steps=min_steps, max_steps=recipe.max_steps) == recipe


def test_a_limit_that_reads_every_row_stays() -> None:
    assert read_all(RECIPE, 48) == RECIPE
