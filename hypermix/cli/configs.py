"""What several commands read: config files, the registry of datasets, amounts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from hypermix.config.load import load_config, merge
from hypermix.config.model import Config
from hypermix.config.registry import REGISTRY_PATH, Registry, read_registry, read_yaml

CONFIG = Path("config/config.yaml")
"""The config where none is named."""


def load(files: Iterable[Path]) -> Config:
    """Read config files, later ones laid over earlier ones, and check what they say.

    Args:
        files: Their paths.
    """
    return load_config(merged(files), known_datasets())


def merged(files: Iterable[Path]) -> dict[str, object]:
    """Read config files, later ones laid over earlier ones.

    Args:
        files: Their paths.
    """
    found: dict[str, object] = {}
    for path in files:
        found = merge(found, read_yaml(path))
    return found


def known_datasets() -> Registry | None:
    """Read the registry of datasets of the folder; None if it has none."""
    return read_registry(REGISTRY_PATH) if REGISTRY_PATH.exists() else None


def amount_of(text: str) -> float:
    """Read a number from 0.

    Args:
        text: The word of a command line.

    Raises:
        ValueError: If it is none.
    """
    amount = float(text)
    if not 0 <= amount < math.inf:
        raise ValueError(text)
    return amount
