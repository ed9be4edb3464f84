"""Batches that do not fit: a network that raises torch's own error above some number of rows, on a CPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hypermix.classify import finetune as module
from hypermix.classify.embed import Embedding, embed
from hypermix.classify.encode import Encoded
from hypermix.classify.finetune import finetune, predict
from hypermix.classify.mixing import Mixing, take_part
from hypermix.classify.model import load_classifier
from hypermix.classify.network import Network, Pooling
from hypermix.classify.recipe import Recipe
from hypermix.classify.room import Room
from hypermix.classify.tmix import Mixer
from hypermix.errors import TrainError
from tests.integration.classify.architectures import make_model, make_rows
from tests.integration.classify.conftest import EncodeRows
from tests.tiny import toy_rows

RECIPE = Recipe(5e-3, 0.0, 8, 99, "epochs", 0, 6, 3)
MIXER = Mixer(0.75, [1, 2], "row", larger=False, seed=1)


class Narrow(Network):
    """A network whose memory takes so many rows."""

    most = 10**9
    calls: list[int]

    def logits(self, rows: Encoded, positions: Sequence[int], mixing: Mixing | None = None) -> torch.Tensor:
        self._take(positions)
        return super().logits(rows, positions, mixing)

    def embeddings(self, rows: Encoded, positions: Sequence[int], pooling: Pooling) -> torch.Tensor:
        self._take(positions)
        return super().embeddings(rows, positions, pooling)

    def _take(self, positions: Sequence[int]) -> None:
        if len(positions) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.calls.append(len(positions))


def narrow(tiny: Path, most: int) -> Narrow:
    """Load the tiny model without dropout, which parts would draw otherwise."""
    network = Narrow(load_classifier(str(tiny), 2, seed=1)[0].model)
    network.most, network.calls = most, []
    for part in network.model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    for layer in network.layers:
        layer.get_submodule("attention.self").dropout.p = 0.0  # type: ignore[union-attr]
    return network


def gradients(network: Network, rows: Encoded, mixer: Mixer | None) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss and the gradients of one step that changes nothing."""
    optimizer = torch.optim.SGD(network.model.parameters(), lr=0.0)
    loss = module._step(network, optimizer, rows, list(range(len(rows))), 1, mixer, None)
    return loss, {name: part.grad for name, part in network.model.named_parameters() if part.grad is not None}


@pytest.fixture(scope="module")
def rows(encode_rows: EncodeRows) -> Encoded:
    found = encode_rows(toy_rows(13, seed=1))
    weights = np.linspace(0.2, 2.0, len(found), dtype=np.float32)[:, None]  # rows of unequal weight
    return replace(found, targets=(0.8 * found.targets + 0.1).astype(np.float32) * weights)


# The same result in parts.


@pytest.mark.parametrize("most", [12, 7, 5, 2])
@pytest.mark.parametrize("mixer", [None, MIXER], ids=["finetune", "tmix"])
def test_parts_have_the_loss_and_gradients_of_the_batch(
    tiny: Path, rows: Encoded, most: int, mixer: Mixer | None
) -> None:
    whole, parted = narrow(tiny, 99), narrow(tiny, most)
    wanted_loss, wanted = gradients(whole, rows, mixer)
    loss, found = gradients(parted, rows, mixer)
    assert parted.training_room.parts > whole.training_room.parts == 1
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("mixer", [None, MIXER], ids=["finetune", "tmix"])
def test_training_goes_on_after_memory_ran_out(tiny: Path, rows: Encoded, mixer: Mixer | None) -> None:
    runs = []
    for most in (99, 3):
        network = narrow(tiny, most)
        history = finetune(network, rows, rows, RECIPE, 1, mixer=mixer)
        runs.append((history[-1].train_loss, predict(network, rows)))
    assert runs[1][0] == pytest.approx(runs[0][0], rel=1e-3)
    assert runs[1][1] == pytest.approx(runs[0][1], abs=1e-3)


def test_predictions_in_parts_are_those_of_the_batch(tiny: Path, rows: Encoded) -> None:
    assert predict(narrow(tiny, 3), rows) == pytest.approx(predict(narrow(tiny, 99), rows), abs=1e-6)


