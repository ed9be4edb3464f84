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

_RUN_NAMES = ("gnumakefile", *(name.lower() for name in _FILES))
"""The same, by names in small letters: make takes a GNUmakefile first, and some systems tell no capitals."""


def program_files() -> dict[str, Path]:
    """Return the files of the running version by their places in the project, the registry of datasets among them.

    Raises:
        ArtefactError: If the workflow is neither in the working folder nor beside the library.
    """
    workflow = _workflow_files()
    if not workflow:
        raise ArtefactError(
            "the workflow of HyperMix (Snakefile, workflow/) is neither in this folder nor beside the library; run "
            "this command in the folder of the checkout that the study was made with"
        )
    return {**workflow, **_library_files()}


def known_files() -> dict[str, Path]:
    """Return those of them that are here: the library may be installed without the workflow."""
    return {**_workflow_files(), **_library_files()}


def is_program(name: str) -> bool:
    """Tell whether a member of an archive is run, or tells what is run or installed; hidden files may."""
    path = PurePosixPath(name.lower())
    hidden = any(part.startswith(".") for part in path.parts)
    named = path.parts[0] in (*_FOLDERS, LIBRARY) or str(path) in _RUN_NAMES
    return hidden or named or path.suffix in _RUN_SUFFIXES


def _workflow_files() -> dict[str, Path]:
    for root in (Path.cwd(), Path(hypermix.__file__).parents[1]):
        if (root / "Snakefile").is_file() and (root / "workflow" / "rules" / "common.smk").is_file():
            found = [root / name for name in (*_FILES, str(REGISTRY_PATH))]
            found += [path for folder in _FOLDERS for path in (root / folder).rglob("*")]
            return {_place(path, root): path for path in found if path.is_file() and not _is_hidden(path, root)}
    return {}


def _library_files() -> dict[str, Path]:
    root = Path(hypermix.__file__).parent
    found = (path for path in root.rglob("*") if path.suffix in _LIBRARY_SUFFIXES and not _is_hidden(path, root))
    return {f"{LIBRARY}/{_place(path, root)}": path for path in found}


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in path.relative_to(root).parts)
