"""The messages that docs/troubleshooting.md quotes are those that are written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, load

DOCUMENT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SNAKEMAKE = [
    file.locate()
    for file in metadata.files("snakemake") or ()
    if str(file) in [f"snakemake/{name}.py" for name in ("api", "exceptions", "workflow", "common/__init__")]
]
VARIES = "…"


def quoted(text: str) -> list[str]:
    """List the messages of a document: what stands in the first cell of a row, in backquotes."""
    return re.findall(r"(?m)^\| `([^`]+)` \|", text)


def written(trees: Iterable[ast.AST]) -> list[str]:
    """List the texts of some modules, with a mark for what is filled in."""
    return [text for tree in trees for node in ast.walk(tree) if (text := _text(node))]


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%[sdr]|\{\w*\}", VARIES, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else VARIES for part in node.values)
    return ""


def unknown(messages: Iterable[str], texts: list[str]) -> Iterator[str]:
    """Find messages that no text holds: a mark of theirs stands for whatever is filled in there."""
    joined = "\0".join(texts)
    for message in messages:
        pattern = re.escape(message.strip(f"{VARIES} ")).replace(re.escape(VARIES), "[^\0]+?")
        if not re.search(pattern, joined):
            yield message


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return written(
        [source.tree for source in load("hypermix")] + [ast.parse(Path(path).read_text("utf-8")) for path in SNAKEMAKE]
    )


def test_every_quoted_message_is_written_somewhere(texts: list[str]) -> None:
    assert len(quoted(DOCUMENT)) > 20
    assert [*unknown(quoted(DOCUMENT), texts)] == []


def test_a_message_that_nobody_writes_is_found() -> None:
    source = 'raise E(f"{where}: has no rows; " f"at {least} one") or log("%s is here", x)'
    found = written([ast.parse(source)])

    assert [*unknown(["has no rows; at … one", "… is here", "has no columns", "…: has … one!"], found)] == [
        "has no columns",
        "…: has … one!",
    ]
