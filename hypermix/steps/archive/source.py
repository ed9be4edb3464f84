"""The files of the program: what an archive holds so that the study runs again by the code that made it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import hypermix
from hypermix.config.registry import REGISTRY_PATH
from hypermix.errors import ArtefactError

LIBRARY = "hypermix"
_FOLDERS = ("envs", "profiles", "requirements", "workflow")
_FILES = ("CITATION.cff", "LICENSE", "Makefile", "NOTICE", "Snakefile", "pyproject.toml")
_LIBRARY_SUFFIXES = (".css", ".j2", ".jinja", ".js", ".py")
_RUN_SUFFIXES = (".pth", ".py", ".pyc", ".smk", ".so", ".sh")
"""What is run by being there, wherever it lies."""


def program_files() -> dict[str, Path]:
    """Return the files of the running version by their places in the project, the registry of datasets among them.

    Raises:
        ArtefactError: If the workflow is neither in the working folder nor beside the library.
    """
    root, library = _find_root(), Path(hypermix.__file__).parent
    found = [root / name for name in (*_FILES, str(REGISTRY_PATH))]
    found += [path for folder in _FOLDERS for path in (root / folder).rglob("*")]
    named = {path.relative_to(root).as_posix(): path for path in found if path.is_file() and not _is_hidden(path, root)}
    own = [path for path in library.rglob("*") if path.suffix in _LIBRARY_SUFFIXES and not _is_hidden(path, library)]
    return {**named, **{f"{LIBRARY}/{path.relative_to(library).as_posix()}": path for path in own}}


def is_program(name: str) -> bool:
    """Tell whether a member of an archive is run, or tells what is run or installed."""
    path = PurePosixPath(name)
    return path.parts[0] in (*_FOLDERS, LIBRARY) or name in _FILES or path.suffix in _RUN_SUFFIXES


def _find_root() -> Path:
    candidates = (Path.cwd(), Path(hypermix.__file__).parents[1])
    for root in candidates:
        if (root / "Snakefile").is_file() and (root / "workflow" / "rules" / "common.smk").is_file():
            return root
    raise ArtefactError(
        "the workflow of HyperMix (Snakefile, workflow/) is neither in this folder nor beside the library; run this "
        "command in the folder of the checkout that the study was made with"
    )


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in path.relative_to(root).parts)
