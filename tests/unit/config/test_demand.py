"""What jobs ask of a cluster follows the config."""

from __future__ import annotations

from typing import Any

import pytest

from hypermix.config import demand
from hypermix.config.load import load_config
from hypermix.config.model import Config


def load(llm: dict[str, Any] | None = None, device: str = "auto") -> Config:
    return load_config(
        {
            "datasets": {"rt": {"source": "packaged", "name": "rt-snippets"}},
            "llms": {"my-llm": llm or {"api": "embedded"}},
            "augmenters": {"none": {"method": "none"}, "mix": {"method": "gpt3mix", "llm": "my-llm"}},
            "classifiers": {"small": {"method": "finetune", "device": device}},
        }
    )


@pytest.mark.parametrize(("device", "gpus"), [("auto", 0), ("cpu", 0), ("cuda", 1)])
def test_training_asks_for_a_gpu_that_it_insists_on(device: str, gpus: int) -> None:
    assert demand.classifier_gpus(load(device=device), "small") == gpus


@pytest.mark.parametrize(("dtype", "gpus"), [("float32", 0), ("bfloat16", 1)])
def test_augmentation_asks_for_a_gpu_for_numbers_of_one(dtype: str, gpus: int) -> None:
    config = load({"api": "transformers", "model": "some-lab/model", "dtype": dtype})
    assert demand.augmenter_gpus(config, "mix") == gpus
    assert demand.augmenter_gpus(config, "none") == 0


def test_augmentation_that_waits_may_take_longer() -> None:
    batch = load({"api": "batch", "model": "a"})
    asking = load({"api": "chat", "model": "a"})
    minutes = [demand.augmenter_minutes(*pair) for pair in ((batch, "mix"), (asking, "mix"), (asking, "none"))]
    assert minutes == sorted(minutes, reverse=True)
    assert minutes[0] > 24 * 60


def test_resource_of_an_endpoint_is_a_name_that_snakemake_takes() -> None:
    assert demand.endpoint_resources(load()) == {"my-llm": "llm_my_llm"}
