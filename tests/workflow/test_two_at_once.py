"""Two runs of snakemake at a time: in one folder, and with one request store.

Several augment jobs on one store: tests/integration/llm/test_claim.py and test_remote_killed.py.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypermix import tables
from hypermix.hashing import canonical_json
from tests.crashing import digests
from tests.endpoint import VARIABLE, hosted, write
from tests.loopback import Loopback, loopback
from tests.workflow.conftest import Workspace

MIX = {"method": "gpt3mix", "llm": "far", "examples": 4, "max_tokens": 40, "labels": "hard", "label_source": "hard"}


@pytest.fixture
def endpoint() -> Iterator[Loopback]:
    with loopback() as running:
        running.decide = lambda path, body: write(path, body, seconds=0.2)
        yield running


def study(folder: Path, endpoint: Loopback) -> Workspace:
    """Make a study that asks an endpoint."""
    workspace = Workspace(folder, environment={VARIABLE: "sk-right-5d0c7f"})
    workspace.config["seeds"]["data"] = [1]
    workspace.config["llms"] = {"far": hosted(endpoint.base_url, "writer")}
    workspace.config["augmenters"] = {"mix": {**MIX, "multiplier": 2.0}}
    return workspace


def start(workspace: Workspace, *arguments: str) -> subprocess.Popen[str]:
    """Start a run that asks, and nothing after it."""
    return subprocess.Popen(
        workspace.command("--until", "augment", *arguments),
        cwd=workspace.folder,
        env={**os.environ, **workspace.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_second_run_in_a_folder_ends_with_one_sentence(tmp_path: Path, endpoint: Loopback) -> None:
    workspace = study(tmp_path, endpoint)
    seconds = [5.0]  # the first must be at work for as long as the second starts and ends
    endpoint.decide = lambda path, body: write(path, body, seconds=seconds[0])
    with start(workspace) as first:
        while not endpoint.requests and first.poll() is None:
            time.sleep(0.05)
        told = workspace.run("--until", "augment", fails=True)
        seconds[0] = 0.0
        output, _ = first.communicate(timeout=100)
    assert "Directory cannot be locked" in told
    assert "Traceback" not in told
    assert first.returncode == 0, output
    asked = len(endpoint.requests)
    workspace.run("--until", "augment")
    assert len(endpoint.requests) == asked


def test_two_results_folders_share_a_store_and_pay_once(tmp_path: Path, endpoint: Loopback) -> None:
    workspace = study(tmp_path, endpoint)
    runs = []
    for name in ("one", "two"):
        workspace.config["results"] = name
        runs.append(start(workspace, "--config", f"results={name}"))
    told = [run.communicate(timeout=200)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    one, two = (digests(tmp_path / name / "augment") for name in ("one", "two"))
    assert one == two
    assert one
    receipts = [tables.read(tmp_path / name / "receipts", "receipt").iloc[0] for name in ("one", "two")]
    assert sum(receipt["requests_paid"] for receipt in receipts) == len(workspace.answers())
    bodies = [canonical_json(body) for body, _ in endpoint.requests]
    assert len(set(bodies)) == len(bodies)
