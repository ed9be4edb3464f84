"""Time `prepare` and `subsample` on 1.4 million rows, the size of Yahoo Answers, through snakemake.

    python benchmarks/data_scale.py [--rows 1400000] [--seeds 1] [--formats parquet csv] [--carve share]

Rows are made up: 10 labels, about 100 words each (as in Zhang et al. 2015), 60,000 test rows, no validation split, some
overlap. Prints a Markdown table for docs/benchmarks.md; memory is the largest sum over all processes of the run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parents[1]
LABELS, WORDS, SENTENCES, PARTS, BATCH = 10, 50_000, 20_000, 5, 20_000


def make_batches(rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Yield texts of five sentences out of 20,000, each with a number of its own."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 10, WORDS)
    words = ["".join(chr(97 + letter) for letter in generator.integers(0, 26, length)) for length in lengths]
    ranks = np.minimum(generator.zipf(1.3, (SENTENCES, 20)), WORDS) - 1
    sentences = np.array([" ".join(words[rank] for rank in line) + "." for line in ranks], dtype=object)
    for start in range(0, rows, BATCH):
        size = min(BATCH, rows - start)
        chosen = sentences[generator.integers(0, SENTENCES, (size, PARTS))]
        texts = [f"{' '.join(line)} Number {seed}-{start + row}." for row, line in enumerate(chosen.tolist())]
        labels = [f"topic {label}" for label in generator.integers(0, LABELS, size)]
        yield pa.RecordBatch.from_pydict({"text": texts, "label": labels})


def write_sources(folder: Path, form: str, rows: int) -> dict[str, str]:
    """Write train and test, and return their paths."""
    paths = {}
    for seed, (name, count) in enumerate({"train": rows, "test": max(rows // 23, 100)}.items()):
        path = folder / f"{name}.{form}"
        paths[name] = str(path)
        batches = make_batches(count, seed)
        first = next(batches)
        writer = (pq.ParquetWriter if form == "parquet" else pacsv.CSVWriter)(path, first.schema)
        with writer:
            for batch in (first, *batches):
                writer.write_batch(batch)
    return paths


def run(folder: Path, files: dict[str, str], seeds: int, carve: str, until: str) -> tuple[float, float]:
    """Run the workflow up to a rule; return seconds and the peak of memory in MB."""
    config = {
        "datasets": {"large": {"source": "file", **files, "carve": carve, "carve_rows": 5000}},
        "subsample": {"train": ["32s"], "validation": "32s", "test": None},
        "seeds": {"data": {"master": 42, "count": seeds}, "trials": [1]},
        "augmenters": {"none": {"method": "none"}},
        "classifiers": {"minilm": {"method": "finetune"}},
    }
    (folder / "large.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", "large.yaml", "--replace-workflow-config", "--cores", "2", "--until", until]
    started = time.perf_counter()
    with (folder / "log").open("w") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(0.05)
    if process.returncode != 0:
        raise SystemExit((folder / "log").read_text())
    return time.perf_counter() - started, peak


def tree_memory(pid: int) -> float:
    """Sum the resident memory of a process and all below it, in MB."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total / 1e6


def main() -> None:
    """Print a row for each format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_400_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--formats", nargs="+", default=["parquet", "csv"], choices=["parquet", "csv"])
    parser.add_argument("--carve", default="share", choices=["share", "reference"])
    parsed = parser.parse_args()
    print("| source | MB | prepare and one subsample, s | peak, MB | each further subsample, s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for form in parsed.formats:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = write_sources(folder, form, parsed.rows)
            size = sum(Path(path).stat().st_size for path in files.values()) / 1e6
            first, peak = run(folder, files, 1, parsed.carve, "subsample")
            more, peak_more = run(folder, files, parsed.seeds, parsed.carve, "subsample")
            each = more / max(parsed.seeds - 1, 1)
            print(f"| {form} | {size:.0f} | {first:.1f} | {max(peak, peak_more):.0f} | {each:.1f} |", flush=True)


if __name__ == "__main__":
    main()
