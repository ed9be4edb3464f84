"""The `hypermix` command: what a user asks for beside a run."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hypermix import __version__
from hypermix.config import experiment, render
from hypermix.config.dataset import HubDataset, RegistryDataset
from hypermix.config.edit import with_revisions
from hypermix.config.load import check_files, load_config, merge
from hypermix.config.model import Config
from hypermix.config.registry import REGISTRY_PATH, is_commit, read_registry, read_yaml
from hypermix.errors import HypermixError
from hypermix.files import read_provenance, write_text

_MODEL = "hypermix/config/model.py"
_CONFIG = Path("config/config.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words after `hypermix`; those of the process if None.

    Returns:
        The exit status: 0, or 1 if the answer is no or the command cannot be carried out.
    """
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.command(parsed))
    except HypermixError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hypermix", description="Companion of `snakemake --cores N`.")
    parser.add_argument("--version", action="version", version=f"hypermix {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    config = commands.add_parser("config", help="check the config, or write the files that are made from its model")
    actions = config.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", help="check config files, later ones laid over earlier ones, and count the runs"
    )
    check.add_argument("files", nargs="*", type=Path, default=[_CONFIG], metavar="FILE")
    check.set_defaults(command=_check)
    write = actions.add_parser("write", help="write config/README.md, config/schema.json and docs/datasets.md")
    write.add_argument(
        "--check", action="store_true", help="write nothing; fail with the difference if they are out of step"
    )
    write.set_defaults(command=_write)
    datasets = commands.add_parser("datasets", help="see to the datasets of the config")
    actions = datasets.add_subparsers(required=True, metavar="ACTION")
    pin = actions.add_parser(
        "pin", help="write the commits of the hub datasets, as the results have them or the hub now, into the last file"
    )
    pin.add_argument("files", nargs="*", type=Path, default=[_CONFIG], metavar="FILE")
    pin.set_defaults(command=_pin)
    return parser


def _check(parsed: argparse.Namespace) -> int:
    config = _load(parsed.files)
    check_files(config)
    runs = experiment.runs(config)
    print(f"The config is fine: {len(runs)} runs.")
    return 0


def _load(files: Iterable[Path]) -> Config:
    merged: dict[str, object] = {}
    for path in files:
        merged = merge(merged, read_yaml(path))
    return load_config(merged, read_registry(REGISTRY_PATH) if REGISTRY_PATH.exists() else None)


def _write(parsed: argparse.Namespace) -> int:
    status = 0
    for name, source, wanted in _generated():
        path = Path(name)
        if not parsed.check:
            write_text(path, wanted)
            continue
        found = path.read_text(encoding="utf-8") if path.is_file() else ""
        if found != wanted:
            status = 1
            sys.stdout.writelines(
                difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), name, f"from {source}")
            )
            print(f"{name} is out of step with {source}; run: hypermix config write")
    return status


def _generated() -> Iterator[tuple[str, str, str]]:
    """Make the files that are not written by hand: the name, what it is made from, the text."""
    yield "config/README.md", _MODEL, render.reference()
    yield "config/schema.json", _MODEL, render.json_schema()
    if REGISTRY_PATH.exists():
        yield "docs/datasets.md", str(REGISTRY_PATH), render.datasets_document(read_registry(REGISTRY_PATH))


def _pin(parsed: argparse.Namespace) -> int:
    target = parsed.files[-1]
    config = _load(parsed.files)
    loose = {
        name: dataset
        for name, dataset in config.datasets.items()
        if isinstance(dataset, HubDataset | RegistryDataset) and not is_commit(dataset.revision)
    }
    if not loose:
        print("Nothing to pin: no dataset of the config comes from the hub without a commit.")
        return 0
    found = {name: _find_commit(name, dataset, Path(config.results)) for name, dataset in loose.items()}
    write_text(target, with_revisions(target, {name: commit for name, (commit, _) in found.items()}))
    for name, (commit, origin) in found.items():
        print(f"{name}: {loose[name].path} at {commit} (from {origin})")
    return 0


def _find_commit(name: str, dataset: HubDataset | RegistryDataset, results: Path) -> tuple[str, str]:
    """Take the commit from the results, if they were made from this very dataset, else from the hub."""
    prepared = results / "prepare" / f"dataset={name}" / "train.parquet"
    if prepared.exists():
        told = read_provenance(prepared)
        commit = told.get("inputs", {}).get(dataset.path)
        used = told.get("slices", {}).get("prepare", {}).get("dataset", {})
        if is_commit(commit) and used.get("revision") == dataset.revision:
            return str(commit), "results"
    from hypermix.data.hub import resolve_commit

    return resolve_commit(dataset.path, dataset.revision), "the hub"
