"""Measure how much of a study is starting its jobs: importing packages, before any work.

    python benchmarks/job_cost.py [--study default|short] [--cores 2] [--repeat 3]

Measures what a job of each stage costs before its work begins: alone, and as a child of a keeper. Then it runs the
study twice, with a process for each job (`--no-hooks`) and with shared imports, and adds up the CPU seconds of all
that Snakemake starts, its own included. `short` is 10 runs of about 10 seconds. Prints Markdown tables for
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from default_run import ROOT, describe_machine, time_stages

STAGES = ("augment", "train", "evaluate")
SHORT = {
    "seeds": {"data": {"master": 42, "count": 1}, "trials": {"master": 42, "count": 5}},
    "augmenters": {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}, "gpt3mix": None},
    "classifiers": {"minilm": {"min_steps": 0, "max_steps": 20, "validate_every": 10}},
}
_ADOPT = 36
LIMITS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")}

# What a job's script does before its stage works: Snakemake's preamble, and the way to the stage.
ALONE = """
from snakemake.logging import logger
from snakemake.iocontainers import Snakemake
from hypermix.steps import warm
import hypermix.steps.{stage}
"""
SHARED = """
import sys
from snakemake.logging import logger
from snakemake.iocontainers import Snakemake
from hypermix.steps import warm
warm.run("stage_{stage}", sys.argv[1], sys.argv[2], "nothing")
"""
IDLE_STAGE = "import hypermix.steps.{stage}\n\ndef run() -> None:\n    pass\n"


@dataclass(frozen=True)
class Cost:
    """CPU seconds before the work of a stage begins.

    Attributes:
        alone: Of a job with a process of its own.
        load: Of the keeper, once a run of Snakemake.
        child: Of a job that is a child of the keeper, its script counted.
    """

    alone: float
    load: float
    child: float


def adopt() -> None:
    """Become the parent of what outlives its own, so that its CPU seconds are counted here."""
    ctypes.CDLL(None).prctl(_ADOPT, 1)


def spent() -> float:
    """Return the CPU seconds of all descendants that have ended, after waiting for the rest."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_study(folder: Path, overlay: Path, cores: str, *more: str) -> tuple[float, float]:
    """Run a study from nothing; return CPU seconds and wall seconds."""
    before, started = spent(), time.perf_counter()
    configs = ["--configfile", str(ROOT / "config" / "config.yaml"), str(overlay)]
    fixed = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--cores", cores]
    command = [sys.executable, "-m", "snakemake", *fixed, *configs, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    wall = time.perf_counter() - started
    return spent() - before, wall


def measure_stage(stage: str, folder: Path, repeat: int) -> Cost:
    """Measure what the jobs of a stage cost before their work, with one thread each."""
    (folder / f"stage_{stage}.py").write_text(IDLE_STAGE.format(stage=stage), encoding="utf-8")
    environment = {**os.environ, **LIMITS, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}

    alone = statistics.median(measure_start(stage, environment) for _ in range(repeat))
    keepers = [measure_keeper(stage, folder, environment, children) for children in (1, 1 + 10 * repeat)]
    child = (keepers[1] - keepers[0]) / (10 * repeat)
    return Cost(alone, keepers[0] - child, child)


def measure_start(stage: str, environment: dict[str, str]) -> float:
    """Return the CPU seconds of a process that starts as a job does and then ends at once."""
    before = spent()
    code = f"{ALONE.format(stage=stage)}\nimport os\nos._exit(0)"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return spent() - before


def measure_keeper(stage: str, folder: Path, environment: dict[str, str], jobs: int) -> float:
    """Return the CPU seconds of a keeper and some jobs that do nothing."""
    token = secrets.token_hex(16)
    before = spent()
    start = "import sys; from hypermix.steps import warm; warm.start(sys.argv[1], [sys.argv[2]]); sys.stdin.read()"
    command = [sys.executable, "-c", start, token, f"stage_{stage}"]
    idle = spent_by_idle(environment)
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE):
        job = [sys.executable, "-c", SHARED.format(stage=stage), token, str(folder / "job.log")]
        time.sleep(1)
        for _ in range(jobs):
            subprocess.run(job, env=environment, check=True)
    return spent() - before - idle


def spent_by_idle(environment: dict[str, str]) -> float:
    """Return the CPU seconds of the process that starts a keeper, which in a study is Snakemake."""
    before = spent()
    subprocess.run([sys.executable, "-c", "from hypermix.steps import warm"], env=environment, check=True)
    return spent() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", choices=["default", "short"], default="default")
    parser.add_argument("--cores", default="2")
    parser.add_argument("--repeat", type=int, default=3)
    parsed = parser.parse_args()
    adopt()
    with tempfile.TemporaryDirectory(prefix="hypermix-") as name:
        report(Path(name), parsed.study, parsed.cores, parsed.repeat)


def report(folder: Path, study: str, cores: str, repeat: int) -> None:
    """Run the study both ways, measure its stages and print the tables."""
    costs = {stage: measure_stage(stage, folder, repeat) for stage in STAGES}
    overlay = folder / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(SHORT if study == "short" else {}), encoding="utf-8")
    totals = {}
    for way, more in {"alone": ["--no-hooks"], "shared": []}.items():
        (folder / way).mkdir()
        totals[way] = run_study(folder / way, overlay, cores, *more)
    jobs = {stage: len(seconds) for stage, seconds in time_stages(folder / "shared").items()}
    print(f"Machine: {describe_machine()}; {cores} cores given; study: {study}.\n")
    print("| stage | jobs | start alone, CPU s | shared import, CPU s | start as a child, CPU s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for stage, cost in costs.items():
        print(f"| {stage} | {jobs[stage]} | {cost.alone:.2f} | {cost.load:.2f} | {cost.child:.2f} |")
    starts = {
        "alone": sum(jobs[stage] * cost.alone for stage, cost in costs.items()),
        "shared": sum(jobs[stage] * cost.child + cost.load for stage, cost in costs.items()),
    }
    print("\n| jobs | whole study, CPU s | wall, s | starting these jobs, CPU s | share |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for way, (cpu, wall) in totals.items():
        print(f"| {way} | {cpu:.0f} | {wall:.0f} | {starts[way]:.1f} | {starts[way] / cpu:.1%} |")
    print("\n" + json.dumps({"runs": jobs["train"], "saved": totals["alone"][0] - totals["shared"][0]}))


if __name__ == "__main__":
    main()
