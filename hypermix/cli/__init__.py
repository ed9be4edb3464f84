"""The `hypermix` command: what a user asks for beside a run."""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from hypermix import __version__
from hypermix.cli.cache import add_cache
from hypermix.cli.configs import CONFIG, amount_of, known_datasets, load, merged
from hypermix.cli.predict import add_predict
from hypermix.config import experiment, render
from hypermix.config.dataset import HubDataset, RegistryDataset
from hypermix.config.edit import with_revisions
from hypermix.config.load import check_files
from hypermix.config.registry import REGISTRY_PATH, is_commit, read_registry
from hypermix.errors import HypermixError
from hypermix.files import read_provenance, write_text
from hypermix.report.checkup import checkup_text
from hypermix.report.forecast import forecast_text
from hypermix.report.status import status_text
from hypermix.report.why import why_text

_MODEL = "hypermix/config/model.py"

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


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
    files = argparse.ArgumentParser(add_help=False)
    told = f"config files, later ones laid over earlier ones; {CONFIG} if none is named"
    files.add_argument("files", nargs="*", type=Path, default=[CONFIG], metavar="FILE", help=told)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    config = commands.add_parser("config", help="check the config, or write the files that are made from its model")
    actions = config.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", parents=[files], help="check config files, later ones laid over earlier ones, and count the runs"
    )
    check.set_defaults(command=_check)
    write = actions.add_parser("write", help="write config/README.md, config/schema.json and docs/datasets.md")
    write.add_argument(
        "--check", action="store_true", help="write nothing; fail with the difference if they are out of step"
    )
    write.set_defaults(command=_write)
    datasets = commands.add_parser("datasets", help="see to the datasets of the config")
    actions = datasets.add_subparsers(required=True, metavar="ACTION")
    pin = actions.add_parser(
        "pin",
        parents=[files],
        help="write the commits of the hub datasets, as the results have them or the hub now, into the last file",
    )
    pin.set_defaults(command=_pin)
    _add_experiment(commands, files)
    add_predict(commands.add_parser("predict", help="write the rows of a file with the labels of an exported model"))
    _add_archive(commands, files)
    add_cache(commands.add_parser("cache", help="see to the stored answers of language models"))
    return parser


def _add_experiment(commands: Subparsers, files: argparse.ArgumentParser) -> None:
    """Add what tells of an experiment and changes nothing of it."""

    def add(name: str, command: Callable[[argparse.Namespace], int], told: str) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, parents=[files], help=told)
        parser.set_defaults(command=command)
        return parser

    plan = add("plan", _plan, "tell what the runs will ask of language models, and its price")
    plan.add_argument("--export", action="store_true", help="count the rows of the model that is exported too")
    status = add("status", _status, "tell how far a run is: done, running, failed, waiting; money and time")
    status.add_argument("--json", action="store_true", help="write it for machines, with every job and file")
    why = add("why", _why, "tell why each job would run: which setting, input or version changed")
    why.add_argument("--json", action="store_true", help="write it for machines")
    add("partial", _partial, "write the tables, the verdict and the report of the runs so far")
    doctor = add("doctor", _doctor, "look at all that a run needs, and say what is to be done")
    doctor.add_argument(
        "--again", action="store_true", help="ask endpoints anew what they take, one cheap request each"
    )


def _add_archive(commands: Subparsers, files: argparse.ArgumentParser) -> None:
    archived = commands.add_parser(
        "archive", parents=[files], help="write a finished study into one file, to run again elsewhere without network"
    )
    archived.add_argument("--out", type=Path, default=Path("study.zip"), metavar="FILE.zip")
    archived.add_argument(
        "--with-data", action="append", default=[], metavar="DATASET", help="put in the rows of a dataset of others"
    )
    archived.add_argument(
        "--without-data", action="append", default=[], metavar="DATASET", help="leave out the rows of one of yours"
    )
    archived.add_argument(
        "--most-mb", type=amount_of, default=100.0, metavar="MB", help="the largest file of yours that goes in (100)"
    )
    archived.set_defaults(command=_archive)
    unpacked = commands.add_parser("unpack", help="unpack such a file into a new folder, and check it")
    unpacked.add_argument("file", type=Path, metavar="FILE.zip")
    unpacked.add_argument("folder", type=Path, metavar="FOLDER")
    unpacked.add_argument("--most-gb", type=amount_of, default=20.0, metavar="GB", help="what it may unpack to (20)")
    unpacked.set_defaults(command=_unpack)
    compared = commands.add_parser("compare", help="hold what was made in such a folder against the study in it")
    compared.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="FOLDER")
    compared.set_defaults(command=_compare)


def _check(parsed: argparse.Namespace) -> int:
    config = load(parsed.files)
    check_files(config)
    runs = experiment.runs(config)
    print(f"The config is fine: {len(runs)} runs.")
    return 0


def _plan(parsed: argparse.Namespace) -> int:
    from hypermix.steps.plan import forecast

    overlaid = [] if parsed.files == [CONFIG] else [str(path) for path in parsed.files]
    told = forecast(load(parsed.files), export=parsed.export, files=overlaid)
    print(forecast_text(told, shutil.get_terminal_size().columns), end="")
    return 0


def _status(parsed: argparse.Namespace) -> int:
    from hypermix.steps.status import look

    told = look(load(parsed.files))
    if parsed.json:
        print(json.dumps(asdict(told), indent=2, ensure_ascii=False))
    else:
        print(status_text(told, shutil.get_terminal_size().columns, color=_has_color()), end="")
    return int(any(one.failed for one in told.stages))


def _why(parsed: argparse.Namespace) -> int:
    from hypermix.steps.why import explain

    told = explain(load(parsed.files))
    if parsed.json:
        print(json.dumps({**asdict(told), "jobs": told.jobs}, indent=2, ensure_ascii=False))
    else:
        print(why_text(told, shutil.get_terminal_size().columns), end="")
    return 0


def _partial(parsed: argparse.Namespace) -> int:
    from hypermix.steps import partial

    written = partial.write(load(parsed.files))
    print("\n".join(written.lines()))
    return 0


def _has_color() -> bool:
    screen = Console()
    return screen.is_terminal and not screen.no_color


def _doctor(parsed: argparse.Namespace) -> int:
    from hypermix.steps.doctor.checkup import examine

    findings = examine(lambda: load(parsed.files), again=parsed.again)
    print(checkup_text(findings, shutil.get_terminal_size().columns, color=_has_color()), end="")
    return int(any(finding.level == "to do" for finding in findings))


def _archive(parsed: argparse.Namespace) -> int:
    from hypermix.steps.archive.material import Wish
    from hypermix.steps.archive.write import write

    wish = Wish(parsed.with_data, parsed.without_data, int(parsed.most_mb * 1e6))
    config = load(parsed.files)
    written = write(merged(parsed.files), config, known_datasets() or {}, parsed.out, wish)
    print("\n".join(written.lines(parsed.out)))
    return 0


def _unpack(parsed: argparse.Namespace) -> int:
    from hypermix.steps.archive.unpack import unpack

    made = unpack(parsed.file, parsed.folder, int(parsed.most_gb * 1e9))
    print("\n".join(made.lines(parsed.folder)))
    return 0


def _compare(parsed: argparse.Namespace) -> int:
    from hypermix.steps.archive.unpack import compare

    same, told = compare(parsed.folder)
    print("\n".join(told))
    return int(not same)


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
    config = load(parsed.files)
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
