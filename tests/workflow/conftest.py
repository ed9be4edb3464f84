"""A workspace in which the real workflow runs on a tiny experiment."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from hypermix.llm.embedded import packaged_file
from tests.forked import can_fork, forks
from tests.gguf import cache, gemma
from tests.tiny import save_tiny_bert
from tests.tiny_gguf import writer

__all__ = ["cache", "gemma", "writer"]

PACKAGED = (packaged_file("package:gemma3-270m") or ("",))[0]
"""The file of the packaged language model."""
SECONDS = 400.0
"""What a run may take."""
ROOT = Path(__file__).resolve().parents[2]
GOOD = ["a warm and funny film", "great acting throughout", "a joy from start to end", "I loved every minute of it"]
BAD = [
    "a dull and lifeless film",
    "terrible acting throughout",
    "a bore from start to end",
    "I hated every minute of it",
]
TINY: dict[str, Any] = {
    "datasets": {
        "mine": {
            "source": "file",
            "train": "train.csv",
            "validation": "validation.csv",
            "test": "test.csv",
            "text": "review",
            "label": "stars",
            "text_type": "movie review",
            "label_type": "sentiment",
            "label_words": {"1": "negative", "5": "positive"},
        }
    },
    "subsample": {"train": ["3s"], "validation": "2s", "test": None},
    "seeds": {"data": [1, 2], "trials": [7]},
    "llms": {"local": {"api": "embedded"}},
    "augmenters": {
        "none": {"method": "none"},
        "duplicate": {"method": "duplicate"},
        "gpt3mix": {"method": "gpt3mix", "llm": "local", "examples": 4, "max_tokens": 40, "attempts": 2},
    },
    "classifiers": {"minilm": {"method": "finetune", "batch_size": 4, "max_steps": 3}},
}


def review_rows(n: int, seed: int) -> list[dict[str, str]]:
    """Make rows that differ from each other, half of them good."""
    generator = random.Random(seed)
    rows = []
    for position in range(n):
        texts, stars = (GOOD, "5") if position % 2 else (BAD, "1")
        rows.append({"review": f"{generator.choice(texts)}, part {seed * 1000 + position}.", "stars": stars})
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows with their header."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@dataclass
class Workspace:
    """A folder with data and a config, in which snakemake runs with the project's Snakefile."""

    folder: Path
    config: dict[str, Any] = field(default_factory=lambda: deepcopy(TINY))
    environment: dict[str, str] = field(default_factory=dict)
    forks: bool = True
    """Whether runs are forks of a process that has imported Snakemake, or start from nothing as a user's do."""

    def __post_init__(self) -> None:
        for seed, (name, n) in enumerate({"train": 20, "validation": 8, "test": 8}.items()):
            write_csv(self.folder / f"{name}.csv", review_rows(n, seed))

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a run."""
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")
        fixed = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(self.folder)]
        return [sys.executable, "-m", "snakemake", *fixed, "--configfile", "tiny.yaml", "--cores", "2", *arguments]

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run snakemake and return all that it printed."""
        command = self.command(*arguments)
        if self.forks and can_fork(self.environment):
            status, output = forks().run(command[3:], self.folder, self.environment, SECONDS)
        else:
            status, output = self._start(command)
        assert (status != 0) == fails, output
        return output

    def _start(self, command: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def interrupt(self, when: Callable[[], bool], *arguments: str) -> str:
        """Start snakemake, press Ctrl-C when a condition holds, and return all that it printed."""
        return self._signal(signal.SIGINT, when, arguments)

    def kill(self, when: Callable[[], bool], *arguments: str) -> str:
        """Start snakemake, kill it and its jobs when a condition holds, and return all that it printed."""
        return self._signal(signal.SIGKILL, when, arguments)

    def _signal(self, number: signal.Signals, when: Callable[[], bool], arguments: Sequence[str]) -> str:
        with subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            deadline = time.monotonic() + 200
            while not when() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            assert process.poll() is None, "it ended before it got the signal"
            os.killpg(process.pid, number)
            output, _ = process.communicate(timeout=60)
        assert process.returncode != 0
        return output

    def results(self) -> Path:
        """Return the folder of results."""
        return self.folder / "results"

    def answers(self) -> list[Path]:
        """Return the stored completions; what a tokenizer said of label words is stored beside them."""
        stored = sorted((self.folder / "cache" / "requests").rglob("*.json.gz"))
        return [
            path
            for path in stored
            if json.loads(gzip.decompress(path.read_bytes()))["request"]["path"] == "/v1/completions"
        ]


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny encoder, which is trained in a tenth of the packaged one's time."""
    return save_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def workspace(tmp_path: Path, writer: Path, bert: Path) -> Workspace:
    """Return a workspace of this test's own, with a tiny language model and a tiny classifier."""
    return make_workspace(tmp_path, writer, bert)


@pytest.fixture
def slow_workspace(tmp_path: Path, gemma: Path, bert: Path) -> Workspace:
    """Return a workspace of this test's own whose language model is the packaged one, with seconds for a row."""
    return make_workspace(tmp_path, gemma, bert)


def make_workspace(folder: Path, model: Path, encoder: Path | None = None) -> Workspace:
    """Make a workspace.

    Args:
        folder: Where it is made.
        model: The language model. The packaged one is put into the cache, so that it is not joined again.
        encoder: What its classifier starts from; None for the packaged encoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(folder)
    if model.name == PACKAGED:
        target = folder / "cache" / "models" / model.name
        target.parent.mkdir(parents=True)
        target.hardlink_to(model)
    else:
        workspace.config["llms"]["local"]["model"] = str(model)
    if encoder is not None:
        workspace.config["classifiers"]["minilm"]["model"] = str(encoder)
    return workspace
