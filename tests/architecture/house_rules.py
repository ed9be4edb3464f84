"""The house rules as functions: each takes sources and returns the breaches, one line each."""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from tests.architecture.source import Function, Rule, Source, called, functions, imported, public

LEAVES = (
    "errors",
    "disk",
    "hashing",
    "names",
    "seeding",
    "registry",
    "packages",
    "records",
    "tables",
    "files",
    "hub",
    "plugins",
    "templates",
)
_INNER = (*LEAVES, "config", "data", "llm", "augment", "classify", "rewrite", "stats", "report")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "disk": ("errors",),
    "hashing": (),
    "names": (),
    "seeding": ("hashing",),
    "registry": ("errors",),
    "packages": (),
    "records": (),
    "tables": ("errors", "names"),
    "files": ("errors", "hashing", "tables", "disk"),
    "hub": ("errors", "packages"),
    "plugins": ("errors",),
    "templates": ("errors",),
    "config": LEAVES,
    "data": LEAVES,
    "llm": LEAVES,
    "augment": ("errors", "hashing", "seeding", "registry", "records", "plugins", "templates"),
    "classify": LEAVES,
    "rewrite": LEAVES,
    "stats": ("errors", "hashing", "seeding", "registry", "records", "tables"),
    "report": (*LEAVES, "stats"),
    "steps": _INNER,
    "cli": (*LEAVES, "config", "data", "llm", "report", "steps"),
    "__main__": ("cli",),
    "__init__": (),
}
"""What each part of the library may import of the others; its own modules always."""

OUTSIDE: dict[str, tuple[str, ...]] = {
    "errors": (),
    "hashing": (),
    "hub": ("huggingface_hub",),
    "packages": (),
    "records": (),
    "registry": (),
    "seeding": ("numpy",),
    "tables": ("numpy", "pandas", "pyarrow"),
    "files": ("numpy", "pandas", "pyarrow"),
    "stats": ("numpy", "pandas", "scipy"),
}
"""Parts that may use these packages beside the standard library, and no others."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "snakemake": (),
    "torch": ("classify", "llm", "rewrite"),
    "openai": ("llm",),
    "py3langid": ("augment",),
    "wn": ("rewrite",),
    "setfit": ("classify",),
    "xllamacpp": ("llm",),
}
"""Packages that are imported in these parts alone."""

MAY_READ_ENVIRONMENT = ("llm", "classify")
MAY_PRINT = ("hypermix/cli.py", "hypermix/cli/", "hypermix/report/console.py")
MAY_CATCH_ALL = "hypermix/steps/job.py"
BROAD = {"Exception", "BaseException"}
DRAWERS = {"common", "helper", "helpers", "misc", "util", "utils"}
UNSAFE_CALLS = {"eval", "exec", "read_pickle", "to_pickle"}
UNSAFE_MODULES = {"cPickle", "dill", "joblib", "marshal", "pickle", "shelve"}


def part(module: str) -> str:
    """Return the part of the library that a dotted name belongs to: `hypermix.llm.store` is of `llm`."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def import_direction(sources: Iterable[Source]) -> Iterator[str]:
    """Find imports that the tables above do not allow."""
    for source in sources:
        own = part(source.name)
        if own not in MAY_IMPORT:
            yield f"{source.path}: the part {own!r} is not in MAY_IMPORT; add it there"
            continue
        for name, line in imported(source).items():
            where = f"{source.path}:{line}: imports {name}"
            if name.split(".")[0] == "hypermix":
                yield from _inner_breach(where, own, name)
            else:
                yield from _outer_breach(where, own, name.split(".")[0])


def _inner_breach(where: str, own: str, name: str) -> Iterator[str]:
    other = part(name)
    if other in MAY_IMPORT and other not in {own, "__init__"} and other not in MAY_IMPORT[own]:
        yield f"{where}, but {own} may import only {', '.join(MAY_IMPORT[own]) or 'nothing'}"


def _outer_breach(where: str, own: str, package: str) -> Iterator[str]:
    if package in ONLY_IN and own not in ONLY_IN[package]:
        yield f"{where}, which is for {', '.join(ONLY_IN[package]) or 'nobody'}"
    elif own in OUTSIDE and package not in {*OUTSIDE[own], *sys.stdlib_module_names}:
        yield f"{where}, but {own} may use only {', '.join(OUTSIDE[own]) or 'the standard library'}"


