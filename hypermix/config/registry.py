"""The registry of datasets that HyperMix knows by name, and what a config takes from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hypermix.config.dataset import AnyDataset, PackagedDataset, RegistryDataset
from hypermix.errors import ConfigError, accepted

REGISTRY_PATH = Path("config/datasets.yaml")
"""Where the registry lies, from the folder that snakemake runs in."""

FACTS = ("rows", "labels", "license", "checked", "pitfalls")
"""What an entry says of a dataset for its document alone, under the key ``facts``."""

PACKAGED_LICENSES = {"rt-snippets": "MIT"}
"""The licenses of the datasets that packages carry."""

_MERGED = ("labels", "label_words")
_KEYS = tuple(name for name in RegistryDataset.model_fields if name not in {"source", "name"})

_COMMIT = re.compile(r"[0-9a-f]{40}")

Registry = Mapping[str, Mapping[str, Any]]


def is_commit(revision: object) -> bool:
    """Tell whether a revision is a commit, which never changes, and no branch or tag."""
    return isinstance(revision, str) and _COMMIT.fullmatch(revision) is not None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        ConfigError: If it is missing, cannot be read, is no YAML, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no mapping of settings")
    return content


def read_registry(path: Path) -> dict[str, dict[str, Any]]:
    """Read the registry.

    Args:
        path: The file, `REGISTRY_PATH` as a rule.

    Returns:
        Each entry by its name: the settings of a registry dataset, and ``facts``.

    Raises:
        ConfigError: If the file cannot be read, or an entry is no mapping, has an unknown key or no hub id.
    """
    entries = read_yaml(path)
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: {name}: {entry!r} stands there; wanted are the settings of a dataset")
        _check_keys(f"{path}: {name}", entry, (*_KEYS, "facts"))
        if not isinstance(entry.get("path"), str):
            raise ConfigError(f"{path}: {name}.path: must be given, the id of a dataset of the hub")
        if not isinstance(entry.get("facts", {}), dict):
            raise ConfigError(f"{path}: {name}.facts: wanted is a mapping with the keys {', '.join(FACTS)}")
        _check_keys(f"{path}: {name}.facts", entry.get("facts", {}), FACTS)
    return entries


def data_license(name: str, dataset: AnyDataset, registry: Registry) -> str | None:
    """Return the license of a dataset, in the words of its source; None if nothing here knows it.

    Args:
        name: Its name in the config.
        dataset: Its settings.
        registry: The known datasets.
    """
    if isinstance(dataset, PackagedDataset):
        return PACKAGED_LICENSES[dataset.name]
    if not isinstance(dataset, RegistryDataset):
        return None
    entry = registry.get(dataset.name or name, {})
    told = entry.get("facts", {}).get("license") if entry.get("path") == dataset.path else None
    return None if told in (None, "unknown") else str(told)


def _check_keys(where: str, found: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for key in found:
        if key not in known:
            raise ConfigError(f"{where}.{key}: unknown key; {accepted(str(key), known)}")


def expand(raw: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """Give each variant with ``source: registry`` all that the registry says of its dataset.

    The keys of the variant are stronger; `labels` and `label_words` are laid over the registry's by key. What is
    expanded already stays as it is.

    Args:
        raw: A config.
        registry: The entries by name; may be empty.

    Returns:
        The config with complete variants. A variant whose dataset is unknown is left alone, see `unknown_datasets`.
    """
    datasets = raw.get("datasets")
    if not isinstance(datasets, Mapping):
        return dict(raw)
    expanded = {
        variant: _expand_one(variant, settings, registry) if _is_registry(settings) else settings
        for variant, settings in datasets.items()
    }
    return {**raw, "datasets": expanded}


def unknown_datasets(raw: Mapping[str, Any], registry: Registry) -> dict[str, str]:
    """Find the variants whose dataset the registry does not have.

    Args:
        raw: A config, expanded or not.
        registry: The entries by name; if there are none, a variant with a hub id is complete as it is.

    Returns:
        The mistake in one line, by variant.
    """
    datasets = raw.get("datasets")
    found: dict[str, str] = {}
    for variant, settings in datasets.items() if isinstance(datasets, Mapping) else ():
        if not _is_registry(settings) or (not registry and "path" in settings):
            continue
        name = _dataset_name(variant, settings)
        if name not in registry:
            where = f"datasets.{variant}.name: {name!r} is no dataset of {REGISTRY_PATH}"
            found[variant] = f"{where}; {accepted(name, registry)}"
    return found


def _is_registry(settings: object) -> bool:
    return isinstance(settings, Mapping) and settings.get("source") == "registry"


def _dataset_name(variant: str, settings: Mapping[str, Any]) -> str:
    name = settings.get("name")
    return name if isinstance(name, str) else str(variant)


def _expand_one(variant: str, settings: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    name = _dataset_name(variant, settings)
    own = {**settings, "name": name} if settings.get("name") is None else dict(settings)
    entry = {key: value for key, value in registry.get(name, {}).items() if key != "facts"}
    if own.get("path", entry.get("path")) != entry.get("path"):
        entry.pop("revision", None)  # it is a commit of another repository
    if isinstance(own.get("labels"), Mapping):
        # A label that has another name here has no use for the registry's word.
        names = {**entry.get("labels", {}), **own["labels"]}.values()
        gone = {label for label in entry.get("labels", {}).values() if label not in names}
        words = entry.get("label_words", {})
        entry["label_words"] = {label: word for label, word in words.items() if label not in gone}
    for key in _MERGED:
        if isinstance(own.get(key), Mapping) and isinstance(entry.get(key), Mapping):
            own[key] = {**entry[key], **own[key]}
    return {**entry, **own}
