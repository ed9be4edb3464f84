"""What a config says of the machines that its jobs need: GPUs, minutes, shares of an endpoint. It changes no result."""

from __future__ import annotations

import re

from hypermix.config.augmenter import asked_llm
from hypermix.config.llm import BatchLlm, TransformersLlm
from hypermix.config.model import Config

_QUICK, _LONG, _DAY = 10, 60, 25 * 60
"""Minutes of an augmentation that asks no language model, that asks one, and that waits for a batch."""


def classifier_gpus(config: Config, classifier: str) -> int:
    """Return the GPUs of a training: one if its `device` insists on it; `auto` takes one only if it finds one."""
    return int(config.classifiers[classifier].device == "cuda")


def augmenter_gpus(config: Config, augmenter: str) -> int:
    """Return the GPUs of an augmentation: one for a model that computes here with numbers that are for a GPU."""
    llm = asked_llm(config.augmenters[augmenter])
    model = None if llm is None else config.llms[llm]
    return int(isinstance(model, TransformersLlm) and model.dtype != "float32")


def augmenter_minutes(config: Config, augmenter: str) -> int:
    """Return the minutes after which an augmentation may be ended; a cluster wants to know before it starts."""
    llm = asked_llm(config.augmenters[augmenter])
    if llm is None:
        return _QUICK
    return _DAY if isinstance(config.llms[llm], BatchLlm) else _LONG


def endpoint_resources(config: Config) -> dict[str, str]:
    """Name the resource by which the augmentations that ask a language model at once can be limited.

    Returns:
        The resource of each language model: `llm_` and its name, in which a hyphen becomes an underscore, since
        Snakemake takes no hyphen in the name of a resource.
    """
    return {name: "llm_" + re.sub(r"\W", "_", name) for name in config.llms}
