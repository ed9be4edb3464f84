"""Each config that a document shows is a config, and each key that it names is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hypermix.config.load import load_config, merge
from hypermix.config.registry import read_registry
from hypermix.config.render import reference
from tests.architecture.documents import DOCUMENTS, blocks

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = read_registry(ROOT / "config" / "datasets.yaml")
OPTIONS = (
    *("datasets", "num-trials", "master-exp-seed", "master-data-seed", "data-seeds", "progress", "save-dir"),
    *("train-subsample", "valid-subsample", "test-subsample", "default-metatype", "text-type-override"),
    *("label-type-override", "label-map-override", "api-key", "gpt3-engine", "gpt3-batch-size", "gpt3-num-examples"),
    *("gpt3-frequency-penalty", "gpt3-max-retries", "classifier", "model-name", "batch-size", "patience", "optimizer"),
    *("lr", "augmenter", "reuse", "multiplier", "num-examples", "num-classes", "example-sampling"),
    *("gpt3-mix-max-tokens", "gpt3-mix-soft", "tmix-alpha", "tmix-layers"),
)
"""All options of the reference's program."""


def configs() -> Iterator[tuple[str, str]]:
    # `yml` is for what needs a package of the example beside it; its own test installs that.
    yield from ((where, text) for path in DOCUMENTS for where, language, text in blocks(path) if language == "yaml")


@pytest.mark.parametrize(("where", "text"), list(configs()))
def test_config_of_a_document_is_fine_over_the_default(where: str, text: str) -> None:
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    config = load_config(merge(default, yaml.safe_load(text)), REGISTRY)
    assert config.llms, where


def test_each_kind_of_endpoint_is_shown() -> None:
    shown = " ".join(text for where, text in configs() if where.startswith("docs/llms.md"))
    assert {f"api: {api}" in shown for api in ("completions", "chat", "batch", "transformers", "embedded")} == {True}


def options() -> dict[str, str]:
    """Return what stands here for each option of the reference, by its name."""
    text = (ROOT / "docs" / "from-hypermix.md").read_text(encoding="utf-8")
    return dict(re.findall(r"(?m)^\| `--([\w-]+)`[^|]*\|[^|]*\|(.*)\|$", text))


def test_every_option_of_the_reference_has_its_place() -> None:
    assert sorted(options()) == sorted(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_keys_that_stand_for_an_option_are_keys(option: str) -> None:
    spans = [span.partition(":")[0] for span in re.findall(r"`([^`]+)`", options()[option])]
    sections = "datasets|subsample|seeds|llms|augmenters|classifiers"
    keys = [span for span in spans if re.match(rf"(?:{sections})\.", span)]
    known = {*re.findall(r"(?m)^\| `([\w.]+)` \|", reference())}
    kinds = {f"{section}.NAME" for section in sections.split("|")}
    tags = {"llms.NAME.api", "classifiers.NAME.method"}
    assert [key for key in keys if key not in known | kinds | tags] == []
    assert keys or option in {"progress", "save-dir", "default-metatype", "optimizer"}
