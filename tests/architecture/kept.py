"""The files that belong to the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.architecture.source import ROOT

SKIPPED_FOLDERS = {
    *(".git", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".snakemake"),
    *("__pycache__", "build", "cache", "hypermix.egg-info", "logs", "results"),
}
TEXT_SUFFIXES = {
    *("", ".cff", ".cfg", ".css", ".csv", ".html", ".in", ".j2", ".js", ".json", ".jsonl", ".md", ".py", ".sh"),
    *(".smk", ".svg", ".tex", ".toml", ".tsv", ".txt", ".yaml", ".yml"),
}


def kept_files(root: Path) -> list[Path]:
    """List what git keeps or would keep; without git, what is not made by a tool."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        found = sorted(path for path in root.rglob("*") if path.is_file())
        return [path for path in found if not is_made(path.relative_to(root), root)]
    return [root / name for name in sorted(listed.split("\0")) if name and (root / name).is_file()]


def is_made(path: Path, root: Path) -> bool:
    if SKIPPED_FOLDERS & set(path.parts):
        return True
    return any((root / parent / "pyvenv.cfg").is_file() for parent in path.parents)


def kept_texts() -> list[tuple[str, str]]:
    paths = [path for path in kept_files(ROOT) if path.suffix in TEXT_SUFFIXES]
    return [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
