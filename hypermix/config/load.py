"""From what Snakemake merged to a checked config, with every mistake told at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hypermix.config.augmenter import asked_llm
from hypermix.config.augmenter_offline import local_models
from hypermix.config.augmenters import AnyAugmenter
from hypermix.config.check import SPLITS, augmenters_in_use, find_mistakes
from hypermix.config.classifier import AnyClassifier
from hypermix.config.dataset import AnyDataset, FileDataset
from hypermix.config.llm import AnyLlm, HostedLlm
from hypermix.config.model import Config
from hypermix.config.registry import Registry, expand, unknown_datasets
from hypermix.config.template import find_faults, template_files
from hypermix.errors import ConfigError, accepted
from hypermix.names import is_url
from hypermix.packages import is_path

_VARIANTS = {"datasets": AnyDataset, "llms": AnyLlm, "augmenters": AnyAugmenter, "classifiers": AnyClassifier}
_TAGS = ("source", "api", "method")
_TAG_PLACE = 2
_HIDDEN = ("base_url", "key", "extra")
"""Settings of a language model whose values are never shown: a key may stand there by mistake."""

_NUMBER = re.compile(r"^[+-]?[0-9.]+([eE][+-]?[0-9]+)?$")
_WANTED = {
    "string_pattern_mismatch": "text without line breaks and brackets; in a name letters, digits, - and _ alone",
    "string_too_short": "text that is not empty",
    "model_type": "a mapping of settings",
    "dict_type": "a mapping of names to settings",
    "model_attributes_type": "a mapping of settings",
    "list_type": "a list",
    "too_short": "at least one entry",
    "invalid-json-value": "text, a number, true, false, null, a list or a mapping (put a date in quotes)",
}
_SIZE = "a size such as '32s' (rows a class) or '0.01f' (share of train)"


def load_config(raw: Mapping[str, Any], registry: Registry | None = None) -> Config:
    """Check a config and give it its defaults.

    Args:
        raw: The merged mapping, as YAML gives it. A named variant that is null is taken away.
        registry: The known datasets, see `hypermix.config.registry`; none if a config is complete without.

    Returns:
        The config; nothing else should be read afterwards.

    Raises:
        ConfigError: With one line a mistake: the key, what stands there, what may stand there.
    """
    known = registry or {}
    present = expand(without_removed(raw), known)
    strangers = unknown_datasets(present, known)
    mistakes: list[str] = []
    config = None
    try:
        config = Config.model_validate(present)
    except ValidationError as error:
        mistakes += [_word(detail, present) for detail in error.errors() if not _lacks_entry(detail, strangers)]
    mistakes += [*strangers.values(), *find_mistakes(present)]
    if not mistakes and config is not None:
        return config
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    raise ConfigError("\n".join([f"the config has {count}:", *(f"  {line}" for line in mistakes)]))


def _lacks_entry(detail: ErrorDetails, strangers: Mapping[str, str]) -> bool:
    """Tell whether a hub id is missing for the sole reason that the registry does not know the dataset."""
    section, *variant = detail["loc"]
    missing = detail["type"] == "missing" and section == "datasets" and variant[-1:] == ["path"]
    return missing and variant[0] in strangers


def check_files(config: Config) -> None:
    """Check that the user's own files are there, so that no hour is spent before a job misses one.

    Raises:
        ConfigError: With one line for each file or folder that is missing, or each template that has a fault.
    """
    named = {
        f"datasets.{name}.{split}": path
        for name, dataset in config.datasets.items()
        if isinstance(dataset, FileDataset)
        for split in SPLITS
        if (path := getattr(dataset, split)) is not None and not is_url(path)
    }
    # The model of a hosted one is a name, whatever it looks like.
    local = {name: llm for name, llm in config.llms.items() if not isinstance(llm, HostedLlm)}
    for section, models in (("llms", local), ("classifiers", config.classifiers)):
        named |= {
            f"{section}.{name}.model": variant.model for name, variant in models.items() if is_path(variant.model)
        }
    if is_path(config.quality.model):
        named["quality.model"] = config.quality.model
    relabels = {name: getattr(augmenter, "relabel", None) for name, augmenter in config.augmenters.items()}
    named |= {
        f"augmenters.{name}.relabel.model": relabel.model
        for name, relabel in relabels.items()
        if relabel is not None and relabel.by == "classifier" and is_path(relabel.model)
    }
    named |= template_files(config)
    named |= {
        f"augmenters.{name}.{key}": model
        for name, augmenter in config.augmenters.items()
        for key, model in local_models(augmenter).items()
        if is_path(model)
    }
    missing = [f"  {where}: {path}: no such file{_nearest(path)}" for where, path in named.items() if _is_gone(path)]
    # Who takes a key for its place has put it there, so what stands there is not shown.
    keys = {f"llms.{name}.key.file": path for name, path in _key_files(config).items()}
    missing += [f"  {where}: no such file{_nearest(path)}" for where, path in keys.items() if _is_gone(path)]
    if missing:
        here = f"paths are taken from {Path.cwd().name}/, the folder that snakemake runs in:"
        raise ConfigError("\n".join([f"the config names what is not there; {here}", *missing]))
    faults = [f"  {fault}" for fault in find_faults(config)]
    if faults:
        raise ConfigError("\n".join(["the config names prompt templates with faults:", *faults]))


def _key_files(config: Config) -> dict[str, str]:
    """Return the key files of the language models that the experiment asks; a variable is read by the job alone."""
    used = augmenters_in_use(config.augmenters, config.only, config.except_)
    asked = [asked_llm(config.augmenters[name]) for name in used]
    return {
        name: llm.key.file
        for name, llm in config.llms.items()
        if name in asked and isinstance(llm, HostedLlm) and llm.key is not None and llm.key.file is not None
    }


def _is_gone(path: str) -> bool:
    try:
        return not Path(path).expanduser().exists()
    except OSError:  # a name that is longer than names may be
        return True


def _nearest(path: str) -> str:
    """Name the file beside the missing one whose name is most like it."""
    folder = Path(path).expanduser().parent
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    close = difflib.get_close_matches(Path(path).name, names, n=1)
    return f"; did you mean {str(folder / close[0])!r}?" if close else ""


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another by key, as Snakemake does with its config files."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if not isinstance(value, Mapping):
            merged[key] = value
        elif value or key not in merged:  # there too, an empty mapping changes nothing
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
    return merged


def without_removed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Take away the variants that an overlay set to null."""
    kept = dict(raw)
    for section in _VARIANTS:
        variants = kept.get(section)
        if isinstance(variants, Mapping):
            kept[section] = {name: value for name, value in variants.items() if value is not None}
    return kept


