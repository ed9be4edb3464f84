"""Time the measures of 20,000 synthetic rows against 120,000 train and 8,000 test rows.

    python benchmarks/quality_scale.py [--synthetic 20000] [--train 120000] [--test 8000] [--drawn 120000]

Rows are made up: 4 labels, 20 to 60 words each, a vocabulary of 40,000 with a tail, some words of the label's own. Prints
a Markdown table for docs/benchmarks.md; memory is that of the process at its peak, CPU seconds are of all its threads.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hypermix import tables
from hypermix.files import write_table
from hypermix.hashing import canonical_json
from hypermix.steps import measure, quality

LABELS, WORDS, OWN, SHARE = 4, 40_000, 9_000, 0.06
KEYS = {"dataset": "large", "subsample": "1.0f", "data_seed": "11", "augmenter": "mix", "trial": "7"}
SETTINGS = {"rows": 1000, "judge_rows": 120_000, "model": "package:minilm-l6"}


def make_rows(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Make texts and labels; a small share of the words tells the label."""
    generator = np.random.default_rng(7)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    lengths = generator.integers(2, 10, WORDS)
    vocabulary = np.array(["".join(generator.choice(letters, length)) for length in lengths], dtype=object)
    generator = np.random.default_rng(seed)
    labels, counts = generator.integers(0, LABELS, n), generator.integers(20, 60, n)
    weights = 1 / np.arange(1, WORDS + 1) ** 1.05
    chosen = generator.choice(WORDS, int(counts.sum()), p=weights / weights.sum())
    tail = np.minimum((generator.pareto(0.8, len(chosen)) * 30).astype(int), OWN - 1)
    own = 100 + np.repeat(labels, counts) * OWN + tail
    words = vocabulary[np.where(generator.random(len(chosen)) < SHARE, own, chosen)]
    ends = np.concatenate([np.zeros(1, int), np.cumsum(counts)])
    texts = [" ".join(words[start:stop]) + "." for start, stop in zip(ends[:-1], ends[1:], strict=True)]
    return texts, [f"topic {label}" for label in labels]


def write_rows(path: Path, table: str, rows: tuple[list[str], list[str]], provenance: dict[str, Any]) -> None:
    """Write the rows of a split, or synthetic ones with soft labels."""
    texts, labels = rows
    columns: dict[str, Any] = {
        "id": [f"{path.stem}-{row}" for row in range(len(texts))],
        "text": texts,
        "label": labels,
    }
    if table == "synthetic":
        columns = {**dict.fromkeys(tables.schema(table).names, [None] * len(texts)), **columns}
        columns["soft_label"] = [
            [0.7 if f"topic {name}" == label else 0.1 for name in range(LABELS)] for label in labels
        ]
        columns |= {"kept": [True] * len(texts), "source_ids": [[]] * len(texts)}
    write_table(path, tables.from_columns(table, columns), provenance)


def write_study(folder: Path, sizes: dict[str, int], n_drawn: int) -> dict[str, Path]:
    """Write all inputs of the stage and return their paths."""
    made = {name: make_rows(count, seed) for seed, (name, count) in enumerate(sizes.items())}
    made["train"] = (made["all_train"][0][:n_drawn], made["all_train"][1][:n_drawn])
    made["test"] = made["all_test"]
    provenance = {"labels": [f"topic {name}" for name in range(LABELS)], "wanted": sizes["synthetic"], "slices": {}}
    paths = {}
    for name, rows in made.items():
        paths[name] = folder / f"{name}.parquet"
        write_rows(paths[name], name.removeprefix("all_"), rows, provenance)
    # The same ids as in the whole split, as a subsample has them.
    columns = {
        "id": [f"all_train-{row}" for row in range(n_drawn)],
        "text": made["train"][0],
        "label": made["train"][1],
    }
    write_table(paths["train"], tables.from_columns("train", columns), provenance)
    return paths


def main() -> None:
    """Print seconds for each part and in all."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("synthetic", 20_000), ("train", 120_000), ("test", 8_000), ("drawn", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parsed = parser.parse_args()
    lines = []

    def timed(name: str, part: Any) -> Any:
        def run(draw: measure.Draw) -> measure.Found:
            started, cpu = time.perf_counter(), time.process_time()
            found: measure.Found = part(draw)
            lines.append((name, time.perf_counter() - started, time.process_time() - cpu))
            return found

        return run

    measure.PARTS = {name: timed(name, part) for name, part in measure.PARTS.items()}
    with tempfile.TemporaryDirectory() as name:
        sizes = {"synthetic": parsed.synthetic, "all_train": parsed.train, "all_test": parsed.test}
        paths = write_study(Path(name), sizes, parsed.drawn)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        started, cpu = time.perf_counter(), time.process_time()
        slice_json = canonical_json({"method_version": 1, "quality": SETTINGS})
        quality.run(KEYS, slice_json, paths, {"threads": 1, "offline": True}, Path(name) / "quality.parquet")
        lines.append(("the whole job, with what it reads", time.perf_counter() - started, time.process_time() - cpu))
    print("| measures | seconds | CPU seconds |\n| --- | ---: | ---: |")
    for name, seconds, cpu in lines:
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} |")
    print(f"\npeak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB; {before:.0f} MB before the job")


if __name__ == "__main__":
    main()
