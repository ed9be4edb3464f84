"""Each config that a document shows is a config."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hypermix.config.load import load_config, merge
from hypermix.config.registry import read_registry

ROOT = Path(__file__).resolve().parents[3]
SHOWN = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def blocks() -> Iterator[tuple[str, str]]:
    for name in ("README.md", "docs/llms.md", "docs/datasets.md", "docs/training.md", "docs/augmenters.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        yield from ((f"{name}:{text[: found.start()].count(chr(10)) + 1}", found[1]) for found in SHOWN.finditer(text))


@pytest.mark.parametrize(("where", "text"), list(blocks()))
def test_config_of_a_document_is_fine_over_the_default(where: str, text: str) -> None:
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    config = load_config(merge(default, yaml.safe_load(text)), read_registry(ROOT / "config" / "datasets.yaml"))
    assert config.llms, where


def test_each_kind_of_endpoint_is_shown() -> None:
    shown = " ".join(text for where, text in blocks() if where.startswith("docs/llms.md"))
    assert {f"api: {api}" in shown for api in ("completions", "chat", "batch", "transformers", "embedded")} == {True}
