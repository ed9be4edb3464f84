"""Measure what Snakemake needs to plan 10,000 runs, against a plain chain of as many jobs of the same shape.

    python benchmarks/graph_scale.py [--seeds 50] [--folder DIR] [--tries 1] [--batch 10] [--only-batch]

Writes a made-up study (5 datasets, 2 sizes, 10 augmenters, 2 classifiers) and a plain Snakefile with the same rules,
wildcards, inputs and outputs, without any function. Times a dry run of both with nothing made, then makes up all files
with what Snakemake would have recorded of them, and times a run with nothing to do. Prints Markdown tables for
docs/benchmarks.md. With --folder the study stays, and what is there is used again. With --only-batch one batch of a
study with nothing made is planned, and nothing else: a study may be too large for more.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from default_run import ROOT, describe_machine

from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.files import write_text
from hypermix.steps.artefacts import AGGREGATE_OUTPUTS, STAGES, input_paths, list_units

ROWS = "text,label\n" + "".join(f"film {place} was {word},{word}\n" for place in range(50) for word in ("good", "bad"))
METHODS = ("none", "duplicate", "real", "shuffle")
PROFILE = ROOT / "profiles" / "default"
ENCODER = "models/encoder"
RECORD = Path(__file__).with_name("graph_record.py")


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        cpu: Seconds of a processor.
        wall: Seconds.
        memory: Peak megabytes.
    """

    cpu: float
    wall: float
    memory: float


def settings(seeds: int) -> dict[str, Any]:
    """Word the study."""
    asking = {f"mix{place}": {"method": "gpt3mix", "llm": "local", "examples": 1 + place} for place in range(6)}
    return {
        "datasets": {f"d{place}": {"source": "file", "train": "rows.csv", "test": "rows.csv"} for place in range(5)},
        "subsample": {"train": ["16s", "32s"], "validation": "16s", "test": None},
        "seeds": {"data": {"master": 42, "count": seeds}, "trials": {"master": 42, "count": 1}},
        "llms": {"local": {"api": "embedded"}},
        "augmenters": {**{name: {"method": name} for name in METHODS}, **asking},
        "classifiers": {name: {"method": "finetune", "model": ENCODER} for name in ("minilm", "other")},
        "quality": {"model": ENCODER},
    }


def run(folder: Path, *command: str) -> Cost:
    """Run a command in a folder.

    Raises:
        SystemExit: If it fails.
    """
    started = time.perf_counter()
    with (folder / "told.txt").open("w+", encoding="utf-8") as told:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=told, stderr=told)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            told.seek(0)
            raise SystemExit(told.read())
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - started, used.ru_maxrss / 1024)


def plan(folder: Path, snakefile: Path, *more: str) -> Cost:
    """Let Snakemake plan a workflow."""
    given = ["--snakefile", str(snakefile), "--workflow-profile", str(PROFILE), "--cores", "2", "--quiet", "all"]
    return run(folder, "-m", "snakemake", *given, *more)


def write_plain(snakefile: Path, words: dict[str, Any], model: list[str]) -> None:
    """Write the plain chain: the same rules and files, each named in full."""
    config = load_config(words)
    keys = {name: sorted({str(key[name]) for key in experiment.runs(config)}) for name in experiment.runs(config)[0]}
    rules = [f"KEYS = {keys!r}\n\n\nrule all:\n    input:\n        'out/aggregate/verdict.json',\n"]
    made: dict[str, list[str]] = {}
    places = {name: "/".join(f"{key}={{{key}}}" for key in stage.keys) for name, stage in STAGES.items()}
    for name, stage in STAGES.items():
        made[name] = [f"out/{folder}/{places[name]}/{table}.parquet" for table, folder in stage.tables.items()]
    inputs = {
        "prepare": ["rows.csv"],
        "subsample": made["prepare"][:4],
        "augment": [*made["subsample"][:1], made["prepare"][2]],
        "quality": [*made["subsample"][::2], made["augment"][0], made["prepare"][0], made["prepare"][2], *model],
        "train": [*made["subsample"], made["augment"][0], *model],
        "evaluate": made["train"][:1],
    }
    for name in STAGES:
        log = f"out/logs/{name}/{places[name]}.log"
        rules.append(_plain_rule(name, [repr(file) for file in inputs[name]], made[name], log))
    gathered = [f"expand({'out/' + path!r}, **KEYS)" for path in input_paths().values()]
    outputs = [f"out/aggregate/{path}" for path in AGGREGATE_OUTPUTS.values()]
    rules.append(_plain_rule("aggregate", gathered, outputs, "out/logs/aggregate.log"))
    write_text(snakefile, "\n\n".join(rules))


