from __future__ import annotations

import re

import pytest
from pydantic import BaseModel, ValidationError

from hypermix.config.setting import NAME_PATTERN, Settings, setting


class Small(Settings):
    size: int = setting(3, "train", "How many.", unit="rows", ge=1)
    names: list[str] = setting([], "augment", "Which.")
    inner: dict[str, int] = setting({"a": 1}, None, "A section.")
    must: str = setting(..., "prepare", "It must be given.", min_length=2)


def test_field_tells_stage_unit_and_doc() -> None:
    field = Small.model_fields["size"]

    assert field.json_schema_extra == {"stage": "train", "unit": "rows"}
    assert field.description == "How many."


def test_section_has_no_stage() -> None:
    assert Small.model_fields["inner"].json_schema_extra == {}


def test_default_lists_are_not_shared() -> None:
    one, other = Small(must="ab"), Small(must="ab")
    one.names.append("x")
    one.inner["b"] = 2

    assert (other.names, other.inner) == ([], {"a": 1})
    assert Small(must="ab").inner == {"a": 1}


def test_ellipsis_means_must_be_given() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        Small.model_validate({})


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("size", 0, "greater_than_equal"),
        ("size", "3", "int_type"),
        ("size", 3.0, "int_type"),
        ("size", True, "int_type"),
        ("must", "a", "string_too_short"),
        ("must", 12, "string_type"),
        ("other", 1, "extra_forbidden"),
    ],
)
def test_each_bound_is_checked(key: str, value: object, kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Small.model_validate({"must": "ab", key: value})

    assert [error["type"] for error in caught.value.errors()] == [kind]


def test_settings_cannot_be_changed() -> None:
    small: BaseModel = Small(must="ab")

    with pytest.raises(ValidationError, match="frozen"):
        setattr(small, "size", 4)  # noqa: B010 - mypy would forbid the plain form


@pytest.mark.parametrize(
    ("name", "fits"),
    [("a-B_9", True), ("a b", False), ("", False), ("a/b", False), ("é", False), ("a=b", False), ("..", False)],
)
def test_name_can_stand_in_paths(name: str, fits: bool) -> None:
    assert bool(re.fullmatch(NAME_PATTERN, name)) is fits
