"""The documents point to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "config").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def broken_links(text: str, folder: Path) -> list[str]:
    links = [link for link in LINK.findall(text) if "://" not in link]
    return [link for link in links if not (folder / link).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_pictures_are_there(path: Path) -> None:
    assert broken_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_broken_link_is_found() -> None:
    text = "[a](README.md) ![b](docs/no-such-picture.png) [c](https://example.org/x)"
    assert broken_links(text, ROOT) == ["docs/no-such-picture.png"]


def test_readme_is_among_the_documents() -> None:
    assert {"README.md", "CHANGELOG.md", "decisions.md", "benchmarks.md"} <= {path.name for path in DOCUMENTS}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_blank_is_left_to_fill(path: Path) -> None:
    assert re.findall(r"\b(?:TBD|[A-Z]+_(?:MINUTES|SECONDS|HERE))\b", path.read_text(encoding="utf-8")) == []
