"""Build the site of the documents: gather pages and what they link to, draw diagrams, run Zensical.

    python docs/site/build.py [--folder build]

The site is FOLDER/site. Diagrams in Mermaid become pictures here, since a page would else fetch the library that draws
them from another host.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path(__file__).with_name("mkdocs.yml")
_PAGE = re.compile(r"(?m)^ +(?:- )?[^:\n]+: (\S+\.md)$|^  - [^:\n]+: (\S+\.md)$")
_LINK = re.compile(r"\]\(\s*([^()\s#]+)[^()]*\)")
_DIAGRAM = re.compile(r"(?ms)^```mermaid\n(.*?)^```$")


def page_names() -> list[str]:
    """Name the pages of the site, in the order of its menu."""
    return [first or second for first, second in _PAGE.findall(CONFIG.read_text(encoding="utf-8"))]


def gather(target: Path) -> None:
    """Copy all pages, with their diagrams drawn, and all other files that they link to.

    Args:
        target: The folder that gets them, at the places that they have in the repository.
    """
    pages = page_names()
    for name in pages:
        text = (ROOT / name).read_text(encoding="utf-8")
        page = target / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_draw_diagrams(text, page), encoding="utf-8")
        for linked in _linked_files(text, ROOT / name):
            place = linked.relative_to(ROOT)
            if linked.is_file() and place.as_posix() not in pages:
                (target / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(linked, target / place)


def _linked_files(text: str, page: Path) -> Iterable[Path]:
    names = (name for name in _LINK.findall(text) if not re.match(r"[a-z]+:", name))
    return [path for name in names if (path := (page.parent / name).resolve()).is_relative_to(ROOT)]


def _draw_diagrams(text: str, page: Path) -> str:
    """Put a picture in the place of each diagram."""
    import mermaidx

    def draw(found: re.Match[str]) -> str:
        picture = page.with_name(f"{page.stem.lower()}-diagram-{found.start()}.svg")
        mermaidx.render(found[1]).save(str(picture))
        return f"![Diagram]({picture.name})"

    return _DIAGRAM.sub(draw, text)


def build(folder: Path) -> Path:
    """Build the site anew.

    Args:
        folder: Where it is built.

    Returns:
        The folder of the site.

    Raises:
        SystemExit: If Zensical refuses or warns of something.
    """
    source, site = folder / "site-source", folder / "site"
    for made in (source, site):
        shutil.rmtree(made, ignore_errors=True)
    gather(source / "pages")
    shutil.copyfile(CONFIG, source / "mkdocs.yml")
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    done = subprocess.run([*command, "--config-file", "mkdocs.yml"], cwd=source, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    (source / "site").rename(site)
    return site


def main() -> None:
    """Build the site as the command line says."""
    parser = argparse.ArgumentParser(description="Build the site of the documents.")
    parser.add_argument("--folder", type=Path, default=ROOT / "build")
    site = build(parser.parse_args().folder)
    sys.stdout.write(f"{site / 'index.html'}\n")


if __name__ == "__main__":
    main()
