"""`hypermix cache`: the stored answers of language models."""

from __future__ import annotations

import argparse
from pathlib import Path

from hypermix.cli.configs import CONFIG, amount_of, load
from hypermix.llm import archive
from hypermix.llm.store import RequestStore


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Give a parser the actions on stored answers.

    Args:
        parser: That of the command.
    """
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--cache", type=Path, metavar="DIR", help="the cache folder; that of the config if not given")
    where.add_argument(
        "--config", type=Path, action="append", metavar="FILE", help=f"a config file, over those before it ({CONFIG})"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, command, told in (
        ("stats", _stats, "count answers, megabytes and requests without an answer"),
        ("verify", _verify, "read every answer and name the damaged ones"),
    ):
        actions.add_parser(name, parents=[where], help=told).set_defaults(command=command)
    for name, command, told in (
        ("export", _export, "write all answers to one Parquet file"),
        ("import", _import, "add the answers that are missing here from an exported file"),
    ):
        action = actions.add_parser(name, parents=[where], help=told)
        action.add_argument("file", type=Path, metavar="FILE.parquet")
        action.set_defaults(command=command)
    prune = actions.add_parser("prune", parents=[where], help="delete answers; without --yes only tell which would go")
    which = prune.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="those of a model, by its name in the requests")
    which.add_argument("--older-than", type=amount_of, metavar="DAYS", help="those that have been here for longer")
    which.add_argument(
        "--unused-by",
        type=Path,
        metavar="RESULTS_DIR",
        help="those that no synthetic row comes from, those of unfinished augmentations too",
    )
    prune.add_argument("--yes", action="store_true", help="delete them")
    prune.set_defaults(command=_prune)


def _store(parsed: argparse.Namespace) -> RequestStore:
    cache = parsed.cache or Path(load(parsed.config or [CONFIG]).cache)
    return RequestStore(cache / "requests")


def _stats(parsed: argparse.Namespace) -> int:
    store = _store(parsed)
    found = archive.survey(store)
    print(f"{store.folder}: {_amount(found.answers, found.size)}, {found.claims} requests without an answer")
    for model, (count, size) in sorted(found.models.items()):
        print(f"  {model}: {_amount(count, size)}")
    return _tell_damaged(found)


def _amount(count: int, size: int) -> str:
    return f"{count} answer{'s' * (count != 1)}, {size / 1e6:.1f} MB"


def _tell_damaged(found: archive.Contents) -> int:
    for path in found.damaged:
        print(f"{path}: is damaged; the request will be sent again, unless an import brings the answer")
    return 1 if found.damaged else 0


def _verify(parsed: argparse.Namespace) -> int:
    found = archive.survey(_store(parsed))
    print(f"{found.answers} answers are intact, {len(found.damaged)} damaged.")
    return _tell_damaged(found)


def _export(parsed: argparse.Namespace) -> int:
    found = archive.export_store(_store(parsed), parsed.file)
    print(f"{parsed.file}: {found.answers} answers written.")
    return _tell_damaged(found)


def _import(parsed: argparse.Namespace) -> int:
    found = archive.import_store(_store(parsed), parsed.file)
    print(f"{found.added} answers added, {found.present} were there.")
    if found.damaged:
        print(f"{parsed.file}: {len(found.damaged)} rows were left out as damaged; the first is row {found.damaged[0]}")
    return 1 if found.damaged else 0


def _prune(parsed: argparse.Namespace) -> int:
    store = _store(parsed)
    if parsed.model is not None:
        keys = archive.keys_of_model(store, parsed.model)
    elif parsed.older_than is not None:
        keys = archive.keys_older_than(store, parsed.older_than)
    else:
        keys = archive.keys_unused_by(store, parsed.unused_by)
    amount = _amount(len(keys), archive.size_of(store, keys))
    if parsed.yes:
        archive.remove(store, keys)
        print(f"{amount} deleted.")
    else:
        print(f"{amount} would go; delete them with --yes.")
    return 0
