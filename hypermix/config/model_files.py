"""The files of models that lie here: inputs of the rules that use them, so that new ones are noticed."""

from __future__ import annotations

from pathlib import Path

from hypermix.config.augmenter import asked_llm
from hypermix.config.augmenter_offline import local_models
from hypermix.config.model import Config

_SUFFIXES = (".json", ".model", ".safetensors", ".spm", ".txt")


def model_files(model: str) -> list[str]:
    """Name the files of a model, if it lies here: a file, or a folder of one."""
    path = Path(model).expanduser()
    if path.is_dir():
        return sorted(str(file) for file in path.iterdir() if file.suffix in _SUFFIXES)
    return [str(path)] if path.is_file() else []


def encoder_files(model: str) -> list[str]:
    """Name the files of an encoder, with those of a sentence encoder's modules."""
    modules = Path(model).expanduser().glob("[0-9]*_*/*")
    return [*model_files(model), *sorted(str(file) for file in modules if file.is_file())]


def llm_files(config: Config, augmenter: str) -> list[str]:
    """Name the files of the models that an augmenter asks; of a hosted one it has the name alone."""
    chosen = config.augmenters[augmenter]
    name, relabel = asked_llm(chosen), getattr(chosen, "relabel", None)
    llm = config.llms[name] if name else None
    asked = model_files(llm.model) if llm and llm.api in {"embedded", "transformers"} else []
    return [*asked, *(encoder_files(relabel.model) if relabel and relabel.by == "classifier" else [])]


def rewriter_files(config: Config, augmenter: str) -> list[str]:
    """Name the files of the models that rewrite texts for an augmenter."""
    models = local_models(config.augmenters[augmenter])
    return [file for model in models.values() for file in model_files(model)]
