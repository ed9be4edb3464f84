"""The workflow by the profile for any queue, with the example scripts that ship with it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.crashing import digests
from tests.slurm.conftest import HERE, Study, wait_for
from tests.workflow.conftest import ROOT

PROFILE = ROOT / "profiles" / "generic"


def ask(script: str, *arguments: str, **variables: str) -> str:
    """Call a script of the profile."""
    command = [str(PROFILE / script), *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=20, check=True
    ).stdout.strip()


def make_job(folder: Path, name: str, text: str, gpu: int) -> str:
    """Write a job's script as Snakemake does."""
    script = folder / name
    properties = json.dumps({"threads": 1, "resources": {"mem_mb": 100, "gpu": gpu}})
    script.write_text(f"#!/bin/sh\n# properties = {properties}\n{text}\n", encoding="utf-8")
    return str(script)


def test_chain_by_a_queue_equals_a_local_run(study: Study, reference: dict[str, str]) -> None:
    """Its path in the environment is what a job of the queue inherits; no job needs a GPU here."""
    study.environment["PYTHONPATH"] = os.pathsep.join([str(HERE / "often"), os.environ.get("PYTHONPATH", "")])
    profile = ["--profile", str(PROFILE), "--workflow-profile", "none"]
    told = study.run(*profile, "--jobs", "4", "--seconds-between-status-checks", "1", "--latency-wait", "15")

    assert told.count("Submitted group job") == 5  # draw; rows of two augmenters; measures; trainings
    assert digests(study.results()) == reference


def test_jobs_of_one_gpu_run_one_after_another(tmp_path: Path) -> None:
    text = f'echo "in $CUDA_VISIBLE_DEVICES" >> {tmp_path}/told; sleep 0.5; echo out >> {tmp_path}/told'
    scripts = [make_job(tmp_path, name, text, gpu=1) for name in ("one.sh", "two.sh")]
    names = [ask("submit.sh", script, GPUS="7", TMPDIR=str(tmp_path)) for script in scripts]

    assert wait_for(lambda: all(ask("status.sh", name) == "success" for name in names), seconds=20)
    assert (tmp_path / "told").read_text(encoding="utf-8").split("\n") == ["in 7", "out", "in 7", "out", ""]


def test_job_that_fails_or_is_cancelled_is_told(tmp_path: Path) -> None:
    fails = ask("submit.sh", make_job(tmp_path, "fails.sh", "exit 3", gpu=0))
    long = ask("submit.sh", make_job(tmp_path, "long.sh", "sleep 60", gpu=0))

    assert wait_for(lambda: ask("status.sh", fails) == "failed", seconds=20)
    assert ask("status.sh", long) == "running"
    ask("cancel.sh", long)
    assert wait_for(lambda: ask("status.sh", long) == "failed", seconds=20)
