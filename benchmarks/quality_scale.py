"""Time the measures of 20,000 synthetic rows against 120,000 train and 8,000 test rows.

    python benchmarks/quality_scale.py [--synthetic 20000] [--train 120000] [--test 8000] [--drawn 40]

Rows are made up of the words that the encoder knows: 4 labels, 25 to 65 words each, rare and common ones as in a
language, some of them the label's own. Prints a Markdown table for docs/benchmarks.md; memory is that of the process at
its peak so far, CPU seconds are of all its threads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypermix import tables
from hypermix.classify.model import load_encoder, locate_model
from hypermix.files import write_table
from hypermix.hashing import canonical_json
from hypermix.steps import measure, quality

LABELS, OWN, SHARE = 4, 4_000, 0.06
KEYS = {"dataset": "large", "subsample": "1.0f", "data_seed": "11", "augmenter": "mix", "trial": "7"}
SETTINGS = {"rows": 1000, "judge_rows": 120_000, "model": "package:minilm-l6"}


def known_words() -> NDArray[np.object_]:
    """Return whole words of the encoder's tokenizer, in an order of their own."""
    tokenizer = load_encoder(locate_model(str(SETTINGS["model"])))[1]
    words = sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 1)
    return np.random.default_rng(7).permutation(np.array(words, dtype=object))


def make_rows(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Make texts and labels; a small share of the words tells the label."""
    vocabulary = known_words()
    generator = np.random.default_rng(seed)
    labels, counts = generator.integers(0, LABELS, n), generator.integers(25, 65, n)
    weights = 1 / np.arange(1, len(vocabulary) + 1) ** 1.05
    chosen = generator.choice(len(vocabulary), int(counts.sum()), p=weights / weights.sum())
    tail = np.minimum((generator.pareto(0.8, len(chosen)) * 30).astype(int), OWN - 1)
    own = 100 + np.repeat(labels, counts) * OWN + tail
    words = vocabulary[np.where(generator.random(len(chosen)) < SHARE, own, chosen)]
    ends = np.concatenate([np.zeros(1, int), np.cumsum(counts)])
    texts = [" ".join(words[start:stop]) + "." for start, stop in pairwise(ends)]
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


def peak_mb() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


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
            lines.append((name, time.perf_counter() - started, time.process_time() - cpu, peak_mb()))
            return found

        return run

    measure.PARTS = {name: timed(name, part) for name, part in measure.PARTS.items()}
    with tempfile.TemporaryDirectory() as name:
        sizes = {"synthetic": parsed.synthetic, "all_train": parsed.train, "all_test": parsed.test}
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:  # its memory is not the job's
            paths = other.submit(write_study, Path(name), sizes, parsed.drawn).result()
        before = peak_mb()
        started, cpu = time.perf_counter(), time.process_time()
        slice_json = canonical_json({"method_version": 1, "quality": SETTINGS})
        quality.run(KEYS, slice_json, paths, {"threads": 1, "offline": True}, Path(name) / "quality.parquet")
        seconds = time.perf_counter() - started
        lines.append(("the whole job, with what it reads", seconds, time.process_time() - cpu, peak_mb()))
    print("| measures | seconds | CPU seconds | peak so far, MB |\n| --- | ---: | ---: | ---: |")
    for name, seconds, cpu, peak in lines:
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {peak:.0f} |")
    print(f"\n{before:.0f} MB before the job")


if __name__ == "__main__":
    main()
