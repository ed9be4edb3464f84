"""Time the default experiment from nothing, stage by stage, and then the run that finds nothing to do.

    python benchmarks/default_run.py [--cores 2] [--folder DIR]

Prints a Markdown table for docs/benchmarks.md. Packages must be installed; the folder must be empty or absent.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from hypermix import tables

CHANCE, MARGIN = 0.5, 0.1
ROOT = Path(__file__).resolve().parents[1]


def run_snakemake(folder: Path, cores: str) -> tuple[float, str]:
    """Run the default config in a folder; return wall seconds and output."""
    configs = ["--configfile", str(ROOT / "config" / "config.yaml")]
    fixed = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--cores", cores]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *fixed, *configs], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return seconds, done.stderr


def time_stages(folder: Path) -> dict[str, list[float]]:
    """Read the seconds of each job from Snakemake's own records, by rule."""
    # A job with several outputs has a record for each, with one log.
    jobs: dict[str, dict[str, float]] = defaultdict(dict)
    for path in (folder / ".snakemake" / "metadata").iterdir():
        record = json.loads(path.read_text(encoding="utf-8"))
        jobs[record["rule"]][str(record["log"])] = record["endtime"] - record["starttime"]
    order = ("prepare", "subsample", "augment", "quality", "train", "evaluate", "aggregate")
    return {rule: sorted(jobs[rule].values()) for rule in order}


def describe_machine() -> str:
    """Name the processor, its cores and the versions that matter for speed."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def main() -> None:
    """Run twice and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default="2")
    parser.add_argument("--folder", type=Path)
    parsed = parser.parse_args()
    folder = parsed.folder or Path(tempfile.mkdtemp(prefix="hypermix-"))
    first, _ = run_snakemake(folder, parsed.cores)
    second, output = run_snakemake(folder, parsed.cores)
    if "Nothing to be done" not in output:
        raise SystemExit(f"the second run did something:\n{output}")
    print(f"Machine: {describe_machine()}; {parsed.cores} cores given.\n")
    print("| stage | jobs | seconds a job (min, median, max) | seconds in all |")
    print("| --- | ---: | ---: | ---: |")
    for rule, seconds in time_stages(folder).items():
        middle = seconds[len(seconds) // 2]
        print(f"| {rule} | {len(seconds)} | {seconds[0]:.1f}, {middle:.1f}, {seconds[-1]:.1f} | {sum(seconds):.0f} |")
    print(f"| whole run, wall | | | {first:.0f} |")
    print(f"| second run, wall | | | {second:.1f} |\n")
    runs = tables.read(folder / "results" / "aggregate" / "runs.parquet", "runs")
    print(runs.groupby("augmenter", sort=False)["accuracy"].agg(["mean", "min", "max"]).round(3).to_string())
    if runs.loc[runs["augmenter"] == "none", "accuracy"].mean() < CHANCE + MARGIN:
        raise SystemExit(f"none is less than {MARGIN:.0%} above chance: the classifier does not learn")
    receipts = tables.read(folder / "results" / "receipts", "receipt")
    asked = receipts[receipts["llm"].notna()]
    usable = asked["rows_kept"].sum() / asked["requests_paid"].sum()
    print(f"\n{asked['requests_paid'].sum()} answers, {usable:.0%} usable, {asked['seconds'].sum():.0f} s.")


if __name__ == "__main__":
    main()