def test_embeddings_in_parts_are_those_of_the_batch(tiny: Path, rows: Encoded) -> None:
    one, other = (embed(narrow(tiny, most), rows, Embedding()) for most in (3, 99))
    assert one == pytest.approx(other, abs=1e-6)


# For the rest of the run.


def test_batches_stay_parted_and_it_is_told_once(tiny: Path, rows: Encoded, caplog: pytest.LogCaptureFixture) -> None:
    network = narrow(tiny, 4)
    with caplog.at_level(logging.WARNING):
        finetune(network, rows, rows, replace(RECIPE, max_steps=8, validate_every=8), 1)
    assert network.training_room.parts == 2
    assert network.calls[:16] == [4, 4, 2, 3] * 4  # batches of 8 and of 5 rows, then one of 13 for the accuracy
    assert network.room.parts == 4
    told = [message for message in caplog.messages if message.startswith("memory ran out")]
    assert told == [
        "memory ran out: from here on each batch is computed in 2 parts",  # training
        "memory ran out: from here on each batch is computed in 2 parts",  # prediction, in larger batches
        "memory ran out: from here on each batch is computed in 4 parts",
    ]


def test_optimizer_that_does_not_fit_is_told(tiny: Path, rows: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 400 MiB")

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(TrainError, match="memory is too small for the optimizer's means of this model's weights"):
        finetune(narrow(tiny, 99), rows, rows, RECIPE, 1)


def test_single_row_that_does_not_fit_is_told(tiny: Path, rows: Encoded) -> None:
    with pytest.raises(TrainError, match=r"memory is too small for a single row; lower the classifier's max_length"):
        predict(narrow(tiny, 0), rows)


def test_partner_counts_as_a_row_too(tiny: Path, rows: Encoded) -> None:
    with pytest.raises(TrainError, match="too small for a single row"):
        gradients(narrow(tiny, 1), rows, MIXER)


def test_work_before_the_error_is_undone() -> None:
    room, done = Room(), []

    def compute(part: list[int]) -> int:
        if len(part) > 2:
            raise torch.OutOfMemoryError
        done.append(part)
        return sum(part)

    assert room.run([1, 2, 3, 4, 5, 6, 7], compute, done.clear) == [1, 5, 9, 13]
    assert done == [[1], [2, 3], [4, 5], [6, 7]]


def test_other_errors_are_not_caught() -> None:
    def compute(part: list[int]) -> None:
        raise RuntimeError(str(part))

    with pytest.raises(RuntimeError, match=r"\[1, 2\]"):
        Room().run([1, 2], compute)


@given(st.integers(0, 40), st.integers(0, 7))
def test_parts_hold_each_row_once_and_none_is_empty(count: int, halvings: int) -> None:
    room = Room()
    room.parts = 2**halvings
    parts = room.cut(range(count))
    assert [row for part in parts for row in part] == list(range(count))
    assert len(parts) == min(count, 2**halvings)
    sizes = [len(part) for part in parts]
    assert not sizes or max(sizes) - min(sizes) <= 1


# A part of a batch that is mixed.


@given(st.integers(0, 2**32), st.data())
def test_part_brings_partners_along(seed: int, data: st.DataObject) -> None:
    mixing = replace(MIXER, seed=seed).draw(1, 9)
    places = data.draw(st.lists(st.integers(0, 8), min_size=1, unique=True))
    positions = [row + 100 for row in range(9)]
    taken, part = take_part(positions, mixing, places)
    assert part is not None
    assert taken[: len(places)] == [place + 100 for place in places]
    assert len(set(taken)) == len(taken) == len(part.partners) == len(part.shares)
    for row, place in enumerate(places):
        assert taken[part.partners[row]] == mixing.partners[place] + 100
        assert part.shares[row] == mixing.shares[place]


@pytest.mark.parametrize("name", ["bert", "modernbert", "deberta-v3"])
def test_mixed_logits_of_a_part_are_those_of_the_batch(name: str) -> None:
    network = Network(make_model(name))
    rows, mixing = make_rows(network.model), Mixing(1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0], [0.3] * 11)
    positions = list(range(11))
    whole = network.logits(rows, positions, mixing)
    places = [10, 0, 4]
    part = network.logits(rows, *take_part(positions, mixing, places))[:3]
    assert torch.allclose(part, whole[places], atol=1e-4)
