"""What the house rules are checked on: parsed modules, and the text of rules files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source(NamedTuple):
    """One Python file: its dotted name, its path from the root, its text and its syntax tree."""

    name: str
    path: str
    text: str
    tree: ast.Module


class Rule(NamedTuple):
    """One rule of a Snakemake file."""

    name: str
    path: str
    body: str


def parse(text: str, path: str = "hypermix/made_up.py") -> Source:
    """Parse one module from its text."""
    parts = Path(path).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(name, path, text, ast.parse(text))


def load(*folders: str) -> list[Source]:
    """Parse all Python files below some folders of the repository, in the order of their paths."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [parse(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()) for path in paths]


def functions(source: Source) -> list[Function]:
    """List all functions and methods, nested ones too."""
    return [node for node in ast.walk(source.tree) if isinstance(node, Function)]


def public(source: Source) -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Yield public classes, functions and methods with their qualified names; nothing inside of a function."""
    waiting: list[tuple[str, ast.stmt]] = [("", node) for node in reversed(source.tree.body)]
    while waiting:
        prefix, node = waiting.pop()
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        name = prefix + node.name
        yield name, node
        if isinstance(node, ast.ClassDef):
            waiting.extend((f"{name}.", child) for child in reversed(node.body))


def imported(source: Source) -> dict[str, int]:
    """Map each module that is imported, at the top or locally, to the line; `from a import b` gives `a.b`."""
    found: dict[str, int] = {}
    for node in ast.walk(source.tree):
        for name in _names(node, source):
            found.setdefault(name, getattr(node, "lineno", 0))
    return found


def _names(node: ast.AST, source: Source) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _absolute(node, source)
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and called(node) in {"import_module", "__import__"}:
        first = node.args[0]
        return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
    return []


def _absolute(node: ast.ImportFrom, source: Source) -> str:
    if not node.level:
        return node.module or ""
    package = source.name if source.path.endswith("__init__.py") else source.name.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


def called(node: ast.Call) -> str:
    """Return the last part of the name that is called."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def rules(text: str, path: str = "workflow/rules/made_up.smk") -> list[Rule]:
    """Cut a Snakemake file into its rules, without comments."""
    bare = re.sub(r"(?m)(^|\s)#.*$", "", text)
    blocks = re.findall(r"(?m)^(?:rule|checkpoint)\s+(\w+)\s*:[^\n]*\n((?:[ \t]+[^\n]*\n|\s*\n)*)", bare + "\n")
    return [Rule(name, path, body) for name, body in blocks]