def _plain_rule(name: str, inputs: list[str], outputs: list[str], log: str) -> str:
    parts = [f"rule {name}:", "    input:", *(f"        {file}," for file in inputs)]
    parts += ["    output:", *(f"        {file!r}," for file in outputs), f"    log:\n        {log!r},"]
    parts += [
        "    threads: 1",
        "    resources:\n        mem_mb=1000,",
        "    params:\n        slice='{\"version\": 1}',",
    ]
    told = " ".join(f"{{wildcards.{key}}}" for key in STAGES[name].keys) if name in STAGES else "all"
    parts += [f"    message:\n        '{name} of {told}'"]
    return "\n".join([*parts, "    script:\n        'work.py'\n"])


def write_encoder(folder: Path) -> list[str]:
    """Write what looks like an encoder that lies here, whose files are inputs of two rules; return their names."""
    names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    for name in names:
        write_text(folder / ENCODER / name, "{}")
    return [f"{ENCODER}/{name}" for name in names]


def count_jobs(words: dict[str, Any]) -> int:
    """Count the jobs of the study."""
    return sum(len(units) for units in list_units(load_config(words)).values()) + 2


def measure_parse(folder: Path, snakefile: Path, tries: int) -> tuple[float, float]:
    """Return the CPU seconds of `snakemake --version`, and what parsing the Snakefile takes above it."""
    version = [run(folder, "-m", "snakemake", "--version").cpu for _ in range(tries)]
    config = ["--configfile", str(ROOT / "config" / "config.yaml")]
    given = ["--snakefile", str(snakefile), "--workflow-profile", "none", *config, "--list-rules"]
    parse = [run(folder, "-m", "snakemake", *given).cpu for _ in range(tries)]
    return statistics.median(version), statistics.median(parse) - statistics.median(version)


def main() -> None:
    """Write the study, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--only-batch", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hypermix-") as made:
        report((given.folder or Path(made)).resolve(), given.seeds, given.tries, given.batch, given.only_batch)


def report(folder: Path, seeds: int, tries: int, batch: int, only_batch: bool) -> None:
    """Measure both workflows and print the tables."""
    words = settings(seeds)
    plain, ours = folder / "plain" / "Snakefile", ROOT / "Snakefile"
    for name in ("plain", "ours"):
        write_text(folder / name / "rows.csv", ROWS)
        model = write_encoder(folder / name)
    write_text(folder / "ours" / "study.yaml", yaml.safe_dump(words))
    write_plain(plain, words, model)
    write_text(plain.with_name("work.py"), "print(snakemake.params.slice)\n")
    config = ["--configfile", "study.yaml", "--replace-workflow-config"]
    version, parse = measure_parse(folder / "ours", ours, 3)
    chains = {"plain": (plain, []), "ours": (ours, config)}
    found: dict[tuple[str, str], list[Cost]] = {}
    print(f"Machine: {describe_machine()}. {count_jobs(words)} jobs.", flush=True)
    print(f"snakemake --version: {version:.2f} CPU s; parsing the Snakefile: {parse:.2f} above it.\n", flush=True)
    print("| what | chain | CPU s | wall s | peak MB |\n| --- | --- | ---: | ---: | ---: |", flush=True)

    def measure(what: str, chain: str, *more: str) -> None:
        snakefile, own = chains[chain]
        costs = [plan(folder / chain, snakefile, *own, "--dry-run", *more) for _ in range(tries)]
        found[what, chain] = costs
        cpu, wall, memory = (statistics.median(getattr(cost, name) for cost in costs) for name in Cost.__annotations__)
        print(f"| {what} | {chain} | {cpu:.1f} | {wall:.1f} | {memory:.0f} |", flush=True)

    for chain, (snakefile, own) in chains.items():
        if only_batch:
            measure(f"dry run, one batch of {batch}", chain, "--batch", f"aggregate=1/{batch}")
            continue
        if not (folder / chain / ".made").exists():
            measure("dry run", chain)
            measure(f"dry run, one batch of {batch}", chain, "--batch", f"aggregate=1/{batch}")
            run(folder / chain, str(RECORD), str(snakefile), *own[1:2])
            (folder / chain / ".made").touch()
        measure("nothing to do", chain)
        measure(f"nothing to do, one batch of {batch}", chain, "--batch", f"aggregate=1/{batch}")
    print()
    for what in dict.fromkeys(what for what, _ in found):
        cpu, memory = (
            statistics.median(getattr(cost, name) for cost in found[what, "ours"])
            / statistics.median(getattr(cost, name) for cost in found[what, "plain"])
            for name in ("cpu", "memory")
        )
        print(f"{what}: {cpu:.2f} of the CPU time, {memory:.2f} of the memory")


if __name__ == "__main__":
    main()
