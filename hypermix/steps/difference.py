"""What differs between two slices, in the keys of the config that a user edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypermix.hashing import canonical_json
from hypermix.report.why import Change

_ABSENT: Any = object()


def name_changes(stage: str, keys: Mapping[str, Any], old: Any, new: Any) -> list[Change]:
    """Name what differs between two slices of a stage.

    Args:
        stage: The stage, or ``match`` for the augmentation of matched rows.
        keys: The keys of the job that has the slice: ``dataset``, ``augmenter``, ``classifier``.
        old: The slice that a file was made with; None if the file does not tell.
        new: The slice that the config gives now.

    Returns:
        A change for each key of the config, each with its values as JSON.
    """
    if not isinstance(old, Mapping):
        return []
    own = {name: part for name, part in old.items() if name not in _consequences(old, new)}
    wanted = {name: part for name, part in new.items() if name not in _consequences(old, new)}
    return [
        Change(_name(stage, keys, new, path), _word(before), _word(after))
        for path, before, after in _differences(own, wanted)
    ]


def _consequences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parts that differ since another language model is named, or none any more."""
    named = [part.get("llm", {}).get("name") for part in (old, new)]
    if named[0] == named[1]:
        return ()
    return ("llm", "task") if None in named else ("llm",)


def _differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from _differences(old.get(name, _ABSENT), new.get(name, _ABSENT), (*path, name))
    elif old is _ABSENT or new is _ABSENT or canonical_json(old) != canonical_json(new):
        yield path, old, new


def _word(value: Any) -> str | None:
    return None if value is _ABSENT else canonical_json(value)


def _name(stage: str, keys: Mapping[str, Any], new: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Name a place in a slice by the key of the config that it comes from."""
    first, *rest = path
    augmenter, dataset = keys.get("augmenter"), keys.get("dataset")
    if first == "method_version":
        return f"method version of {stage} in HyperMix"
    if first == "package":
        owner = f"classifiers.{keys.get('classifier')}" if stage == "train" else f"augmenters.{augmenter}"
        return f"package of {owner}.name"
    if path == ("augmenter", "template"):
        return f"text of augmenters.{augmenter}.template"
    sections = {
        "dataset": f"datasets.{dataset}",
        "task": f"datasets.{dataset}",
        "sizes": "subsample",
        "augmenter": f"augmenters.{augmenter}",
        "llm": f"llms.{new.get('llm', {}).get('name')}",
        "quality": "quality",
        "classifier": f"classifiers.{keys.get('classifier')}",
        "threads": "threads",
        "config": "",
    }
    return ".".join(part for part in (sections.get(first, first), *rest) if part)
