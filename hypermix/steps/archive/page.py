"""The page that lies in an archive: how the study runs again, and what must be at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypermix.report.console import plain

_HEAD = """# A study made with HyperMix {hypermix}

{runs} runs. Their tables, verdict and report lie in `study/`; open `study/report.html`.

## To run it again

It needs HyperMix {hypermix} and the same versions of its packages ({torch}; `archive.json` lists all). In this folder:

    snakemake --cores all     # no key, and no network but for what stands at the end of this page
    hypermix compare          # are the results the same, byte for byte?

`hypermix unpack FILE FOLDER` has checked every file and stored the answers of language models. After a plain `unzip`
store them yourself: `hypermix cache import answers.parquet`, if there is such a file. `make run` installs HyperMix from
this folder and runs the study (Python 3.11 or newer, and a package index).

Equal bytes are promised for the same versions on the same kind of processor; elsewhere the last digits of a training
may differ.

## What is in it

| place | what |
| --- | --- |
| `config/config.yaml` | the config, all its files laid over each other, without places of keys, `offline: true` |
| `Snakefile`, `workflow/`, `profiles/`, `envs/` | the workflow that made it, under its `LICENSE` |
| `hypermix/`, `requirements/` | the library, and the packages that it needs |
| `answers.parquet` | the answers of language models that it is made from: {answers}; for `hypermix cache import` |
| `study/` | its results |
| `archive.json` | versions, seeds, and the size and SHA-256 of every file |
| all other files | the data and models that it reads, under the terms of their owners |

snakemake runs the workflow of this folder: do so only if you trust who gave it to you. `hypermix unpack` tells whether
it is the one that is installed.
"""

_NOTHING = """
## What must be at hand

Nothing: all that it reads is here.
"""

_NEEDED = """
## What must be at hand

These are not in this file:

"""


def write_page(manifest: Mapping[str, Any]) -> str:
    """Write the page.

    Args:
        manifest: What the archive says of itself, without the list of its files.
    """
    torch = f"torch {manifest['packages'].get('torch', 'not installed')}"
    head = _HEAD.format(**{name: manifest[name] for name in ("hypermix", "runs", "answers")}, torch=torch)
    if not manifest["needed"]:
        return head + _NOTHING
    return head + _NEEDED + "".join(f"- {tell_need(one)}\n" for one in manifest["needed"])


def tell_need(needed: Mapping[str, str]) -> str:
    """Tell in a line what must be at hand, without control characters."""
    known = [f"{name} {needed[name]}" for name in ("commit", "sha256", "version") if name in needed]
    told = f"{needed['for']}: {needed['name']}{f' ({known[0]})' if known else ''}; {needed['why']}"
    return plain(told)
