"""The protocol of the paper is planned without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from hypermix.config.load import load_config, merge
from hypermix.config.registry import read_registry
from hypermix.steps.artefacts import list_units
from tests.workflow.conftest import ROOT

PAPER = ["config/config.yaml", "config/presets/gpt3mix-paper.yaml"]
# One data seed of ten, so that the plan is a matter of seconds; all else is the preset's.
FEWER = {"seeds": {"data": [1], "trials": [7]}}
# Nobody listens at this port: whatever asks the network, ends here.
NOBODY = "http://127.0.0.1:9"


def test_dry_run_of_the_paper_needs_no_network_and_tells_the_jobs(tmp_path: Path) -> None:
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(yaml.safe_dump(FEWER), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    files = [str(ROOT / name) for name in PAPER]
    done = subprocess.run(
        [*command, "--dry-run", "--quiet", "rules", "--cores", "2", "--configfile", *files, str(fewer)],
        env={**os.environ, **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOBODY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    told = {name: int(count) for name, count in re.findall(r"(?m)^(\w+) +(\d+)$", done.stdout)}
    merged: dict[str, object] = {}
    for name in PAPER:
        merged = merge(merged, yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))
    config = load_config(merge(merged, FEWER), read_registry(ROOT / "config" / "datasets.yaml"))
    planned = {stage: len(units) for stage, units in list_units(config).items()}
    assert planned["train"] == 7 * 3 * (4 * 2 + 1)
    assert {stage: told[stage] for stage in planned} == planned