def import_cycles(sources: Sequence[Source]) -> Iterator[str]:
    """Find modules that import themselves over others, local imports counted."""
    names = {source.name for source in sources}
    graph = {source.name: sorted(_edges(source, names)) for source in sources}
    for start, edges in graph.items():
        seen: set[str] = set()
        waiting = list(edges)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(graph[name])
        if start in seen:
            yield f"{start}: imports itself over {', '.join(sorted(seen - {start})) or 'nothing else'}"


def _edges(source: Source, names: set[str]) -> set[str]:
    found = set()
    for name in imported(source):
        target = name if name in names else name.rpartition(".")[0]
        if target in names:
            found.add(target)
    return found


def environment_reads(sources: Iterable[Source]) -> Iterator[str]:
    """Find readers of environment variables outside of the places for it."""
    for source in sources:
        if part(source.name) in MAY_READ_ENVIRONMENT:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}:
                yield f"{source.path}:{node.lineno}: reads the environment; take the value as an argument"
        for name, line in imported(source).items():
            if name in {"os.environ", "os.getenv"}:
                yield f"{source.path}:{line}: imports {name}; take the value as an argument"


def long_files(sources: Iterable[Source], most: int) -> Iterator[str]:
    """Find files with more lines than allowed."""
    for source in sources:
        lines = len(source.text.splitlines())
        if lines > most:
            yield f"{source.path}: has {lines} lines, at most {most} are allowed; split it by noun"


def lengths(sources: Iterable[Source]) -> dict[str, int]:
    """Measure all functions, in lines from `def` to the end, docstring counted."""
    return {
        f"{source.path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources
        for node in functions(source)
    }


def long_functions(sources: Iterable[Source], *, most: int, p90: int, median: int) -> Iterator[str]:
    """Find functions above the largest length, and a distribution above the others."""
    measured = lengths(sources)
    yield from (
        f"{name}: has {size} lines, at most {most} are allowed" for name, size in measured.items() if size > most
    )
    sizes = sorted(measured.values()) or [0]
    if (found := sizes[int(0.9 * (len(sizes) - 1))]) > p90:
        yield f"the 90th percentile of the functions' lengths is {found} lines, at most {p90} are allowed"
    if (middle := statistics.median(sizes)) > median:
        yield f"the median of the functions' lengths is {middle} lines, at most {median} are allowed"


def missing_annotations(sources: Iterable[Source]) -> Iterator[str]:
    """Find functions with an argument or a result that has no type."""
    for source in sources:
        methods = {child for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef) for child in node.body}
        for node in functions(source):
            given = node.args
            arguments = [*given.posonlyargs, *given.args]
            static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
            if node in methods and not static:
                arguments = arguments[1:]
            arguments += [*given.kwonlyargs, *(extra for extra in (given.vararg, given.kwarg) if extra)]
            missing = [argument.arg for argument in arguments if argument.annotation is None]
            if node.returns is None:
                missing.append("return")
            if missing:
                yield f"{source.path}:{node.lineno}: {node.name} has no type for {', '.join(missing)}"


def missing_docstrings(sources: Iterable[Source]) -> Iterator[str]:
    """Find public modules, classes and functions without a docstring, or without `Raises:` where they raise."""
    for source in sources:
        if not ast.get_docstring(source.tree) and source.text.strip():
            yield f"{source.path}:1: the module has no docstring"
        for name, node in public(source):
            text = ast.get_docstring(node) or ""
            if not text and not _marked(node, "overload"):
                yield f"{source.path}:{node.lineno}: {name} has no docstring"
            elif isinstance(node, Function) and _raises(node) and "Raises:" not in text:
                yield f"{source.path}:{node.lineno}: {name} raises, and its docstring has no 'Raises:'"


def _marked(node: ast.ClassDef | Function, mark: str) -> bool:
    return any(ast.unparse(found).split(".")[-1] == mark for found in node.decorator_list)


