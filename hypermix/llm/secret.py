"""Keys and tokens that this machine knows, so that what leaves it can be searched for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

_NAMED = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_SHORTEST = 12
"""Shorter values are no keys, and stand in many texts by chance."""

_LONGEST = 4096


def known_secrets(files: Iterable[Path]) -> dict[str, str]:
    """Find what must not leave this machine.

    Args:
        files: Files whose lines are keys; those that are not there are passed over.

    Returns:
        Each value by the place where it lies: a variable of the environment that is named like a key, a file, or the
        hub's own file of its token.
    """
    found = {f"the variable {name}": value for name, value in sorted(os.environ.items()) if _NAMED.search(name)}
    for path in files:
        found |= {f"the file {path}": line for line in _lines(path)}
    from huggingface_hub import get_token

    found["the token of the hub"] = get_token() or ""
    return {where: value.strip() for where, value in found.items() if len(value.strip()) >= _SHORTEST}


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(_LONGEST).splitlines()[:1]
    except (OSError, UnicodeDecodeError):
        return []
