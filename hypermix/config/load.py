"""From what Snakemake merged to a checked config, with every mistake told at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hypermix.config.model import AnyAugmenter, AnyClassifier, AnyDataset, AnyLlm, Config
from hypermix.errors import ConfigError, accepted
from hypermix.packages import is_path
from hypermix.tables import KEYS

_VARIANTS = {"datasets": AnyDataset, "llms": AnyLlm, "augmenters": AnyAugmenter, "classifiers": AnyClassifier}
_TAGS = ("source", "api", "method")
_NUMBER = re.compile(r"^[+-]?[0-9.]+([eE][+-]?[0-9]+)?$")
_WANTED = {
    "string_pattern_mismatch": "text without line breaks and brackets; in a name letters, digits, - and _ alone",
    "string_too_short": "text that is not empty",
    "model_type": "a mapping of settings",
    "dict_type": "a mapping of names to settings",
    "model_attributes_type": "a mapping of settings",
    "list_type": "a list",
    "too_short": "at least one entry",
}
_SIZE = "a size such as '32s' (rows a class) or '0.01f' (share of train)"


def load_config(raw: Mapping[str, Any]) -> Config:
    """Check a config and give it its defaults.

    Args:
        raw: The merged mapping, as YAML gives it. A named variant that is null is taken away.

    Returns:
        The config; nothing else should be read afterwards.

    Raises:
        ConfigError: With one line a mistake: the key, what stands there, what may stand there.
    """
    present = without_removed(raw)
    mistakes: list[str] = []
    config = None
    try:
        config = Config.model_validate(present)
    except ValidationError as error:
        mistakes += [_word(detail, present) for detail in error.errors()]
    mistakes += [*_unknown_names(present), *_repeated(present)]
    if not mistakes and config is not None:
        return config
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    raise ConfigError("\n".join([f"the config has {count}:", *(f"  {line}" for line in mistakes)]))


def check_files(config: Config) -> None:
    """Check that the user's own files are there, so that no hour is spent before a job misses one.

    Raises:
        ConfigError: With one line for each file or folder that is missing.
    """
    named = {
        f"datasets.{name}.{split}": getattr(dataset, split, None)
        for name, dataset in config.datasets.items()
        for split in ("train", "validation", "test")
    }
    for section, models in (("llms", config.llms), ("classifiers", config.classifiers)):
        named |= {
            f"{section}.{name}.model": variant.model for name, variant in models.items() if is_path(variant.model)
        }
    missing = [f"  {where}: {path}: no such file" for where, path in named.items() if path and not Path(path).exists()]
    if missing:
        here = f"paths are taken from {Path.cwd().name}/, the folder that snakemake runs in:"
        raise ConfigError("\n".join([f"the config names what is not there; {here}", *missing]))


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
        if isinstance(here, Mapping) and part not in here and (not last or _is_tag(here, part)):
            continue
        if part in {"[key]", "plan", "list"}:
            continue
        path.append(part)
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
    else:
        for part in path[:-1]:
            field = model.model_fields.get(str(part))
            model = (_model_in(field.annotation) if field else None) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(kind: Any) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((model for part in get_args(kind) if (model := _model_in(part))), None)


def _unknown_names(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find names that point to nothing; works on a config that has other mistakes too."""
    augmenters = _section(raw, "augmenters")
    llms = _names(raw, "llms")
    for name, augmenter in augmenters.items():
        llm = augmenter.get("llm") if isinstance(augmenter, Mapping) else None
        if isinstance(llm, str) and llm not in llms:
            yield f"augmenters.{name}.llm: {llm!r} is no key of llms; {accepted(llm, llms)}"
    for position, name in enumerate(_items(_section(raw, "report").get("baselines"))):
        if name not in (known := _names(raw, "augmenters")):
            yield f"report.baselines[{position}]: {name!r} is no key of augmenters; {accepted(str(name), known)}"
    for section in ("only", "except"):
        for position, partial in enumerate(_items(raw.get(section))):
            if isinstance(partial, Mapping):
                yield from _unknown_in_key(f"{section}[{position}]", partial, raw)


def _unknown_in_key(where: str, partial: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[str]:
    named = {"dataset": "datasets", "augmenter": "augmenters", "classifier": "classifiers"}
    for key, value in partial.items():
        if key not in KEYS:
            yield f"{where}.{key}: unknown key; {accepted(str(key), KEYS)}"
        elif key in named and value not in (known := _names(raw, named[key])):
            yield f"{where}.{key}: {value!r} is no key of {named[key]}; {accepted(str(value), known)}"


def _repeated(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find entries that stand twice in a list whose entries are parts of a path."""
    lists = {
        "subsample.train": _section(raw, "subsample").get("train"),
        "seeds.data": _section(raw, "seeds").get("data"),
        "seeds.trials": _section(raw, "seeds").get("trials"),
    }
    for where, value in lists.items():
        entries = _items(value)
        for position, entry in enumerate(entries):
            if entry in entries[:position]:
                yield f"{where}[{position}]: {entry!r} stands there twice; each entry may stand there once"


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = raw.get(name)
    return section if isinstance(section, Mapping) else {}


def _names(raw: Mapping[str, Any], section: str) -> list[str]:
    return [str(name) for name in _section(raw, section)]


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
