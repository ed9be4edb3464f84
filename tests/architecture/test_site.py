"""The documents as a site: each has its place, and no page asks another host for anything."""

from __future__ import annotations

import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from tests.architecture.documents import DOCUMENTS
from tests.architecture.source import ROOT

ASKING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Page(HTMLParser):
    """Collects what a page asks for by itself, and the classes of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.classes |= {*(given.get("class") or "").split()}
        if tag in ASKING and given.get("rel") != "canonical":
            self.asked.append(given.get(ASKING[tag]) or "")


def test_every_document_has_its_place(builder: ModuleType) -> None:
    assert sorted(builder.page_names()) == sorted(path.relative_to(ROOT).as_posix() for path in DOCUMENTS)


def test_site_is_built_without_warnings_and_asks_no_other_host(builder: ModuleType, tmp_path: Path) -> None:
    site = builder.build(tmp_path)

    pages = {path: Page() for path in site.rglob("*.html")}
    assert len(pages) == len(builder.page_names()) + 1  # and that of what is not found
    for path, page in pages.items():
        text = path.read_text(encoding="utf-8")
        page.feed(text)
        assert [asked for asked in page.asked if re.match(r"(?:[a-z]+:)?//", asked)] == [], path
        assert "mermaid" not in page.classes, path  # whose library would be fetched
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)[\s\"']*(?:https?:)?//", style.read_text(encoding="utf-8")) == [], style
    pictures = [asked for page in pages.values() for asked in page.asked if "-diagram-" in asked]
    assert len(pictures) == 2