def _raises(node: Function) -> bool:
    """Tell whether a function has a `raise` of its own: not of a nested function, not one that passes an error on."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        found = waiting.pop()
        if isinstance(found, ast.Raise) and found.exc is not None:
            return True
        if not isinstance(found, Function | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(found))
    return False


def broad_handlers(sources: Iterable[Source]) -> Iterator[str]:
    """Find handlers that catch everything; the edge of a job may have one."""
    for source in sources:
        found = [node for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler) and _is_broad(node)]
        for node in found[1 if source.path == MAY_CATCH_ALL else 0 :]:
            yield f"{source.path}:{node.lineno}: catches everything; name the errors"


def _is_broad(node: ast.ExceptHandler) -> bool:
    last = node.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False  # it tidies up and hides nothing
    if node.type is None:
        return True
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(ast.unparse(kind).split(".")[-1] in BROAD for kind in kinds)


def unsafe_code(sources: Iterable[Source]) -> Iterator[str]:
    """Find code that runs or unpacks what it is given."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and _runs_text(node):
                yield f"{source.path}:{node.lineno}: calls {called(node)}"
        for name, line in imported(source).items():
            if name.split(".")[0] in UNSAFE_MODULES:
                yield f"{source.path}:{line}: imports {name}; write JSON or Parquet"


def _runs_text(node: ast.Call) -> bool:
    # A method may be called `eval`: that of a torch module only switches dropout off.
    if isinstance(node.func, ast.Attribute):
        return called(node) in UNSAFE_CALLS - {"eval", "exec"}
    return called(node) in UNSAFE_CALLS


def prints(sources: Iterable[Source]) -> Iterator[str]:
    """Find `print(` outside of the places that speak to a terminal."""
    for source in sources:
        if source.path.startswith(MAY_PRINT):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"{source.path}:{node.lineno}: prints; only {', '.join(MAY_PRINT)} may"


def drawers(paths: Iterable[str]) -> Iterator[str]:
    """Find modules and folders named after nothing."""
    for path in paths:
        if DRAWERS & {PurePosixPath(piece).stem for piece in PurePosixPath(path).parts}:
            yield f"{path}: is named after nothing; name it by its noun"


def full_lines(sources: Iterable[Source]) -> int:
    """Count the lines that are not blank."""
    return sum(1 for source in sources for line in source.text.splitlines() if line.strip())


def script_config(sources: Iterable[Source]) -> Iterator[str]:
    """Find scripts that read the global config past their params."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and node.attr == "config" and ast.unparse(node.value) == "snakemake":
                yield f"{source.path}:{node.lineno}: reads snakemake.config; take it from snakemake.params"


def rule_config(rules: Iterable[Rule]) -> Iterator[str]:
    """Find rules that read the global config past the accessors of common.smk."""
    for rule in rules:
        # CONFIG is the checked config: a rule may take what changes no result, and hand it whole to a slice.
        open_use = re.search(
            r"(?<![\w.\"'/])config\s*[\[.]|CONFIG\.(?!threads\b|cache\b|results\b|offline\b)", rule.body
        )
        if open_use:
            yield f"{rule.path}: rule {rule.name} reads config; use an accessor of common.smk"


def rule_anatomy(rules: Iterable[Rule]) -> Iterator[str]:
    """Find rules without a script of their own name, a log, a conda environment, or threads or resources."""
    for rule in rules:
        where = f"{rule.path}: rule {rule.name}"
        scripts = re.findall(r"(?m)^\s+script:\s*[\"']([^\"']+)[\"']", rule.body)
        if [PurePosixPath(script).name for script in scripts] != [f"{rule.name}.py"]:
            yield f"{where} runs {scripts or 'no script'}, not scripts/{rule.name}.py"
        directives = set(re.findall(r"(?m)^\s+(\w+):", rule.body))
        yield from (f"{where} has no {name}:" for name in ("log", "conda") if name not in directives)
        if not directives & {"threads", "resources"}:
            yield f"{where} has neither threads: nor resources:"


def lonely_scripts(scripts: Iterable[str], rules: Iterable[Rule]) -> Iterator[str]:
    """Find scripts that no rule is named after."""
    known = {rule.name for rule in rules}
    yield from (f"{path}: no rule has this name" for path in scripts if PurePosixPath(path).stem not in known)


PRIVATE_PATH = re.compile(r"(?<![\w.])/(?:(?:home|Users)/[\w.-]+|root|t[m]p)/[\w.]")
"""A path of one machine: below a home directory or the temporary folder."""

LEFTOVER = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b")
"""A word that marks unfinished work."""


def leftovers(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Find paths of one machine and marks of unfinished work in (path, text) pairs."""
    for path, text in texts:
        for number, line in enumerate(text.splitlines(), start=1):
            for pattern in (PRIVATE_PATH, LEFTOVER):
                if found := pattern.search(line):
                    yield f"{path}:{number}: holds {found.group()!r}"
