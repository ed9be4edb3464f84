"""Canonical JSON and the digests made from it.

A digest covers the whole of what it names; nothing is left out by a list of exceptions.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def canonical_json(value: object) -> str:
    """Write a value as the one JSON text that equal values share.

    Args:
        value: Dicts with string keys, lists, strings, finite numbers, booleans, None.

    Returns:
        JSON with sorted keys and no spaces.

    Raises:
        TypeError: If the value has no JSON form.
        ValueError: If a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of a value, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def bytes_digest(content: bytes) -> str:
    """Return the SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        OSError: If the file cannot be read.
    """
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            sha.update(block)
    return sha.hexdigest()
