"""`hypermix predict`: the rows of a file with the labels of an exported model."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

_SILENCE_SECONDS = 10.0


def add_predict(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments of a prediction.

    Args:
        parser: That of the command.
    """
    parser.epilog = (
        "Where an error says to set separator, encoding, format, quoting or text, that is the option of this name."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="the folder that snakemake export wrote")
    parser.add_argument("source", type=Path, metavar="IN", help="a CSV, TSV, JSONL or Parquet file (.gz, .zst)")
    parser.add_argument(
        "output", type=Path, metavar="OUT", help="where all columns of IN go, and two more; an older file is replaced"
    )
    parser.add_argument(
        "--text", action="append", default=[], metavar="COLUMN", help="a column with the texts; several are joined"
    )
    parser.add_argument("--all", action="store_true", help="write the probability of each label too")
    parser.add_argument(
        "--format", choices=("csv", "tsv", "jsonl", "parquet"), help="that of IN; by its suffix if not given"
    )
    parser.add_argument(
        "--separator", choices=(",", ";", "\t", "|"), help="what stands between the fields of CSV and TSV"
    )
    parser.add_argument("--encoding", default="utf-8", metavar="NAME", help="that of IN; OUT is UTF-8")
    parser.add_argument("--quoting", default="csv", choices=("csv", "none"), help="none: a quote in IN is a character")
    parser.set_defaults(command=_predict)


def _predict(parsed: argparse.Namespace) -> int:
    from hypermix.steps.predict import predict

    reading = {name: getattr(parsed, name) for name in ("format", "separator", "encoding", "quoting")}
    told = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal told
        if time.monotonic() - told > _SILENCE_SECONDS:
            told = time.monotonic()
            print(f"{rows} rows so far", file=sys.stderr)

    done = predict(
        parsed.model, parsed.source, parsed.output, text=parsed.text, every=parsed.all, reading=reading, tell=tell
    )
    print("\n".join(done.lines(parsed.output)))
    return 0
