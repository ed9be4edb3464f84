from __future__ import annotations

import pytest

from hypermix.errors import ConfigError
from hypermix.registry import Registry


def one() -> str:
    return "one"


def other() -> str:
    return "other"


def test_registered_thing_is_found() -> None:
    registry: Registry[object] = Registry("method")
    entered = registry.register("a")(one)

    assert registry.get("a") is entered is one


def test_names_are_sorted() -> None:
    registry: Registry[object] = Registry("method")
    registry.register("b")(one)
    registry.register("a")(other)

    assert registry.names() == ["a", "b"]


def test_registries_share_no_names() -> None:
    Registry[object]("method").register("a")(one)

    assert Registry[object]("method").names() == []


def test_taken_name_names_both_owners() -> None:
    registry: Registry[object] = Registry("method")
    registry.register("a")(one)

    with pytest.raises(ConfigError, match=r"the method 'a' is registered twice: <function one .*> and <function other"):
        registry.register("a")(other)
    assert registry.get("a") is one


def test_unknown_name_offers_the_nearest() -> None:
    registry: Registry[object] = Registry("method")
    registry.register("gpt3mix")(one)

    with pytest.raises(ConfigError, match=r"^unknown method 'gpt3mx': did you mean 'gpt3mix'\? \(known: gpt3mix\)$"):
        registry.get("gpt3mx")
