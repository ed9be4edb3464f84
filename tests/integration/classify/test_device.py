"""Places to compute. A GPU is not needed: what needs one is told to be there or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hypermix.classify.device import CPU, Place, choose_place, peak_mb, start_measuring
from hypermix.classify.embed import Embedding, embed
from hypermix.classify.encode import Encoded
from hypermix.classify.finetune import finetune, predict
from hypermix.classify.model import load_classifier
from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe
from hypermix.errors import TrainError
from tests.integration.classify.architectures import ARCHITECTURES, make_model, make_rows
from tests.integration.classify.conftest import EncodeRows
from tests.tiny import toy_rows

HALF = Place(torch.device("cpu"), torch.bfloat16)


@pytest.fixture(params=[False, True], ids=["no GPU", "a GPU"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Say whether there is a GPU; nothing is computed on it."""
    there = bool(request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    return there


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_auto_takes_a_gpu_if_there_is_one(gpu: bool, precision: str) -> None:
    place = choose_place("auto", precision)
    assert place.device.type == ("cuda" if gpu else "cpu")
    wanted = {"auto": "bfloat16" if gpu else "float32"}.get(precision, precision)
    assert place.describe() == {"device": place.device.type, "precision": wanted}


def test_cpu_is_the_cpu(gpu: bool) -> None:
    assert choose_place("cpu", "auto") == CPU


def test_gpu_without_bfloat16_takes_float32(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert choose_place("auto", "auto").precision == torch.float32


@pytest.mark.parametrize(("built", "told"), [(True, "torch finds none"), (False, "this build of torch has no CUDA")])
def test_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, built: bool, told: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    with pytest.raises(TrainError, match=rf"device: cuda asks for a GPU, and {told}; set the classifier's de"):
        choose_place("cuda", "auto")


def test_batches_are_larger_on_a_gpu() -> None:
    assert Place(torch.device("cuda"), torch.float32).tokens_a_batch > 10 * CPU.tokens_a_batch


# bfloat16, which a CPU computes too.


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_half_precision_is_near_the_whole(name: str) -> None:
    rows = make_rows(make_model(name))
    positions = list(range(len(rows)))
    whole, half = (Network(make_model(name), place) for place in (CPU, HALF))
    wanted, found = whole.logits(rows, positions), half.logits(rows, positions)
    assert found.dtype == torch.float32
    assert {part.dtype for part in half.model.parameters()} == {torch.float32}
    assert not torch.equal(found, wanted)
    assert (found - wanted).abs().mean() < 0.1 * wanted.std()


def test_half_precision_learns(tiny: Path, encode_rows: EncodeRows) -> None:
    rows = encode_rows(toy_rows(32, seed=1))
    network, _ = load_classifier(str(tiny), 2, 1, HALF)
    history = finetune(network, rows, rows, Recipe(5e-3, 0.0, 8, 99, "epochs", 0, 80, 40), 1)
    assert history[-1].train_loss < 0.1
    assert history[-1].validation_accuracy == 1.0
    assert {part.dtype for part in network.model.parameters()} == {torch.float32}


def test_half_precision_of_embeddings(tiny: Path, encode_rows: EncodeRows) -> None:
    rows = encode_rows(toy_rows(8, seed=1))
    whole, half = (embed(load_classifier(str(tiny), 2, 1, place)[0], rows, Embedding()) for place in (CPU, HALF))
    assert half == pytest.approx(whole, abs=0.1)
    assert not np.array_equal(half, whole)


# Memory.


def test_peak_is_that_of_the_process() -> None:
    start_measuring(CPU.device)  # nothing can be forgotten there
    before = peak_mb(CPU.device)
    held = np.ones(40_000_000)
    after = peak_mb(CPU.device)
    assert 100 < before <= after < 100_000
    assert after * 2**20 >= held.nbytes
    del held
    assert peak_mb(CPU.device) >= after


def test_history_tells_the_peak(network: Network, encode_rows: EncodeRows) -> None:
    rows: Encoded = encode_rows(toy_rows(8, seed=1))
    history = finetune(network, rows, rows, Recipe(5e-3, 0.0, 8, 99, "epochs", 0, 3, None), 1)
    peaks = [moment.peak_mb for moment in history]
    assert peaks == sorted(peaks)
    assert peaks[0] > 100
    assert predict(network, rows).shape == (8, 2)
