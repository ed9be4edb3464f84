from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hypermix.errors import AugmentError
from hypermix.packages import ENCODERS, load_package
from hypermix.rewrite.neighbors import PACKAGED, Neighbors

VECTORS = {
    "film": (1.0, 0.0),
    "movie": (0.9, 0.1),
    "films": (3.0, 0.1),
    "plot": (0.6, 0.8),
    "bad": (-1.0, 0.0),
    "##ing": (1.0, 0.0),
    "a": (1.0, 0.0),
    "[CLS]": (1.0, 0.0),
    "zero": (0.0, 0.0),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    matrix = np.array(list(VECTORS.values()), dtype=np.float16)
    save_file({"embeddings.word_embeddings.weight": matrix}, tmp_path / "model.safetensors")
    vocabulary = {word: row for row, word in enumerate(VECTORS)}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    return tmp_path


@pytest.mark.parametrize(
    ("similarity", "most", "found"),
    [
        (0.95, 10, ("films", "movie")),
        (0.55, 10, ("films", "movie", "plot")),
        (0.55, 1, ("films",)),
        (0.9999, 10, ()),
    ],
)
def test_neighbors_are_whole_words_by_the_cosine(
    folder: Path, similarity: float, most: int, found: tuple[str, ...]
) -> None:
    """The length of a vector says nothing; pieces, single letters and special tokens are no words."""
    assert Neighbors(folder, similarity, most)("film") == found


@pytest.mark.parametrize("word", ["unknown", "ing", "##ing", "a", "[CLS]", "zero", ""])
def test_what_is_no_word_of_it_has_no_neighbors(folder: Path, word: str) -> None:
    assert Neighbors(folder, 0.5, 10)(word) == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"{"),
        ("tokenizer.json", b'{"model": {"vocab": ["film"]}}'),
        ("tokenizer.json", b'{"model": {"vocab": {"film": 99}}}'),
        ("model.safetensors", b"none"),
        ("model.safetensors", None),
    ],
)
def test_a_damaged_package_is_told(folder: Path, name: str, content: bytes | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(AugmentError, match="holds no embedding of words; install the packaged model anew"):
        Neighbors(folder, 0.5, 10)


def test_the_packaged_encoder_knows_words_of_like_meaning() -> None:
    package = load_package(ENCODERS[PACKAGED])
    assert package is not None
    look_up = Neighbors(Path(package.get_model_path()), 0.55, 10)
    assert look_up("film")[:2] == ("films", "movie")
    assert {"hilarious", "humorous", "amusing"} <= set(look_up("funny"))
    # The opposite is near, too: the default bound is set so that this pair is kept apart.
    assert "bad" not in look_up("good")
    assert "good" not in look_up("bad")
