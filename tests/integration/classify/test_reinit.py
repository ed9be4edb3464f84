from __future__ import annotations

import pytest
import torch

from hypermix.classify.network import Network
from hypermix.classify.reinit import reinit_top, scale_count
from hypermix.errors import TrainError
from tests.integration.classify.architectures import ARCHITECTURES, LAYERS, make_model, make_rows


def weights(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.model.state_dict().items()}


def drawn(name: str, count: int, seed: int) -> dict[str, torch.Tensor]:
    network = Network(make_model(name))
    reinit_top(network, count, seed)
    return weights(network)


@pytest.mark.parametrize("count", [1, LAYERS])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_top_layers_are_fresh_and_the_others_stay(name: str, count: int) -> None:
    network = Network(make_model(name))
    before = weights(network)
    prefixes = [part for part, module in network.model.named_modules() if module in network.layers[-count:]]
    pooler = getattr(network.model.base_model, "pooler", None)
    prefixes += [part for part, module in network.model.named_modules() if module is pooler]
    reinit_top(network, count, 1)
    for path, after in weights(network).items():
        fresh = path.startswith(tuple(f"{prefix}." for prefix in prefixes)) and after.dim() > 1
        assert torch.equal(before[path], after) != fresh, path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_fresh_weights_are_those_of_the_models_class(name: str) -> None:
    network = Network(make_model(name))
    with torch.no_grad():
        for parameter in network.layers[-1].parameters():
            parameter.add_(5.0)
    reinit_top(network, 1, 1)
    for path, parameter in network.layers[-1].named_parameters():
        if parameter.dim() > 1:
            assert parameter.mean().abs() < 0.01, path
            assert 0.002 < parameter.std() < 0.05, path
        else:
            assert set(parameter.unique().tolist()) <= {0.0, 1.0}, path


def test_seed_decides_the_weights() -> None:
    one, same, other = drawn("bert", 1, 5), drawn("bert", 1, 5), drawn("bert", 1, 6)
    assert all(torch.equal(one[path], same[path]) for path in one)
    assert not all(torch.equal(one[path], other[path]) for path in one)


def test_global_state_neither_matters_nor_changes() -> None:
    wanted = drawn("bert", 2, 5)
    network = Network(make_model("bert"))
    torch.manual_seed(99)
    before = torch.get_rng_state()
    reinit_top(network, 2, 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(wanted[path], tensor) for path, tensor in weights(network).items())


def test_marks_of_a_loaded_file_do_not_hold_it_back() -> None:
    network = Network(make_model("bert"))
    for parameter in network.model.parameters():
        parameter._is_hf_initialized = True  # type: ignore[attr-defined]
    before = network.layers[-1].get_parameter("output.dense.weight").detach().clone()
    reinit_top(network, 1, 1)
    assert not torch.equal(network.layers[-1].get_parameter("output.dense.weight"), before)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_layers_change_nothing(name: str) -> None:
    network = Network(make_model(name))
    before = weights(network)
    reinit_top(network, 0, 1)
    assert all(torch.equal(before[path], tensor) for path, tensor in weights(network).items())


def test_a_model_with_fresh_layers_computes() -> None:
    network = Network(make_model("bert"))
    rows = make_rows(network.model)
    before = network.logits(rows, [0, 1])
    reinit_top(network, 2, 1)
    after = network.logits(rows, [0, 1])
    assert torch.isfinite(after).all()
    assert not torch.allclose(before, after)


@pytest.mark.parametrize(
    ("count", "count_of", "n_layers", "wanted"),
    [(5, 24, 24, 5), (5, 24, 12, 3), (5, 24, 6, 2), (0, 24, 6, 0), (24, 24, 6, 6), (3, None, 6, 3), (6, None, 6, 6)],
)
def test_numbers_are_scaled_up_to_whole_layers(count: int, count_of: int | None, n_layers: int, wanted: int) -> None:
    assert scale_count(count, count_of, n_layers) == wanted


def test_more_layers_than_there_are_are_told() -> None:
    with pytest.raises(TrainError, match="reinit_layers is 7, and the model has 6 layers; lower it"):
        scale_count(7, None, 6)
