"""What several commands read: config files, the registry of datasets, amounts."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from hypermix.config.load import load_config, merge
from hypermix.config.model import Config
from hypermix.config.registry import REGISTRY_PATH, Registry, read_registry, read_yaml
from hypermix.errors import ConfigError

CONFIG = Path("config/config.yaml")
"""The config where none is named."""


def load(files: Iterable[Path]) -> Config:
    """Read config files, later ones laid over earlier ones, and check what they say.

    Snakemake lays what it is given over the default config. If that makes another experiment of these files, it is said
    on stderr.

    Args:
        files: Their paths.

    Raises:
        ConfigError: If the config is wrong.
    """
    paths = [*files]
    laid = _laid_over(paths)
    first = shlex.join(map(str, [CONFIG, *paths]))
    try:
        config = load_config(merged(paths), known_datasets())
    except ConfigError as error:
        if not isinstance(laid, Config):
            raise
        raise ConfigError(f"{error}\nLaid over {CONFIG} it is fine, so name it first: {first}") from None
    if laid not in (None, config):
        sys.stderr.write(
            f"Told of {shlex.join(map(str, paths))} alone. Snakemake lays it over {CONFIG}, which makes something else "
            f"of it; to see that, name both: {first}\n"
        )
    return config


def _laid_over(files: Sequence[Path]) -> Config | ConfigError | None:
    """Read files as Snakemake does, which lays them over the default config; None if that one is named or missing."""
    if not CONFIG.is_file() or CONFIG.resolve() in [path.resolve() for path in files]:
        return None
    try:
        return load_config(merged([CONFIG, *files]), known_datasets())
    except ConfigError as error:
        return error


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
