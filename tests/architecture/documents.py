"""What a document says that can be checked: its links, anchors, blocks of code and commands."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.architecture.kept import kept_files
from tests.architecture.source import ROOT, rules

DOCUMENTS = sorted(path for path in kept_files(ROOT) if path.suffix == ".md")

_FENCED = re.compile(r"(?ms)^```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^```[ ]*$")
_INDENTED = re.compile(r"(?m)(?<=\n\n)(?:(?: {4}|\t)[^\n]*\n|\n(?= {4}))+")
_SPAN = re.compile(r"(`+)(?P<text>.+?)\1", re.DOTALL)
_LINK = re.compile(r"\]\(\s*(?P<target>[^()\s]+)[^()]*\)")
_HEADING = re.compile(r"(?m)^#{1,6} +(?P<text>.+?) *#*$")
_TOOLS = ("hypermix", "snakemake", "make", "python")


class Block(NamedTuple):
    """A block of code: where it begins, its language ("" if none is named) and its text."""

    where: str
    language: str
    text: str


def blocks(path: Path) -> list[Block]:
    """List the blocks of code of a document, fenced and indented ones."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    found = [(match, match["language"], match["text"]) for match in _FENCED.finditer(text)]
    blanked = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)
    found += [(match, "", re.sub(r"(?m)^(?: {4}|\t)", "", match[0])) for match in _INDENTED.finditer(blanked)]
    return [Block(f"{name}:{match.string.count(chr(10), 0, match.start()) + 1}", *rest) for match, *rest in found]


def prose(text: str) -> str:
    """Return a document without its code."""
    return _SPAN.sub("", _INDENTED.sub("\n", _FENCED.sub("", text)))


def anchors(text: str) -> set[str]:
    """Name the places of a document that a link may lead to, as GitHub and MkDocs make them from headings."""
    found: list[str] = []
    for match in _HEADING.finditer(_FENCED.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["text"]).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return {*found}


def broken_links(path: Path, text: str) -> list[str]:
    """List the links of a document that lead to no file and no heading; those to other hosts are not looked at."""
    broken = []
    for target in (match["target"] for match in _LINK.finditer(prose(text))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = path.parent / name
        if name and not there.exists():
            broken.append(target)
            continue
        if anchor and anchor not in anchors(there.read_text(encoding="utf-8") if name else text):
            broken.append(target)
    return broken


def commands(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each command of this project or of snakemake that a document shows, with its place; comments cut off."""
    for block in blocks(path):
        if block.language in {"", "text", "sh", "bash", "console", "yaml"}:
            lines = re.sub(r"\\\n\s*", " ", block.text).splitlines()
            for line in lines if block.language != "yaml" else ():
                yield from ((block.where, one) for one in _commands(line))
    text = prose_with_spans(path.read_text(encoding="utf-8"))
    for match in _SPAN.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        where = f"{path.relative_to(ROOT).as_posix()}:{line}"
        yield from ((where, one) for one in _commands(" ".join(match["text"].split())))


def prose_with_spans(text: str) -> str:
    """Return a document without its blocks, each line in its place."""
    for pattern in (_FENCED, _INDENTED):
        text = pattern.sub(lambda match: "\n" * match[0].count("\n"), text)
    return text


def _commands(line: str) -> Iterator[str]:
    bare = re.split(r"\s+#|\s+\|\s|\s\.\.\.", f"{line} ")[0]
    for part in re.split(r"&&|;", bare):
        words = re.sub(r"^\s*(?:time |\$ |(?:[A-Z_]+=\S* )+)", "", part).strip()
        if words.split(" ")[0] in _TOOLS:
            yield words


def faults(command: str, hypermix: argparse.ArgumentParser, snakemake: argparse.ArgumentParser) -> list[str]:
    """List what a command names that is not there: a subcommand, an option, a target, a file of this project."""
    words = shlex.split(re.sub(r"[\[\]]|\bFILE\b", "", command))
    tool, *rest = words
    if tool == "make":
        targets = {*re.findall(r"(?m)^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"))}
        return [f"no target {word}" for word in rest if "=" not in word and word not in targets]
    if tool == "python":
        return [f"no file {word}" for word in rest if word.startswith("benchmarks/") and not (ROOT / word).is_file()]
    if tool == "hypermix":
        return _hypermix_faults(hypermix, rest)
    return [*_snakemake_faults(snakemake, rest)]


def _hypermix_faults(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Walk down the subcommands; what is left must be options that there are, or files."""
    while (choices := _choices(parser)) and words and not words[0].startswith("-"):
        if words[0] not in choices:
            return [f"no command {words[0]}"]
        parser, words = choices[words[0]], words[1:]
    options = {name for action in parser._actions for name in action.option_strings}
    return [
        *(f"no option {word}" for word in words if word.startswith("-") and word.split("=")[0] not in options),
        *missing_configs(words),
    ]


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _snakemake_faults(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[str]:
    options = {name for action in parser._actions for name in action.option_strings}
    unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in options]
    if unknown:
        yield f"no option {unknown[0]}"
        return
    yield from missing_configs(words)
    complete = ["1" if word == "N" else word for word in words]
    try:
        parsed = parser.parse_args(complete)
    except SystemExit as ended:
        if ended.code:
            yield "snakemake does not take it"
        return
    known = rule_names()
    for target in [*(parsed.targets or ()), *(parsed.until or ())]:
        if target not in known and "/" not in target:
            yield f"no rule {target}"


def missing_configs(words: Iterable[str]) -> Iterator[str]:
    """Name the files below config/ that are not there; others are the reader's own."""
    yield from (f"no file {word}" for word in words if word.startswith("config/") and not (ROOT / word).is_file())


def rule_names() -> set[str]:
    """Name all rules of the workflow."""
    files = [ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
    return {rule.name for path in files for rule in rules(path.read_text(encoding="utf-8"))}
