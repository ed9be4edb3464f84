"""Augmenters of other packages, found by their entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hypermix.errors import AugmentError, accepted

GROUP = "hypermix.augmenters"


def plugin_names() -> list[str]:
    """Return the names of the augmenters that installed packages add, sorted."""
    return sorted({found.name for found in entry_points(group=GROUP)})


def find_plugin(name: str) -> EntryPoint:
    """Return the entry point of an augmenter.

    Raises:
        AugmentError: If no installed package has it, or several have.
    """
    found = sorted(entry_points(group=GROUP, name=name), key=lambda entry: (_package(entry), entry.value))
    if not found:
        raise AugmentError(
            f"no installed package adds an augmenter {name!r} in its entry points {GROUP}; "
            f"{accepted(name, plugin_names())}"
        )
    if len({entry.value for entry in found}) > 1:
        owners = ", ".join(_package(entry) for entry in found)
        raise AugmentError(f"the packages {owners} each add an augmenter {name!r}; uninstall all but one")
    return found[0]


def load_plugin(name: str) -> Any:
    """Import an augmenter's factory.

    Raises:
        AugmentError: If it is not there or cannot be called.
    """
    entry = find_plugin(name)
    try:
        factory = entry.load()
    except (ImportError, AttributeError) as error:
        raise AugmentError(f"the augmenter {name!r} of {_package(entry)} cannot be imported: {error}") from error
    if not callable(factory):
        raise AugmentError(
            f"the augmenter {name!r} of {_package(entry)} is {entry.value}, which is no function of (settings, "
            "material); correct its entry point"
        )
    return factory


def plugin_version(name: str) -> str:
    """Return package and version of an augmenter: with another one its rows may be others.

    Raises:
        AugmentError: If it is not there.
    """
    return _package(find_plugin(name))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package without a name"
