"""Time `aggregate` on a made-up study of 10,000 runs: 5 datasets, 5 sizes, 20 data seeds, 10 augmenters, 2 trials.

    python benchmarks/aggregate_scale.py [--folder DIR] [--seeds 20] [--rows 16] [--labels 4] [--profile]

Writes the artefacts that the stages would have written (70,000 files), runs `hypermix.steps.aggregate` on them in a
process of its own, and prints a Markdown table for docs/benchmarks.md. With --folder the artefacts stay, and what
is there is used again.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from hypermix import tables
from hypermix.augment.quality.catalog import NAMES
from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.hashing import canonical_json
from hypermix.stats import metric
from hypermix.steps.artefacts import AGGREGATE_INPUTS, AGGREGATE_OUTPUTS, STAGES, list_units, place_of

N_TEST = 200


def settings(seeds: int) -> dict[str, Any]:
    """Word the study."""
    mix = {"method": "gpt3mix", "llm": "local"}
    return {
        "datasets": {f"d{place}": {"source": "file", "train": f"d{place}.csv"} for place in range(5)},
        "subsample": {"train": ["4s", "8s", "16s", "32s", "64s"], "validation": "16s", "test": None},
        "seeds": {"data": {"master": 42, "count": seeds}, "trials": {"master": 42, "count": 2}},
        "llms": {"local": {"api": "embedded", "model": "package:gemma3-270m"}},
        "augmenters": {
            "none": {"method": "none"},
            "duplicate": {"method": "duplicate"},
            **{f"mix{place}": {**mix, "examples": place + 1} for place in range(8)},
        },
        "classifiers": {"minilm": {"method": "finetune", "model": "package:minilm-l6"}},
    }


def path_of(root: Path, kind: str, key: Mapping[str, Any]) -> Path:
    """Name a file of a run."""
    stage, table = AGGREGATE_INPUTS[kind]
    return Path(root, STAGES[stage].tables[table], place_of(STAGES[stage].keys, key), f"{table}.parquet")


def write(path: Path, table: str, columns: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    """Write a file without waiting for the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = tables.from_columns(table, columns).replace_schema_metadata({b"hypermix": canonical_json(made).encode()})
    pq.write_table(found, path, compression="none")  # as `hypermix.files.write_table` does with tables so small