def variant_models(section: str) -> dict[str, type[BaseModel]]:
    """Return the models of a section of named variants, by the value of the key that tells them apart."""
    union = get_args(_VARIANTS[section])[0]
    models = get_args(union) or (union,)
    return {_tag(model)[1]: model for model in models}


def _tag(model: type[BaseModel]) -> tuple[str, str]:
    key = next(name for name in _TAGS if name in model.model_fields)
    return key, get_args(model.model_fields[key].annotation)[0]


def _word(detail: ErrorDetails, raw: Mapping[str, Any]) -> str:
    """Word one mistake that pydantic found in the terms of the file."""
    path = _user_path(detail["loc"], raw)
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "the config"
    found = detail["input"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key; {accepted(str(path[-1]), _known_keys(path, raw))}"
    if kind == "missing":
        return f"{where}: must be given"
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _word_tag(where, path, found)
    if kind == "value_error" and isinstance(found, Mapping):
        return f"{where}: {_wanted(detail)}"  # settings that do not go together: all of them would hide which
    if path[0] == "llms" and len(path) > 2 and path[2] in _HIDDEN:
        return f"{where}: {_wanted(detail)}{_hint(kind, found)}"
    return f"{where}: {found!r} stands there; {_wanted(detail)}{_hint(kind, found)}"


def _wanted(detail: ErrorDetails) -> str:
    if detail["type"] == "string_pattern_mismatch" and "[0-9]*s" in str(detail.get("ctx", {}).get("pattern")):
        return f"wanted is {_SIZE}"
    if detail["type"] == "value_error":
        return f"wanted is {detail['ctx']['error']}"
    if detail["type"] == "string_pattern_mismatch" and "{}" in str(detail.get("ctx", {}).get("pattern")):
        return "wanted is a folder, without braces and a last slash"
    if detail["type"] in _WANTED:
        return f"wanted is {_WANTED[detail['type']]}"
    message = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"wanted is {message}"


def _hint(kind: str, found: object) -> str:
    if kind in {"float_type", "int_type"} and isinstance(found, str) and _NUMBER.match(found):
        mantissa, _, exponent = found.lower().partition("e")
        if exponent and "." not in mantissa:
            return f" (YAML reads {found} as text; write {mantissa}.0e{exponent})"
        return " (take the quotes away)"
    if kind == "string_type" and not isinstance(found, (dict, list)):
        return " (put it in quotes)"
    return ""


def _word_tag(where: str, path: tuple[str | int, ...], found: object) -> str:
    models = variant_models(str(path[0]))
    key = _tag(next(iter(models.values())))[0]
    if not isinstance(found, Mapping):
        return f"{where}: {found!r} stands there; wanted are its settings, with the key {key!r}"
    if key not in found:
        return f"{where}.{key}: must be given; {accepted('', models)}"
    return f"{where}.{key}: {found[key]!r} stands there; {accepted(str(found[key]), models)}"


def _user_path(loc: tuple[str | int, ...], raw: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Drop the tags of unions, which pydantic puts into a path and no file has."""
    path: list[str | int] = []
    here: Any = raw
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if here is not raw and not isinstance(here, Mapping | list):
            continue
        # The tag stands right after the name of a variant; it may be the name of one of its settings too.
        if position == _TAG_PLACE and loc[0] in _VARIANTS and isinstance(here, Mapping) and _is_tag(here, part):
            continue
        if isinstance(here, Mapping) and part not in here and (not last or _is_tag(here, part)):
            continue
        if part in {"[key]", "plan", "list"}:
            continue
        path.append(str(part) if isinstance(here, Mapping) else part)  # a number may be a key
        here = _step(here, part)
    return tuple(path)


def _is_tag(here: Mapping[str, Any], part: str | int) -> bool:
    return any(here.get(key) == part for key in _TAGS)


def _step(here: Any, part: str | int) -> Any:
    if isinstance(here, Mapping):
        return here.get(part)
    if isinstance(here, list) and isinstance(part, int) and part < len(here):
        return here[part]
    return here


def _known_keys(path: tuple[str | int, ...], raw: Mapping[str, Any]) -> list[str]:
    model: type[BaseModel] = Config
    section = str(path[0])
    if section in _VARIANTS and len(path) > 2:
        models = variant_models(section)
        key = _tag(next(iter(models.values())))[0]
        tag = raw[section][path[1]].get(key)
        model = models[tag] if isinstance(tag, str) and tag in models else next(iter(models.values()))
        path = path[2:]
    for part in path[:-1]:
        field = model.model_fields.get(str(part))
        model = (_model_in(field.annotation) if field else None) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(kind: Any) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((model for part in get_args(kind) if (model := _model_in(part))), None)
