"""Measure what a cluster adds to short jobs: the same study on this machine, by the generic scripts and on SLURM.

    python benchmarks/cluster_cost.py

It takes over SLURM on this machine, as root, as `make test-slurm` does. The study has eight trainings of one step, so
that nearly all of its time is what is asked for. Prints Markdown tables for docs/cluster.md.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import yaml
from default_run import ROOT, describe_machine, time_stages

TRAININGS = 8
STUDY = {
    "seeds": {"data": {"master": 42, "count": 1}, "trials": {"master": 42, "count": TRAININGS}},
    "subsample": {"train": ["4s"], "validation": "4s", "test": "20s"},
    "augmenters": {"none": {"method": "none"}, "duplicate": None, "gpt3mix": None},
    "classifiers": {"minilm": {"min_steps": 0, "max_steps": 1, "validate_every": 1}},
}
PROFILES = {
    "this machine": ["--cores", "2"],
    "generic": ["--profile", "{root}/profiles/generic", "--workflow-profile", "none", "--jobs", "2"],
    "SLURM": ["--profile", "{root}/profiles/slurm", "--workflow-profile", "none", "--slurm-keep-successful-logs"],
}
NO_ACCOUNTING = ["--slurm-status-command", "squeue"]
# What a job of SLURM was told to run stands in its comment, or is the name of a group.
_NAME = re.compile(r"Comment=(\S+)")
_TIMES = re.compile(r"SubmitTime=(\S+).* StartTime=(\S+) EndTime=(\S+)")


def run_study(folder: Path, way: str) -> float:
    """Run the study one way, from nothing; return wall seconds."""
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    configs = ["--configfile", str(ROOT / "config" / "config.yaml"), "study.yaml"]
    fixed = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--latency-wait", "15"]
    more = [part.format(root=ROOT) for part in PROFILES[way]] + (NO_ACCOUNTING if way == "SLURM" else [])
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *fixed, *more, *configs],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started


def time_bare(repeat: int = 5) -> float:
    """Return the seconds of a job of SLURM that does nothing."""
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        subprocess.run(["srun", "hostname"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def list_jobs() -> list[tuple[str, float, float]]:
    """List the jobs of SLURM in their order: name, seconds in the queue, seconds of running."""
    command = ["scontrol", "--oneliner", "show", "job"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = []
    for line in told.splitlines():
        name, times = _NAME.search(line), _TIMES.search(line)
        if name is not None and times is not None:
            submitted, started, ended = map(datetime.fromisoformat, times.groups())
            found.append((name[1], (started - submitted).total_seconds(), (ended - started).total_seconds()))
    return found


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    scripts = ROOT / "tests" / "slurm"
    with tempfile.TemporaryDirectory(prefix="hypermix-") as name, tempfile.TemporaryDirectory(prefix="slurm") as slurm:
        folder = Path(name)
        walls = {way: run_study(folder / way.replace(" ", "-"), way) for way in ("this machine", "generic")}
        try:
            subprocess.run(["bash", str(scripts / "slurm_up.sh"), slurm], check=True)
            bare = time_bare()
            before = len(list_jobs())
            walls["SLURM"] = run_study(folder / "SLURM", "SLURM")
            jobs = list_jobs()[before:]
        finally:
            subprocess.run(["bash", str(scripts / "slurm_down.sh"), slurm], check=True)
        alone = time_stages(folder / "this-machine")
    print(f"Machine: {describe_machine()}.\n")
    print("| jobs of the study | seconds each on this machine (median) |")
    print("| --- | ---: |")
    for rule, seconds in alone.items():
        print(f"| {len(seconds)} {rule} | {statistics.median(seconds):.1f} |")
    print("\n| job of SLURM | s in the queue | s of running |")
    print("| --- | ---: | ---: |")
    print(f"| nothing (`srun hostname`) | | {bare:.1f} |")
    for job, waited, ran in jobs:
        print(f"| {job} | {waited:.0f} | {ran:.0f} |")
    print("\n| where the study ran | wall, s |")
    print("| --- | ---: |")
    for way, wall in walls.items():
        print(f"| {way} | {wall:.0f} |")


if __name__ == "__main__":
    main()
