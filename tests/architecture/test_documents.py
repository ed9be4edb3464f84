"""The documents point to what is there, and the code in them is code."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from hypermix.cli import _parser
from tests.architecture.documents import DOCUMENTS, anchors, blocks, broken_links, commands, faults
from tests.architecture.source import ROOT

HYPERMIX = _parser()
ENGINE: argparse.ArgumentParser = get_argument_parser()


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_and_their_places_are_there(path: Path) -> None:
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


def test_a_broken_link_is_found() -> None:
    text = "# One\n\n[a](README.md) ![b](docs/no-such-picture.png) [c](https://example.org/x) [d](#one) [e](#two)\n"
    text += "[f](docs/llms.md#openai) [g](docs/llms.md#closedai) `[h](nowhere.md)`\n\n    [i](nowhere.md)\n"
    assert broken_links(ROOT / "made-up.md", text) == ["docs/no-such-picture.png", "#two", "docs/llms.md#closedai"]


def test_anchors_are_those_that_github_makes() -> None:
    text = "# A [link](x.md), `code` & more\n\n## Twice\n\n## Twice\n\n```text\n# no heading\n```\n"
    assert anchors(text) == {"a-link-code--more", "twice", "twice-1"}


def test_readme_is_among_the_documents() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/decisions.md", "config/README.md"} <= {named(path) for path in DOCUMENTS}


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_no_blank_is_left_to_fill(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\b(?:TBD|[A-Z]+_(?:MINUTES|SECONDS|HERE))\b|^(?:<{7}|={7}|>{7})", text, re.MULTILINE) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_blocks_of_code_can_be_read(path: Path) -> None:
    for block in blocks(path):
        if block.language == "python":
            compile(block.text, block.where, "exec")
        elif block.language in {"yaml", "yml"}:
            assert yaml.safe_load(block.text) is not None, block.where


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_commands_name_what_is_there(path: Path) -> None:
    found = {f"{where}: {command}": faults(command, HYPERMIX, ENGINE) for where, command in commands(path)}
    assert {command: wrong for command, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("hypermix plam", "no command plam"),
        ("hypermix plan --prices", "no option --prices"),
        ("hypermix cache stat", "no command stat"),
        ("hypermix plan config/confg.yaml mine.yaml", "no file config/confg.yaml"),
        ("make tset", "no target tset"),
        ("make test PYTEST_ARGS=-x benchmark", "no target benchmark"),
        ("python benchmarks/speed.py", "no file benchmarks/speed.py"),
        ("snakemake --cores all exprot", "no rule exprot"),
        ("snakemake --cores all --until agument", "no rule agument"),
        ("snakemake --core-count 2", "no option --core-count"),
        ("snakemake --cores all --configfile config/missing.yaml", "no file config/missing.yaml"),
    ],
)
def test_a_wrong_command_is_found(command: str, fault: str) -> None:
    assert faults(command, HYPERMIX, ENGINE) == [fault]


def test_documents_show_commands_of_each_kind() -> None:
    shown = {command.split()[0] for path in DOCUMENTS for _, command in commands(path)}
    assert shown >= {"hypermix", "make", "python", "snakemake"}
