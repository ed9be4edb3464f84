"""Time `hypermix status` and `hypermix partial` on a made-up study of 10,000 runs, some of which failed.

    python benchmarks/status_scale.py [--seeds 100] [--folder DIR] [--tries 3]

Writes the artefacts that the stages would have written (10 datasets, 5 augmenters, 2 trials), runs each command in a
process of its own, and prints a Markdown table for docs/benchmarks.md. With --folder the artefacts stay, and what is
there is used again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hypermix import tables
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.files import write_text
from hypermix.hashing import canonical_json
from hypermix.steps.artefacts import Unit, list_units
from hypermix.steps.joblog import FAILED
from hypermix.steps.spent import SPENDING, SPENT
from hypermix.steps.stale import Wanted


def settings(folder: Path, seeds: int) -> dict[str, Any]:
    """Word the study."""
    augmenters = {name: {"method": name} for name in ("none", "duplicate", "real", "shuffle")}
    return {
        "results": str(folder / "results"),
        "cache": str(folder / "cache"),
        "datasets": {f"d{place}": {"source": "file", "train": f"d{place}.csv"} for place in range(10)},
        "subsample": {"train": ["16s"], "validation": "16s", "test": None},
        "seeds": {"data": {"master": 42, "count": seeds}, "trials": {"master": 42, "count": 2}},
        "llms": {"local": {"api": "embedded"}},
        "augmenters": {**augmenters, "mix": {"method": "gpt3mix", "llm": "local"}},
        "classifiers": {"minilm": {"method": "finetune"}},
    }


def write_study(config: Config) -> None:
    """Write everything but what failed: one in a hundred trainings."""
    wanted = Wanted(config)

    @cache
    def content(table: str, dataset: str, augmenter: str, classifier: str) -> bytes:
        keys = {"dataset": dataset, "augmenter": augmenter, "classifier": classifier, "data_seed": 1}
        slices = wanted.slices(keys, table)
        made = {"hypermix": "0", "keys": {"dataset": dataset}, "inputs": {"train": "0" * 64}, "slices": slices}
        if table == "receipt":
            made[SPENT] = dict.fromkeys(SPENDING, 4)
        schema = tables.schema(table)
        count = 1 if table in ("metrics", "receipt") else 0
        rows = pa.table({field.name: [_value(field.type)] * count for field in schema}, schema=schema)
        out = BytesIO()
        pq.write_table(rows.replace_schema_metadata({b"hypermix": canonical_json(made).encode()}), out)
        return out.getvalue()

    for stage, units in list_units(config).items():
        for unit in units.values():
            if stage in ("train", "evaluate") and _is_unlucky(unit):
                if stage == "train":
                    write_text(Path(unit.log(config.results)), f"12:00:00 {FAILED}there is no room\n")
                continue
            family = [str(unit.keys.get(name, "")) for name in ("dataset", "augmenter", "classifier")]
            for path, table in zip(unit.files(config.results), unit.tables, strict=True):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(content(table, *family))


def _is_unlucky(unit: Unit) -> bool:
    return (int(unit.keys["data_seed"]) + int(unit.keys["trial"])) % 100 == 0


def _value(kind: pa.DataType) -> object:
    if pa.types.is_string(kind):
        return "local"
    return 4 if pa.types.is_integer(kind) else 0.5


def measure(command: str, config_file: Path) -> tuple[float, float, float]:
    """Run a command and return its seconds, its processor's seconds and its megabytes."""
    code = (
        "import resource, sys; from hypermix.cli import main; main(sys.argv[1:]); "
        "used = resource.getrusage(resource.RUSAGE_SELF); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, command, str(config_file)], capture_output=True, text=True, check=True
    )
    used, most = done.stderr.split()[-2:]
    return time.perf_counter() - started, float(used), int(most) / 1024


def main() -> None:
    """Make up the study, run the commands, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--command", nargs="+", default=["status", "partial"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = (given.folder or Path(made)).resolve()
        words = settings(folder, given.seeds)
        write_text(folder / "study.yaml", json.dumps(words))
        if not (folder / "results").exists():
            write_study(load_config(words))
        print("| command | s | s of a processor | MB |")
        print("| --- | --- | --- | --- |")
        for command in given.command:
            found = [measure(command, folder / "study.yaml") for _ in range(given.tries)]
            seconds, used = (", ".join(f"{one[place]:.2f}" for one in found) for place in range(2))
            print(f"| `hypermix {command}` | {seconds} | {used} | {max(one[2] for one in found):.0f} |")


if __name__ == "__main__":
    main()
