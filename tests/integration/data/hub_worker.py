"""Processes that open datasets of the hub on loopback, with a cache and an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import HubServer, Repository, hub, parquet

ROOT = Path(__file__).parents[3]
NAMES = {"label": ["negative", "positive"]}
TRAIN = {"text": ["dull", "fine", "odd"], "label": [0, 1, -1], "author": ["a", "b", "b"]}
TEST = {"text": ["great"], "label": [1], "author": ["c"]}
LABELED = {
    "data/train-00000-of-00001.parquet": parquet(TRAIN, NAMES),
    "data/test-00000-of-00001.parquet": parquet(TEST, NAMES),
}
TRAIN_FILE = "data/train-00000-of-00001.parquet"
CSV = {"train.csv": b"text,label\ndull,0\nfine,1\n", "test.csv": b"text,label\ngreat,1\n"}
SECRET = "hf_ownsecret"
WRONG = "hf_othersecret"

# Answers each line of JSON with one, so that the slow imports are paid once.
WORKER = """
import json, logging, os, sys, warnings
import pyarrow as pa
from hypermix.data.hub import open_hub, resolve_commit
from hypermix.errors import DataError

def state():
    import datasets, huggingface_hub.utils as hub
    return [[part.are_progress_bars_disabled(), part.logging.get_verbosity()] for part in (datasets.utils, hub)] + [
        len(warnings.filters)]

def read(split):
    before, peak, rows, sizes, types = pa.total_allocated_bytes(), 0, [], [], {}
    for batch in split.batches():
        peak = max(peak, pa.total_allocated_bytes() - before)
        types = {field.name: str(field.type) for field in batch.schema}
        sizes.append(len(batch))
        rows += batch.to_pylist() if len(rows) < 5000 else []
    return {"where": split.where, "rows": rows, "sizes": sizes, "peak": peak, "types": types}

print(json.dumps(["datasets" in sys.modules, "huggingface_hub" in sys.modules]), flush=True)
logged = []

class Keeper(logging.Handler):
    def emit(self, record):
        logged.append(record.getMessage())

logging.getLogger("hypermix").addHandler(Keeper())
for line in sys.stdin:
    logged.clear()
    asked = json.loads(line)
    os.environ["HF_TOKEN"] = asked.pop("token")
    try:
        if "text" not in asked:
            answer = {"commit": resolve_commit(asked["path"], asked["revision"])}
        else:
            before = state()
            raw = open_hub(asked)
            answer = {"inputs": raw.inputs, "warnings": logged, "restored": before == state()}
            for name, split in raw.splits.items():
                first = read(split)
                answer[name] = {**first, "again": read(split)["rows"] == first["rows"]}
    except DataError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


class Worker:
    """A process that opens datasets, in which no library may warn or write a line."""

    def __init__(self, folder: Path, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        self.stderr = folder / f"stderr-{len(list(folder.glob('stderr-*')))}"
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", WORKER],
                env={**kept, "PYTHONPATH": str(ROOT), **environment},
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.imported = self._answer()

    def open(self, path: str, token: str = "", **settings: Any) -> Any:
        """Open a dataset; the settings are those of a config without any."""
        plain = {"config": None, "revision": None, "train": "train", "validation": None, "test": "test"}
        return self._ask({**plain, "path": path, "text": ["text"], "label": "label", "group": None, **settings}, token)

    def error(self, path: str, token: str = "", **settings: Any) -> str:
        """Open a dataset in vain and return the message, which is one line."""
        told = str(self.open(path, token, **settings)["error"])
        assert "\n" not in told
        return told

    def resolve(self, path: str, revision: str | None = None) -> Any:
        """Resolve a revision."""
        return self._ask({"path": path, "revision": revision}, "")

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _ask(self, asked: dict[str, Any], token: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**asked, "token": token}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert self.stderr.read_text(encoding="utf-8") == ""
        return json.loads(line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a working folder that holds the cache, and a folder that is called like a dataset."""
    made = tmp_path_factory.mktemp("hub")
    local = made / "acme" / "reviews"
    local.mkdir(parents=True)
    (local / "train.csv").write_text("text,label\nlocal,0\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    """Run a hub to which each test adds the repositories that it needs."""
    with hub({"acme/reviews": Repository(LABELED)}) as running:
        yield running


@pytest.fixture(scope="module")
def online(folder: Path, server: HubServer) -> Iterator[Worker]:
    worker = Worker(folder, HF_HOME=str(folder / "home"), HF_ENDPOINT=server.url)
    yield worker
    worker.stop()


@pytest.fixture(scope="module", params=["offline", "unreachable"])
def alone(request: pytest.FixtureRequest, folder: Path, server: HubServer) -> Iterator[Worker]:
    """Return a worker with the same cache that is told to be offline, or that finds no hub."""
    with_hub = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "1"}
    # Nothing listens on the port of a discarded packet.
    without = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    worker = Worker(folder, HF_HOME=str(folder / "home"), **(with_hub if request.param == "offline" else without))
    yield worker
    worker.stop()


def rows_of(split: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in split["rows"]]