class Study:
    """Makes up what the stages wrote."""

    def __init__(self, config: Config, root: Path, n_labels: int, n_rows: int) -> None:
        """Take what the files depend on."""
        self.config, self.root, self.n_rows = config, root, n_rows
        self.labels = [f"label {place}" for place in range(n_labels)]

    @cache  # noqa: B019 - one object a process
    def slices(self, dataset: str, augmenter: str) -> dict[str, Any]:
        """Return the slices of all stages."""
        config = self.config
        found = {
            "prepare": experiment.prepare_slice(config, dataset),
            "subsample": experiment.subsample_slice(config),
            "augment": experiment.augment_slice(config, dataset, augmenter),
            "quality": experiment.quality_slice(config),
            "train": experiment.train_slice(config, "minilm"),
            "evaluate": experiment.evaluate_slice(),
        }
        return {stage: json.loads(text) for stage, text in found.items()}

    def write(self) -> None:
        """Write all files."""
        for dataset in self.config.datasets:
            lines = {"split": ["train"], "label": [None], "measure": ["rows"], "value": [5000.0], "detail": [None]}
            made = {"keys": {"dataset": dataset}, "slices": self.slices(dataset, "none"), "labels": self.labels}
            write(self.root / "prepare" / f"dataset={dataset}" / "profile.parquet", "profile", lines, made)
        for place, key in enumerate(experiment.runs(self.config)):
            self.write_run(key, np.random.default_rng(place))

    def write_run(self, key: Mapping[str, Any], generator: np.random.Generator) -> None:
        """Write the files of one run."""
        n = len(self.labels)
        made = {
            "hypermix": "0",
            "keys": dict(key),
            "inputs": {},
            "slices": self.slices(key["dataset"], key["augmenter"]),
            "trained": {"weights": "w", "device": "cpu", "precision": "float32"},
        }
        true = generator.integers(0, n, N_TEST)
        right = generator.dirichlet(np.ones(n), N_TEST) + 0.5 * np.eye(n)[true]
        probabilities = right / right.sum(axis=1, keepdims=True)
        measures = metric.score(true, probabilities)
        counts = {"n_train": 16, "n_synthetic": self.n_rows, "n_test": N_TEST, "steps": 100, "best_epoch": 3}
        pairs = [(one, other) for one in self.labels for other in self.labels]
        made_up: dict[str, Mapping[str, Any]] = {
            "metrics": {name: [value] for name, value in {**counts, **measures}.items()},
            "confusion": {
                "label": [one for one, _ in pairs],
                "predicted": [other for _, other in pairs],
                "n": metric.confusion(true, probabilities).ravel(),
            },
            "calibration": metric.calibration(true, probabilities),
            "quality": {"measure": list(NAMES), "value": generator.random(len(NAMES))},
            "receipt": self.receipt(key),
            "history": self.history(generator),
            "synthetic": self.rows(key, generator),
        }
        for kind, columns in made_up.items():
            write(path_of(self.root, kind, key), kind, columns, made)

    def receipt(self, key: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Make up a receipt."""
        names = tables.schema("receipt").names
        return {
            name: [("local" if str(key["augmenter"]).startswith("mix") else None) if name == "llm" else 1]
            for name in names
        }

    def history(self, generator: np.random.Generator) -> dict[str, list[Any]]:
        """Make up the moments of a training that was validated after each tenth step."""
        steps = list(range(10, 110, 10))
        made_up = {"epoch": [step // 20 + 1 for step in steps], "step": steps, "peak_mb": [500.0] * len(steps)}
        drawn = {name: generator.random(len(steps)).tolist() for name in tables.schema("history").names}
        return {**drawn, **made_up}

    def rows(self, key: Mapping[str, Any], generator: np.random.Generator) -> dict[str, list[Any]]:
        """Make up synthetic rows of about 20 words."""
        n = 0 if key["augmenter"] == "none" else self.n_rows
        words = generator.integers(0, 5000, (n, 20))
        soft = generator.dirichlet(np.ones(len(self.labels)), n).tolist()
        kept = (generator.random(n) > 0.1).tolist()
        return {
            "id": [f"{place:032x}" for place in generator.integers(0, 2**62, n)],
            "text": [" ".join(f"word{word}" for word in row) for row in words],
            "label": [self.labels[place % len(self.labels)] for place in range(n)],
            "soft_label": soft,
            "label_source": ["logprobs"] * n,
            "label_mass": generator.random(n).tolist(),
            "source_ids": [[f"{place:032x}", f"{place + 1:032x}"] for place in range(n)],
            "llm": ["local"] * n,
            "request_key": [f"{place:064x}" for place in generator.integers(0, 2**62, n)],
            "kept": kept,
            "reason": [None if one else "empty" for one in kept],
        }


def aggregate_all(config: Config, root: Path) -> dict[str, float]:
    """Aggregate and return the seconds and those of the processor."""
    from hypermix.steps import aggregate

    units = list_units(config)
    inputs = {
        kind: [unit.path(str(root), table) for unit in units[stage].values()]
        for kind, (stage, table) in AGGREGATE_INPUTS.items()
    }
    outputs = {name: root / "aggregate" / path for name, path in AGGREGATE_OUTPUTS.items()}
    started, used = time.perf_counter(), time.process_time()
    aggregate.run(experiment.aggregate_slice(config), inputs, outputs)
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}


def main() -> None:
    """Make up the study, aggregate it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=16, help="synthetic rows of a run")
    parser.add_argument("--labels", type=int, default=4)
    parser.add_argument("--only", action="store_true", help="aggregate what is there, in this process")
    parser.add_argument("--profile", action="store_true", help="tell where the time goes")
    options = parser.parse_args()
    config = load_config(settings(options.seeds))
    if options.only:
        watch = cProfile.Profile(time.process_time)
        if options.profile:
            watch.enable()
        spent = aggregate_all(config, options.folder)
        watch.disable()
        if options.profile:
            pstats.Stats(watch).sort_stats("cumulative").print_stats(60)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**spent, "peak": peak}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = options.folder or Path(scratch)
        if not (root / "evaluate").exists():
            Study(config, root, options.labels, options.rows).write()
        command = [sys.executable, __file__, "--only", "--folder", str(root), "--seeds", str(options.seeds)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        report = (root / "aggregate" / "report.html").stat().st_size / 2**20
    n = len(experiment.runs(config))
    print("| runs | synthetic rows | seconds | CPU seconds | peak memory, MB | report, MB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = n * 9 // 10 * options.rows
    print(f"| {n:,} | {rows:,} | {found['seconds']:.0f} | {found['cpu']:.0f} | {found['peak']:.0f} | {report:.1f} |")


if __name__ == "__main__":
    main()
