"""The `hypermix` command: what a user asks for beside a run."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from hypermix import __version__
from hypermix.config import experiment, render
from hypermix.config.load import check_files, load_config, merge
from hypermix.errors import ConfigError, HypermixError
from hypermix.files import write_text

_GENERATED = {"config/README.md": render.reference, "config/schema.json": render.json_schema}


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
    check.add_argument("files", nargs="*", type=Path, default=[Path("config/config.yaml")], metavar="FILE")
    check.set_defaults(command=_check)
    write = actions.add_parser("write", help="write config/README.md and config/schema.json")
    write.add_argument(
        "--check", action="store_true", help="write nothing; fail with the difference if they are out of step"
    )
    write.set_defaults(command=_write)
    return parser


def _check(parsed: argparse.Namespace) -> int:
    merged: dict[str, object] = {}
    for path in parsed.files:
        merged = merge(merged, _read_yaml(path))
    config = load_config(merged)
    check_files(config)
    runs = experiment.runs(config)
    print(f"The config is fine: {len(runs)} runs.")
    return 0


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no mapping of settings")
    return content


def _write(parsed: argparse.Namespace) -> int:
    status = 0
    for name, make in _GENERATED.items():
        path, wanted = Path(name), make()
        if not parsed.check:
            write_text(path, wanted)
            continue
        found = path.read_text(encoding="utf-8") if path.is_file() else ""
        if found != wanted:
            status = 1
            sys.stdout.writelines(
                difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), name, "the model")
            )
            print(f"{name} is out of step with hypermix/config/model.py; run: hypermix config write")
    return status
