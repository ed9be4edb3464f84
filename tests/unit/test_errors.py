from __future__ import annotations

import pytest

from hypermix import errors
from hypermix.errors import HypermixError, accepted

NAMES = [
    "ConfigError",
    "DataError",
    "ArtefactError",
    "LlmError",
    "BudgetError",
    "ServerError",
    "AugmentError",
    "TrainError",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_error_is_hypermix_error(name: str) -> None:
    assert issubclass(getattr(errors, name), HypermixError)


def test_server_error_is_llm_error() -> None:
    assert issubclass(errors.ServerError, errors.LlmError)


def test_tree_in_docstring_is_complete() -> None:
    kinds = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, HypermixError)]

    assert sorted(kind.__name__ for kind in kinds) == sorted(["HypermixError", *NAMES])
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


def test_nearest_name_is_offered() -> None:
    assert accepted("non", ["none", "duplicate"]) == "did you mean 'none'? (known: none, duplicate)"


def test_far_name_lists_known_names() -> None:
    assert accepted("xyz", ["none", "duplicate"]) == "known: none, duplicate"


def test_known_names_keep_their_order() -> None:
    assert accepted("", ["b", "a"]) == "known: b, a"


def test_no_known_name_is_said() -> None:
    assert accepted("x", []) == "known: none yet"


def test_names_may_come_from_iterator() -> None:
    assert accepted("trian", iter(["test", "train"])) == "did you mean 'train'? (known: test, train)"
