"""A small config with each kind of variant, and a way to change one key of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hypermix.config.load import load_config
from hypermix.errors import ConfigError

Change = Callable[[str, Any], dict[str, Any]]

PRICE = {"input": 0.1, "output": 0.5, "as_of": "2026-11-22", "source": "the page of prices"}

RAW: dict[str, Any] = {
    "datasets": {
        "rt": {"source": "packaged"},
        "mine": {"source": "file", "train": "a.csv", "label_words": {"5": "good"}},
        "tone": {"source": "hub", "path": "some-lab/tone", "config": "en", "text": ["title", "body"], "test": None},
        "known": {"source": "registry", "name": "sst2", "path": "SetFit/sst2", "labels": {"0": "bad"}, "test": None},
    },
    "subsample": {"train": ["16s", "0.1f"]},
    "seeds": {"data": {"master": 42, "count": 3}, "trials": [7, 8]},
    "llms": {
        "local": {"api": "embedded"},
        "other": {"api": "embedded", "model": "other.gguf"},
        "luna": {
            "api": "chat",
            "model": "luna",
            "key": {"env": "LUNA_KEY"},
            "limits": {"requests_per_min": 500, "tokens_per_min": 200000},
            "price": {**PRICE},
            "reasoning_effort": "none",
            "extra": {"service_tier": "flex"},
        },
        "server": {"api": "completions", "model": "base", "base_url": "http://127.0.0.1:8000/v1", "price": {**PRICE}},
        "cheap": {"api": "batch", "model": "luna", "key": {"file": "openai-key"}, "price": {**PRICE}},
        "own": {"api": "transformers", "model": "some-lab/small"},
    },
    "augmenters": {
        "none": {"method": "none"},
        "copy": {"method": "duplicate"},
        "mix": {"method": "gpt3mix", "llm": "local"},
        "mix2": {"method": "gpt3mix", "llm": "other", "examples": 4},
        "talk": {"method": "gpt3mix", "llm": "luna"},
        "score": {"method": "gpt3mix", "llm": "server"},
        "night": {"method": "gpt3mix", "llm": "cheap"},
        "here": {"method": "gpt3mix", "llm": "own"},
    },
    "classifiers": {
        "minilm": {"method": "finetune"},
        "slow": {"method": "tmix", "model": "some-lab/large", "learning_rate": 1e-5, "max_steps": 100},
        "quick": {"method": "probe", "model": "some-lab/large"},
        "pairs": {"method": "setfit", "model": "some-lab/large"},
    },
    "budget": {"usd": 5.0, "requests": 1000, "tokens": 100000},
    "report": {"baselines": ["none"]},
}


def set_key(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy with one key set; parts of the path that do not stand there are made."""
    out = copy.deepcopy(raw)
    here = out
    *parents, last = path.split(".")
    for part in parents:
        here = here.setdefault(part, {})
    here[last] = value
    return out


@pytest.fixture
def raw() -> dict[str, Any]:
    """Return the config as YAML would give it."""
    return copy.deepcopy(RAW)


@pytest.fixture
def change() -> Change:
    """Return a function that gives the config with one key set, named as in ``seeds.data.count``."""
    return lambda path, value: set_key(RAW, path, value)


def mistakes(raw: Any) -> list[str]:
    """Return the lines of the error that a config gives, without the first."""
    with pytest.raises(ConfigError) as caught:
        load_config(raw)
    first, *lines = str(caught.value).splitlines()
    assert first == ("the config has 1 mistake:" if len(lines) == 1 else f"the config has {len(lines)} mistakes:")
    assert all(line.startswith("  ") for line in lines)
    return [line[2:] for line in lines]
