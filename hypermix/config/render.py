"""The files that are made from the config model: the JSON schema and `config/README.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hypermix.config.experiment import stage_of
from hypermix.config.load import variant_models
from hypermix.config.model import Config

_SECTIONS = ("datasets", "llms", "augmenters", "classifiers")
_INTRODUCTION = """# The config

<!-- Made by `hypermix config write` from hypermix/config/model.py: change it there. -->

`config.yaml` is the experiment that `snakemake --cores N` runs. Change it, or lay files over it:
`snakemake --cores N --configfile config/config.yaml mine.yaml`. Files merge by key; a variant that is null is gone.

Datasets, language models, augmenters and classifiers are *named variants*. An ablation is one more name, never an edit
of a used one: a new name costs only itself, an edit makes its runs again. The last column tells the stage that runs
again when a setting changes, with all that follow it: prepare, subsample, augment, train, evaluate, aggregate. Settings
of the stage `runtime` change no result and make nothing run again.

YAML reads `5e-5` as text: write `5.0e-5`.
"""


def json_schema() -> str:
    """Return the JSON schema of the config, for editors."""
    return json.dumps(Config.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"


def reference() -> str:
    """Return `config/README.md`: every setting with its meaning, default and stage."""
    lines = [_INTRODUCTION]
    plain = [name for name in Config.model_fields if name not in _SECTIONS and not _section_model(Config, name)]
    for name in _SECTIONS:
        lines += _variants(name)
    for name in Config.model_fields:
        model = _section_model(Config, name)
        if model is not None and name not in _SECTIONS:
            lines += [f"## `{name}`\n", *_about(model), *_table(model, list(model.model_fields), f"{name}.")]
    lines += ["## The rest\n", *_table(Config, plain, "")]
    return "\n".join(lines).rstrip() + "\n"


def _variants(section: str) -> Iterator[str]:
    yield f"## `{section}`\n"
    for tag, model in variant_models(section).items():
        key = next(name for name in ("source", "api", "method") if name in model.model_fields)
        yield f"### `{key}: {tag}`\n"
        yield from _about(model)
        yield from _table(model, [name for name in model.model_fields if name != key], f"{section}.NAME.")


def _about(model: type[BaseModel]) -> Iterator[str]:
    yield f"{' '.join((model.__doc__ or '').split())}\n"


def _table(model: type[BaseModel], names: list[str], prefix: str) -> Iterator[str]:
    yield "| key | meaning | default | stage |"
    yield "| --- | --- | --- | --- |"
    for name in names:
        field = model.model_fields[name]
        key = f"`{prefix}{field.alias or name}`"
        yield f"| {key} | {_meaning(field)} | {_default(field)} | {stage_of(model, name)} |"
    yield ""


def _meaning(field: FieldInfo) -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = f" Unit: {extra['unit']}." if "unit" in extra else ""
    return f"{field.description}{unit}".replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value: Any = field.get_default(call_default_factory=True)
    plain = value.model_dump() if isinstance(value, BaseModel) else value
    return f"`{json.dumps(plain)}`"


def _section_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    annotation = model.model_fields[name].annotation
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
