"""Keys and tokens that this machine knows, so that what leaves it can be searched for them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

_NAMED = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_SHORTEST = 12
"""Shorter values are no keys, and stand in many texts by chance."""

_LONGEST = 4096


def known_secrets(files: Iterable[Path], variables: Collection[str] = ()) -> dict[str, str]:
    """Find what must not leave this machine.

    Args:
        files: Files whose first lines are keys; those that are not there are passed over.
        variables: Variables of the environment that hold keys, beside those that are named like one.

    Returns:
        Each value by the place where it lies: a variable, a file, or the hub's own file of its token.
    """
    found = {
        f"the variable {name}": value
        for name, value in sorted(os.environ.items())
        if name in variables or _NAMED.search(name)
    }
    found |= {f"the file {path}": _first_line(path) for path in files}
    from huggingface_hub import get_token

    found["the token of the hub"] = get_token() or ""
    return {where: value.strip() for where, value in found.items() if len(value.strip()) >= _SHORTEST}


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(_LONGEST).strip().partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return ""
