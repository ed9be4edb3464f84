"""Probe, SetFit, and what all classifiers say of their encoder."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hypermix.config.experiment import train_runtime, train_slice
from hypermix.config.load import load_config
from hypermix.errors import ConfigError
from tests.unit.config.conftest import RAW

METHODS = ("finetune", "tmix", "probe", "setfit")


def with_classifier(**settings: Any) -> dict[str, Any]:
    return {**RAW, "classifiers": {"own": settings}}


def slice_of(**settings: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(train_slice(load_config(with_classifier(**settings)), "own"))["classifier"]
    return told


def mistake(**settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(with_classifier(**settings))
    (line,) = str(caught.value).splitlines()[1:]
    return line.strip()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_an_encoder_and_a_place(method: str) -> None:
    told = slice_of(method=method)
    assert told["model"] == "package:minilm-l6"
    assert told["revision"] is None
    assert told["device"] == "auto"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("key", "value"), [("device", "cpu"), ("model", "acme/tiny")])
def test_encoder_and_device_are_what_training_depends_on(method: str, key: str, value: str) -> None:
    assert slice_of(method=method, **{key: value})[key] == value


@pytest.mark.parametrize("method", METHODS)
def test_revision_goes_with_a_model_of_the_hub(method: str) -> None:
    assert slice_of(method=method, model="acme/tiny", revision="v1")["revision"] == "v1"
    told = mistake(method=method, revision="v1")
    assert told.startswith("classifiers.own: ")
    assert "revision: null beside model: package:minilm-l6, whose version is that of its package" in told


@pytest.mark.parametrize(("key", "value"), [("device", "mps"), ("precision", "float16")])
def test_unknown_place_is_a_mistake(key: str, value: str) -> None:
    assert f"classifiers.own.{key}: " in mistake(method="probe", **{key: value})


def test_probe_learns_soft_labels_and_setfit_none() -> None:
    shared = {"targets", "sharpen", "label_smoothing", "synthetic_weight", "precision"}
    assert shared < slice_of(method="probe").keys()
    assert not shared & slice_of(method="setfit").keys()
    assert "classifiers.own.targets: " in mistake(method="setfit", targets="soft")


def test_probe_has_no_recipe() -> None:
    assert "classifiers.own.learning_rate: " in mistake(method="probe", learning_rate=1e-3)


@pytest.mark.parametrize("penalties", [[], [0.0], [-1.0], ["1"], [1.0, 0.1, 1.0]])
def test_penalties_are_positive_and_stand_there_once(penalties: list[Any]) -> None:
    assert "classifiers.own" in mistake(method="probe", penalties=penalties)


def test_penalties_keep_their_order() -> None:
    assert slice_of(method="probe", penalties=[0.1, 7, 0.3])["penalties"] == [0.1, 7.0, 0.3]


@pytest.mark.parametrize("key", ["epochs", "batch_size", "iterations"])
def test_setfit_counts_from_one(key: str) -> None:
    assert f"classifiers.own.{key}: " in mistake(method="setfit", **{key: 0})


def test_setfit_may_take_all_pairs() -> None:
    assert slice_of(method="setfit", iterations=None)["iterations"] is None


@pytest.mark.parametrize("offline", [False, True])
def test_offline_reaches_a_training_and_no_slice(offline: bool) -> None:
    config = load_config({**with_classifier(method="probe"), "offline": offline})
    assert train_runtime(config) == {"offline": offline}
    assert "offline" not in train_slice(config, "own")
