"""Setting a value in a file that a person wrote: comments, order and quotes stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hypermix.config.load import merge
from hypermix.config.registry import read_yaml
from hypermix.errors import ConfigError


def with_revisions(path: Path, commits: Mapping[str, str]) -> str:
    """Return the text of a config file with the revisions of some datasets set, and not another character changed.

    Args:
        path: The file.
        commits: The revision by the dataset's name.

    Raises:
        ConfigError: If the file is written in a way, such as with anchors, that does not let one value change alone.
    """
    wanted = read_yaml(path)
    raw = path.read_bytes().decode("utf-8")
    text = raw.replace("\r\n", "\n")
    try:
        for name, commit in commits.items():
            text = _with_revision(text, _scalar(name), name, _scalar(commit))
            wanted = merge(wanted, {"datasets": {name: {"revision": commit}}})
        made = yaml.safe_load(text)
    except yaml.YAMLError:
        made = None
    if made != wanted:  # an anchor, say, whose other users must not change
        lines = "; ".join(f"datasets.{name}.revision: {commit}" for name, commit in commits.items())
        raise ConfigError(f"{path}: is written in a way that cannot be edited without harm; write yourself: {lines}")
    return text.replace("\n", "\r\n") if "\r\n" in raw else text


def _scalar(text: str) -> str:
    """Put text in quotes that YAML would take for a number, a truth value or null."""
    return text if yaml.safe_load(text) == text else f'"{text}"'


def _with_revision(text: str, key: str, name: str, commit: str) -> str:
    """Set one revision at the place that the YAML reader tells, so that comments, order and quotes stay."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    datasets = _child(root, "datasets")
    if not isinstance(datasets, yaml.MappingNode):
        return f"{text.rstrip()}\n\ndatasets:\n  {key}:\n    revision: {commit}\n"
    variant = _child(datasets, name)
    if not isinstance(variant, yaml.MappingNode):
        return _insert(text, datasets, key, f"{{revision: {commit}}}", None)
    revision = _child(variant, "revision")
    if revision is not None:
        start, end = revision.start_mark.index, revision.end_mark.index
        return text[:start] + (" " if start == end else "") + commit + text[end:]
    before = (_child(variant, key) for key in ("path", "source"))
    anchor = next((node for node in before if isinstance(node, yaml.ScalarNode)), None)
    return _insert(text, variant, "revision", commit, anchor)


def _child(mapping: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs: Sequence[Any] = mapping.value if isinstance(mapping, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _insert(text: str, mapping: yaml.MappingNode, key: str, value: str, after: yaml.Node | None) -> str:
    """Put a key behind the value `after`, or first."""
    first = mapping.value[0][0].start_mark if mapping.value else None
    if mapping.flow_style or first is None:
        start = after.end_mark.index if after else mapping.start_mark.index + 1
        made = f", {key}: {value}" if after else f"{key}: {value}{', ' if first else ''}"
        return text[:start] + made + text[start:]
    if after is None:
        return text[: first.index] + f"{key}: {value}\n{' ' * first.column}" + text[first.index :]
    end = text.find("\n", after.end_mark.index)
    start = len(text) if end < 0 else end
    return text[:start] + f"\n{' ' * first.column}{key}: {value}" + text[start:]
