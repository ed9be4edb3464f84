"""Names that the config may use for a kind of thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from hypermix.errors import ConfigError, accepted

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from names to things of one kind.

    Attributes:
        kind: What the things are, in the words of the config, such as ``method``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters a thing under a name.

        Raises:
            ConfigError: When the decorator meets a name that is taken; both owners are named.
        """

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ConfigError(
                    f"the {self.kind} {name!r} is registered twice: {self._entries[name]!r} and {entry!r}"
                )
            self._entries[name] = entry
            return entry

        return enter

    def get(self, name: str) -> T:
        """Return the thing with this name.

        Raises:
            ConfigError: If there is none; the known names are listed.
        """
        if name not in self._entries:
            raise ConfigError(f"unknown {self.kind} {name!r}: {accepted(name, self.names())}")
        return self._entries[name]

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(self._entries)
