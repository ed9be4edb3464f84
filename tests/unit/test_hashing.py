from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.hashing import canonical_json, digest, file_digest

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def turned(value: Any) -> Any:
    """Give every mapping the reverse order of its keys."""
    if isinstance(value, dict):
        return {key: turned(part) for key, part in reversed(value.items())}
    return [turned(part) for part in value] if isinstance(value, list) else value


@STEADY
@given(JSON)
def test_order_of_keys_is_ignored(value: Any) -> None:
    assert digest(turned(value)) == digest(value)


@STEADY
@given(JSON)
def test_canonical_json_says_the_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_order_of_lists_matters() -> None:
    assert digest([1, 2]) != digest([2, 1])


@pytest.mark.parametrize(("one", "other"), [(1, "1"), (1, 1.0), (None, "null"), (0, False), ("", []), ({}, [])])
def test_different_values_differ_in_digest(one: object, other: object) -> None:
    assert digest({"a": one}) != digest({"a": other})


def test_canonical_json_is_compact_unicode() -> None:
    assert canonical_json({"b": [1, 2.5, None, True], "a": "é…"}) == '{"a":"é…","b":[1,2.5,null,true]}'


def test_digest_is_sha256_of_json() -> None:
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_half_character_has_a_digest() -> None:
    assert digest("\ud83d") != digest("\ud83c")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_infinite_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": number})


def test_value_without_json_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        canonical_json({"a": {1, 2}})


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_file_digest_reads_all_blocks(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)

    assert file_digest(path) == hashlib.sha256(b"x" * size).hexdigest()


def test_missing_file_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "missing")
