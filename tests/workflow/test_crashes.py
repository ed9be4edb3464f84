"""SIGKILL in the middle of a stage, and a plain run after it; tests/slow/test_crashes.py does it many times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crashing import Crashing, digests, processes
from tests.endpoint import VARIABLE, hosted, write
from tests.loopback import Loopback, loopback
from tests.workflow.conftest import Workspace

MIX = {"method": "gpt3mix", "llm": "far", "examples": 4, "max_tokens": 40, "labels": "hard", "label_source": "hard"}


@pytest.fixture
def endpoint() -> Iterator[Loopback]:
    with loopback() as running:
        running.decide = lambda path, body: write(path, body, seconds=0.2)
        yield running


def study(folder: Path, bert: Path, endpoint: Loopback) -> Workspace:
    """Make a study of two runs, one of which asks an endpoint."""
    folder.mkdir()
    workspace = Workspace(folder, environment={VARIABLE: "sk-right-5d0c7f"})
    workspace.config["seeds"]["data"] = [1]
    workspace.config["llms"] = {"far": hosted(endpoint.base_url, "writer", limits={"concurrency": 1})}
    workspace.config["augmenters"] = {"none": {"method": "none"}, "mix": {**MIX, "multiplier": 2.0}}
    workspace.config["classifiers"]["minilm"] |= {"model": str(bert), "max_steps": 40, "validate_every": 1}
    return workspace


def test_three_kills_change_nothing(tmp_path: Path, bert: Path, endpoint: Loopback) -> None:
    quiet = study(tmp_path / "quiet", bert, endpoint)
    quiet.run()
    workspace = study(tmp_path / "loud", bert, endpoint)
    crashing = Crashing(workspace)
    logs = workspace.results() / "logs" / "train"

    def is_made(name: str) -> bool:
        return any(workspace.results().rglob(name))

    def is_training() -> bool:
        """Tell whether jobs train and none asks any more, so that the one killed has no request under way."""
        trains = any("step 2" in path.read_text(encoding="utf-8") for path in logs.rglob("*.log"))
        return trains and is_made("augmenter=mix/trial=7/synthetic.parquet")

    asked = len(endpoint.requests)
    assert crashing.run("all", lambda: len(workspace.answers()) >= 3)
    assert not is_made("augmenter=mix/trial=7/synthetic.parquet")
    assert crashing.run("job", is_training)
    assert crashing.run("snakemake", lambda: is_made("aggregate.log"))  # its job goes on beside the next run's
    told = workspace.run()
    assert "its lock is forgotten" in told
    assert digests(workspace.results()) == digests(quiet.results())
    # A request that was under way when all was killed is asked again; no answer that came is.
    assert len(endpoint.requests) - asked <= asked + 1
    assert "Nothing to be done" in workspace.run()


def test_jobs_that_outlive_snakemake_pay_nothing_twice(tmp_path: Path, bert: Path, endpoint: Loopback) -> None:
    workspace = study(tmp_path / "loud", bert, endpoint)
    crashing = Crashing(workspace)
    assert crashing.run("snakemake", lambda: len(workspace.answers()) >= 2, "--until", "augment")
    assert processes(workspace.folder)
    assert "its lock is forgotten" in workspace.run("--until", "augment")
    assert any(workspace.results().rglob("augmenter=mix/trial=7/synthetic.parquet"))
    assert len(endpoint.requests) == len(workspace.answers())
