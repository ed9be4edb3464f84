"""What the named recipes of training say, with their sources.

A recipe fills in the settings that a classifier does not give, before anything else is checked. So naming a recipe and
writing its values out are the same experiment, and a value that is given, `null` too, is always stronger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HYPERMIX: dict[str, Any] = {
    "learning_rate": 5.0e-5,
    "epsilon": 1.0e-8,
    "weight_decay": 0.0,
    "clip": None,
    "batch_size": 32,
    "schedule": "constant",
    "warmup": 0.0,
    "epochs": None,
    "max_steps": None,
    "patience": 10,
    "patience_unit": "epochs",
    "keep": "best",
    "validate_every": None,
    "reinit_layers": 0,
    "reinit_of": None,
    "max_length": 512,
}
"""The reference's (GPT3Mix, Yoo et al. 2021), as its code has it: naver-ai/hypermix."""

MOSBACH: dict[str, Any] = {
    **HYPERMIX,
    "learning_rate": 2.0e-5,
    "epsilon": 1.0e-6,
    "weight_decay": 0.01,
    "clip": 1.0,
    "batch_size": 16,
    "schedule": "linear",
    "warmup": 0.1,
    "epochs": 20,
    "patience": None,
    "keep": "last",
    "max_length": 128,
}
"""The strong baseline of Mosbach et al. 2021, as a file of its code has it (uds-lsv/bert-stable-fine-tuning,
configs/rte/pooler-bert-large-uncased_bsz_16_lr_2e-05_adamW_bias-correct_early-stopping_20.yaml).

One value is ours: that code trains all 20 epochs and keeps the weights that were best on the development set, which
has hundreds of rows; on a few dozen that picks a lucky epoch, so the last weights are kept here.
"""

ZHANG: dict[str, Any] = {
    **HYPERMIX,
    "learning_rate": 2.0e-5,
    "clip": 1.0,
    "schedule": "linear",
    "warmup": 0.1,
    "max_steps": 400,
    "patience": None,
    "keep": "last",
    "validate_every": 40,
    "reinit_layers": 5,
    "reinit_of": 24,
    "max_length": 128,
}
"""Zhang et al. 2021, from two of its commands (asappresearch/revisit-bert-finetuning, sample_commands/reinit.sh and
debiased_adam_longer.sh, on RTE with BERT-large of 24 layers) and the defaults of its options.py.

That code tests both the best and the last weights; the last are kept here, as in `MOSBACH`.
"""

RECIPES: dict[str, dict[str, Any]] = {"hypermix": HYPERMIX, "mosbach": MOSBACH, "zhang": ZHANG}

PAPER: dict[str, Any] = {"alpha": 0.75, "layers": [7, 9, 12], "layers_of": 12, "share_of": "row", "larger": False}
"""TMix as the reference has it: a share for each row, the defaults of its code, layers counted from 1."""

MIXTEXT: dict[str, Any] = {**PAPER, "alpha": 16.0, "share_of": "batch", "larger": True}
"""TMix as MixText trains it (Chen et al. 2020; SALT-NLP/MixText: the command for MixText in README.md, code/train.py).

One share a batch, and the larger of it and its complement is the row's own. The command for TMix alone, in the same
README, has alpha 2 and takes the share as it is drawn.
"""

MIXINGS: dict[str, dict[str, Any]] = {"hypermix": PAPER, "mixtext": MIXTEXT}


def fill(given: Any, key: str, named: Mapping[str, Mapping[str, Any]]) -> Any:
    """Fill in what a mapping of settings does not give.

    Args:
        given: The settings as the config has them.
        key: The setting that names a recipe; if it is not given it is `hypermix`.
        named: The recipes by name.

    Returns:
        The settings with those of the recipe below them; unchanged if they name no known recipe, which is told later.
    """
    if not isinstance(given, Mapping):
        return given
    name = given.get(key, "hypermix")
    return {**named[name], **given} if isinstance(name, str) and name in named else given
