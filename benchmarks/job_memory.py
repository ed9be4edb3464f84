"""Measure how much memory the jobs of each rule take, as a cluster starts them: each in a process of its own.

    python benchmarks/job_memory.py [--cores 2] [--encoder bert-base]

Runs the default experiment at one data seed without shared imports, and looks at all processes of each job five times
a second. With `--encoder` the classifier is one with random weights, as large as BERT-base or RoBERTa-large, and texts
are cut at 512 tokens. Prints a Markdown table for docs/benchmarks.md. Linux only.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psutil
import yaml
from default_run import ROOT, describe_machine

SHAPES = {"bert-base": (768, 12), "roberta-large": (1024, 24)}
EVERY = 0.2
MB = 1e6
_SCRIPT = re.compile(r"\.snakemake/scripts/[^/]+\.(\w+)\.py$")


def rule_of(process: psutil.Process) -> str | None:
    """Tell the rule of the job that a process runs the script of; None for any other process."""
    scripts = [_SCRIPT.search(part) for part in process.cmdline()]
    return next((found[1] for found in scripts if found is not None), None)


def taken(process: psutil.Process) -> float:
    """Return the memory of a process and all below it in MB; what processes share is counted once."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue  # it has ended
    return total / MB


def watch(study: subprocess.Popen[str]) -> dict[str, dict[int, float]]:
    """Collect the largest memory of each job, by rule and process, until the study ends; and that of Snakemake."""
    peaks: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    root = psutil.Process(study.pid)
    while study.poll() is None:
        with suppress(psutil.Error):
            peaks["Snakemake itself"][root.pid] = max(
                peaks["Snakemake itself"][root.pid], root.memory_full_info().pss / MB
            )
            for process in root.children():
                rule = rule_of(process)
                if rule is not None:
                    peaks[rule][process.pid] = max(peaks[rule][process.pid], taken(process))
        time.sleep(EVERY)
    return peaks


def save_encoder(folder: Path, shape: str) -> None:
    """Write an encoder with random weights and the tokenizer of the packaged one."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from hypermix.classify.model import locate_model

    size, layers = SHAPES[shape]
    tokenizer = AutoTokenizer.from_pretrained(locate_model("package:minilm-l6"), local_files_only=True)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=size,
        num_hidden_layers=layers,
        num_attention_heads=size // 64,
        intermediate_size=4 * size,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Run, watch and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default="2")
    parser.add_argument("--encoder", choices=[*SHAPES])
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hypermix-") as name:
        folder = Path(name)
        overlay: dict[str, object] = {"seeds": {"data": {"master": 42, "count": 1}}}
        if parsed.encoder is not None:
            save_encoder(folder / "encoder", parsed.encoder)
            wanted = {"model": str(folder / "encoder"), "max_length": 512, "min_steps": 0, "max_steps": 4}
            overlay |= {
                "classifiers": {"minilm": {**wanted, "validate_every": 2}},
                "augmenters": {"none": {"method": "none"}, "duplicate": None, "gpt3mix": None},
            }
        (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
        configs = ["--configfile", str(ROOT / "config" / "config.yaml"), str(folder / "overlay.yaml")]
        fixed = ["--snakefile", str(ROOT / "Snakefile"), "--directory", name, "--cores", parsed.cores, "--no-hooks"]
        command = [sys.executable, "-m", "snakemake", *fixed, *configs]
        with (folder / "told.log").open("w+", encoding="utf-8") as log:
            study = subprocess.Popen(command, stdout=log, stderr=log, text=True)
            peaks = watch(study)
            if study.returncode != 0:
                raise SystemExit((folder / "told.log").read_text(encoding="utf-8"))
    print(f"Machine: {describe_machine()}; {parsed.cores} cores given; classifier: {parsed.encoder or 'MiniLM-L6'}.\n")
    print("| rule | jobs | largest memory of a job, MB |")
    print("| --- | ---: | ---: |")
    for rule, jobs in peaks.items():
        print(f"| {rule} | {len(jobs)} | {max(jobs.values()):,.0f} |")


if __name__ == "__main__":
    main()
