"""Augmenters and classifiers of other packages, found by their entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, NamedTuple

from hypermix.errors import AugmentError, HypermixError, TrainError, accepted

Kind = Literal["augmenter", "classifier"]


class _Kind(NamedTuple):
    group: str
    article: str
    takes: str
    error: type[HypermixError]


_KINDS: dict[str, _Kind] = {
    "augmenter": _Kind("hypermix.augmenters", "an", "(settings, material)", AugmentError),
    "classifier": _Kind("hypermix.classifiers", "a", "(settings, lesson)", TrainError),
}

GROUPS = {name: kind.group for name, kind in _KINDS.items()}
"""The group of entry points of each kind of thing that a package may add."""


def plugin_names(kind: Kind = "augmenter") -> list[str]:
    """Return the names of what installed packages add of a kind, sorted."""
    return sorted({found.name for found in entry_points(group=GROUPS[kind])})


def check_plugin(name: str, kind: Kind) -> str:
    """Return a name that stands in a config.

    Raises:
        ValueError: If no installed package adds it; the message tells what is wanted.
    """
    if name not in (known := plugin_names(kind)):
        raise ValueError(
            f"{_KINDS[kind].article} {kind} that an installed package adds in its entry points {GROUPS[kind]}; "
            f"{accepted(name, known)}"
        )
    return name


def find_plugin(name: str, kind: Kind = "augmenter") -> EntryPoint:
    """Return the entry point of an augmenter or a classifier.

    Raises:
        AugmentError: If no installed package has the augmenter, or several have.
        TrainError: The same for a classifier.
    """
    about = _KINDS[kind]
    found = sorted(entry_points(group=about.group, name=name), key=lambda entry: (_package(entry), entry.value))
    if not found:
        raise about.error(
            f"no installed package adds {about.article} {kind} {name!r} in its entry points {about.group}; "
            f"{accepted(name, plugin_names(kind))}"
        )
    if len({entry.value for entry in found}) > 1:
        owners = ", ".join(_package(entry) for entry in found)
        raise about.error(f"the packages {owners} each add {about.article} {kind} {name!r}; uninstall all but one")
    return found[0]


def load_plugin(name: str, kind: Kind = "augmenter") -> Any:
    """Import the factory of an augmenter, or the function of a classifier.

    Raises:
        AugmentError: If the augmenter is not there or cannot be called.
        TrainError: The same for a classifier.
    """
    entry, about = find_plugin(name, kind), _KINDS[kind]
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise about.error(f"the {kind} {name!r} of {_package(entry)} cannot be imported: {error}") from error
    if not callable(found):
        raise about.error(
            f"the {kind} {name!r} of {_package(entry)} is {entry.value}, which is no function of {about.takes}; "
            "correct its entry point"
        )
    return found


def plugin_version(name: str, kind: Kind = "augmenter") -> str:
    """Return package and version: with another one the results may be others.

    Raises:
        AugmentError: If the augmenter is not there.
        TrainError: If the classifier is not there.
    """
    return _package(find_plugin(name, kind))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package without a name"
